import LibC
import NIOCore
import Ouroboros
import OuroborosDownlink
import OuroborosHTTP
import OuroborosSinks
import ServiceLifecycle

/// The sinks, until the gateway has stopped and they have what it stored, or time is over.
struct SinkService: Service {
    let sinks: SinkGroup
    let process: GatewayProcess

    /// What a sink has not taken by then stays in the spool.
    private static let drainTime = Duration.seconds(4)

    func run() async throws {
        let (sinks, process) = (sinks, process)
        let work = Task { await sinks.run() }
        let limit = Locked<Task<Void, any Error>?>(nil)
        defer { limit.withLock(\.self)?.cancel() }
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await work.value
            } onGracefulShutdown: {
                sinks.stop()
                limit.withLock {
                    $0 = Task {
                        try await Task.sleep(for: Self.drainTime)
                        work.cancel()
                        // A reader of standard output that has stopped must not keep the gateway.
                        try await Task.sleep(for: .seconds(1))
                        process.giveUp("a sink takes no more: what it did not take stays in the spool")
                    }
                }
            }
        } onCancel: {
            work.cancel()
        }
    }
}

struct DownlinkService: Service {
    let downlink: Downlink

    init(_ downlink: Downlink) {
        self.downlink = downlink
    }

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await downlink.run()
        } onGracefulShutdown: {
            downlink.stop()
        }
    }
}

struct DownlinkEndpointService: Service {
    let endpoint: DownlinkEndpoint

    init(_ endpoint: DownlinkEndpoint) {
        self.endpoint = endpoint
    }

    func run() async throws {
        do {
            try await withGracefulShutdownHandler {
                try await endpoint.run()
            } onGracefulShutdown: {
                endpoint.stopWaiting()
            }
        } catch let error as IOError {
            let server = endpoint.server
            throw OuroborosError(
                .transport, "cannot take messages to devices on \(server.host):\(server.port): \(error)")
        }
    }
}
