import ArgumentParser
import LibC
import Logging
import Ouroboros
import OuroborosNIO
import OuroborosStore
import OuroborosText
import ServiceLifecycle

struct Listen: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints the messages that come for this device, one JSON line each.",
        discussion: "A message is acknowledged once its line is written. SIGINT and SIGTERM end it.")

    @OptionGroup var client: ClientOptions

    @Option(help: "How many messages; without it, until it is stopped.")
    var count: Int?

    func run() async throws {
        if let count, count < 1 {
            throw OuroborosError(.invalidConfiguration, "--count is at least 1, not \(count)")
        }
        try Output.require()
        var identity = try client.identity()
        identity.configuration.acknowledgement = .whenConfirmed
        let connection = try await OuroborosClient.connect(
            to: identity.server, credential: identity.credential, store: identity.store,
            configuration: identity.configuration)
        let service = ListenService(
            connection: connection, device: identity.credential.deviceID, count: count,
            logger: client.log.logger("ouroboros.listen"))
        try await service.runUntilSignalled()
    }
}

private struct ListenService: Service {
    let connection: OuroborosConnection
    let device: DeviceID
    let count: Int?
    let logger: Logger

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await connection.logStates(logger) }
            group.addTask { await stayAwake() }
            try await cancelWhenGracefulShutdown {
                try await printMessages()
            }
            await connection.close()
            group.cancelAll()
        }
    }

    /// A gateway sends nothing to a device that it takes for asleep, which it does after 2 minutes (`sleeping-after`).
    private func stayAwake() async {
        while (try? await Task.sleep(for: .seconds(60))) != nil {
            _ = try? await connection.ping()
        }
    }

    private func printMessages() async throws {
        let printer = OwnThread()
        var printed = 0
        for await message in connection.messages {
            let line = MessageLine.line(
                for: message, of: device, receivedAt: WallClock.milliseconds())
            try await printer.run { try Output.lines(line) }
            connection.confirm(message)
            printed += 1
            if printed == count { return }
        }
    }
}
