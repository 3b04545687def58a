import InMemoryLogging
import LibC
import Logging
import Ouroboros
import OuroborosNIO
import ServiceLifecycle
import TestSupport
import Testing

@testable import OuroborosGateway

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// What the gateway printed, and why it gave up.
final class Printed: Sendable {
    private let text = Locked("")
    private let reasons = Locked<[String]>([])

    var lines: [String] { text.withLock { $0.split(separator: "\n").map(String.init) } }
    var givenUp: [String] { reasons.withLock(\.self) }

    var process: GatewayProcess {
        GatewayProcess(
            print: { bytes in self.text.withLock { $0 += String(decoding: bytes, as: UTF8.self) } },
            giveUp: { reason in self.reasons.withLock { $0.append(reason) } })
    }
}

/// A log that takes its time for each entry.
struct SlowLog: LogHandler {
    private var output: InMemoryLogHandler

    init(_ output: InMemoryLogHandler) {
        self.output = output
    }

    var logLevel: Logger.Level {
        get { output.logLevel }
        set { output.logLevel = newValue }
    }

    var metadata: Logger.Metadata {
        get { output.metadata }
        set { output.metadata = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { output[metadataKey: key] }
        set { output[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) {
        usleep(5000)
        output.log(event: event)
    }
}

/// Files of a gateway whose devices are those of one fleet's key.
struct Site {
    let scratch: Scratch
    let fleetKey = SecretKey.random()

    init() throws {
        scratch = try Scratch()
        let digits = fleetKey.withUnsafeBytes { Hex.string(of: $0) }
        try scratch.write(digits + "\n", to: "fleet.key")
    }

    func settings(_ flags: [GatewayKey: String] = [:]) async throws -> GatewaySettings {
        let own: [GatewayKey: String] = [.bind: "127.0.0.1:0", .fleetKeyFile: scratch.file("fleet.key")]
        return try GatewaySettings(
            try await GatewaySources(flags: own.merging(flags) { _, flag in flag }))
    }

    /// Runs a gateway while `body` does, and shuts it down gracefully.
    func withGateway(
        _ flags: [GatewayKey: String] = [:], _ printed: Printed, _ manager: ServiceManager = ServiceManager(),
        logger: Logger = quiet, _ body: @Sendable (Endpoint) async throws -> Void
    ) async throws {
        let gateway = try await Gateway(
            settings(flags), process: printed.process, manager: manager, logger: logger
        ).open()
        let group = ServiceGroup(
            configuration: .init(services: [.init(service: gateway)], logger: quiet))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body(gateway.endpoints[0])) } catch {
                outcome = .failure(error)
            }
            await group.triggerGracefulShutdown()
            try await tasks.next()
            try outcome.get()
        }
    }

    func send(_ text: String, from device: DeviceID, to gateway: Endpoint) async throws {
        try await OuroborosClient.withConnection(
            to: gateway, credential: .fixed(device: device, fleetKey: fleetKey)
        ) { connection in
            try await connection.send(Array(text.utf8))
        }
    }
}
