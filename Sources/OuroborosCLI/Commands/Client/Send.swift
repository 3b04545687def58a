import ArgumentParser
import LibC
import Ouroboros
import OuroborosNIO
import OuroborosText
import SensorKit

struct Send: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sends each line of standard input, or one message, reliably.",
        discussion: """
            The exit status is 0 only if all were delivered; a summary is on standard error. With --outbox each line \
            is on disk before the next one is read: what was not delivered waits there, and goes out with the next call.
            """)

    @OptionGroup var client: ClientOptions

    @OptionGroup var outbox: OutboxOptions

    @Flag(help: "Prints each message once the gateway acknowledged it.")
    var receipts = false

    @Option(help: "The message; without it each line of standard input is one.")
    var message: String?

    func run() async throws {
        let identity = try client.identity()
        if let outbox = try outbox.open(sharing: identity.store) {
            return try await OutboxSend(
                outbox: outbox, client: client, identity: identity, message: message, receipts: receipts
            ).run()
        }
        let outcome = try await OuroborosClient.withConnection(
            to: identity.server, credential: identity.credential, store: identity.store,
            configuration: identity.configuration
        ) { connection in
            await sendAll(over: connection, identity.server)
        }
        Output.note("ouroboros: \(outcome.summary)")
        if let problem = outcome.problem {
            throw problem
        }
    }

    private func sendAll(over connection: OuroborosConnection, _ server: EndpointName) async -> SendOutcome {
        let progress = SendProgress()
        let input = StandardInput()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in connection.messages {} }
            group.addTask {
                await watch(connection, to: server, progress) { error in
                    progress.abort(error)
                    input.end()
                    await connection.closeAtOnce()
                }
            }
            await submitAll(from: input, to: connection, progress)
            group.cancelAll()
        }
        return progress.outcome
    }

    /// Returns when every message has an outcome, or when the gateway is given up.
    private func submitAll(
        from input: StandardInput, to connection: OuroborosConnection, _ progress: SendProgress
    ) async {
        // A reader of receipts may block.
        let printer = OwnThread()
        await withTaskGroup(of: Void.self) { group in
            do {
                if let message {
                    await submit(Array(message.utf8), to: connection, progress, printer, &group)
                } else {
                    var lines = LineReader(input)
                    while !progress.isAborted, let line = try await lines.next() {
                        if line.count > line.bytes.count {
                            progress.refused(.tooLarge(line.count, limit: connection.maximumMessage))
                        } else {
                            await submit(line.bytes, to: connection, progress, printer, &group)
                        }
                    }
                }
            } catch is CancellationError {
                // The gateway is given up.
            } catch {
                progress.stopped(error)
            }
            await group.waitForAll()
        }
    }

    private func submit(
        _ payload: [UInt8], to connection: OuroborosConnection, _ progress: SendProgress,
        _ printer: OwnThread, _ group: inout TaskGroup<Void>
    ) async {
        progress.begin()
        do {
            let pending = try await connection.enqueue(payload)
            group.addTask { [receipts] in
                do {
                    try await pending.delivered()
                } catch {
                    return progress.ended(error)
                }
                progress.delivered()
                guard receipts else { return }
                do {
                    try await printer.run { try Output.write(payload + [UInt8(ascii: "\n")]) }
                } catch is Output.ReaderGone {
                    // Messages are delivered, read or not.
                } catch {
                    progress.stopped(error)
                }
            }
        } catch {
            progress.ended(error)
        }
    }

    /// Gives the gateway up when it does not answer any more.
    private func watch(
        _ connection: OuroborosConnection, to server: EndpointName, _ progress: SendProgress,
        _ giveUp: @escaping @Sendable (OuroborosError) async -> Void
    ) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await state in connection.stateChanges where state == .unreachable {
                    await giveUp(Self.unreachable(server, "45 seconds or more"))
                }
            }
            if let timeout = client.timeout?.duration {
                group.addTask {
                    let look = max(.milliseconds(50), timeout / 20)
                    while (try? await Task.sleep(for: look)) != nil {
                        if progress.isStalled(for: timeout) {
                            return await giveUp(Self.unreachable(server, "\(timeout)"))
                        }
                    }
                }
            }
        }
    }

    private static func unreachable(_ server: EndpointName, _ time: String) -> OuroborosError {
        OuroborosError(.unreachable, "\(server) has stopped answering: nothing came within \(time)")
    }
}
