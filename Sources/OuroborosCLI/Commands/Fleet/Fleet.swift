import ArgumentParser
import LibC
import Logging
import Ouroboros
import OuroborosNIO
import OuroborosStore
import OuroborosText
import ServiceLifecycle
import UnixSignals

struct Fleet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Simulates a fleet: many devices in one process, which connect and send to a gateway.",
        discussion: """
            Each device has a session of its own, made by a real handshake; some 500 share a socket. A message is timed \
            from when it was due until it is known to be delivered. SIGINT and SIGTERM end the run with its report. The \
            exit status is 0 only if every device connected and every message was delivered.

            Send only to gateways that are yours: each message is taken as a reading.
            """)

    @Option(help: "The gateway: HOST:PORT, over UDP.")
    var to: String

    @OptionGroup var fleet: FleetKeyOptions

    @Option(help: "The first device's id, 16 hexadecimal digits; the others follow.")
    var device = "0000000000000001"

    @Option(help: "How many devices.")
    var devices = 1000

    @Option(help: "Messages a second, of all devices together.")
    var rate = 100.0

    @Option(help: "The size of a message, in bytes: up to 1200.")
    var size = 64

    @Option(help: "How long to send, once all are connected.")
    var seconds = TimeArgument(.seconds(10))

    @Option(help: "How many UDP sockets; without it one for 500 devices.")
    var sockets: Int?

    @Option(help: "How many handshakes may be under way.")
    var connectAtOnce = 64

    @Option(help: "How long a device waits for its handshake; without it the protocol's 45 seconds or more.")
    var connectTimeout: TimeArgument?

    @Option(help: "The seed of the pauses between messages: the same seed gives the same pauses.")
    var seed: UInt32 = 1

    @Flag(help: "One JSON object.")
    var json = false

    @OptionGroup var log: LogOptions

    private static let devicesPerSocket = 500

    func validate() throws {
        guard fleet.isGiven else {
            throw ValidationError(
                "give --fleet-key-file or --fleet-key-env, from which each device's key comes")
        }
        try Self.check(devices, in: 1...100_000, "--devices")
        try Self.check(size, in: 1...1200, "--size")
        try Self.check(connectAtOnce, in: 1...1000, "--connect-at-once")
        if let sockets { try Self.check(sockets, in: 1...1000, "--sockets") }
        guard rate > 0, rate <= 1_000_000 else {
            throw ValidationError("--rate is above 0 and up to 1000000 messages a second, not \(rate)")
        }
    }

    func run() async throws {
        let name = try EndpointName(parsing: to)
        let server = try await name.resolve()
        guard case .udp = server.transport else {
            throw OuroborosError(
                .invalidConfiguration, "a fleet shares UDP sockets: give --to HOST:PORT, not “\(to)”")
        }
        var client = ClientConfiguration()
        client.logger = log.logger("ouroboros.client")
        client.connectTimeout = connectTimeout?.duration
        // A device sends one message at a time.
        client.link.places = 2
        client.link.reach = 8
        (client.link.sessions, client.link.tails) = (2, 1)
        let sockets = sockets ?? (devices + Self.devicesPerSocket - 1) / Self.devicesPerSocket
        guard let key = try fleet.key() else { return }
        let load = FleetLoad(
            server: server, fleetKey: key, firstDevice: try DeviceID(hex: device),
            devices: devices, sockets: sockets, connectAtOnce: connectAtOnce, rate: rate, size: size,
            duration: seconds.duration, seed: seed, client: client)
        let service = FleetService(load: load)
        var quiet = log.logger("ouroboros.fleet")
        quiet.logLevel = .critical
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        try await group.run()
        guard let result = service.result else {
            throw OuroborosError(.transport, "the simulation ended without a result")
        }
        try write(
            FleetReport(
                gateway: to, devices: devices, sockets: sockets, size: size, rate: rate, result: result))
        if let problem = result.problem { throw problem }
    }

    private func write(_ report: FleetReport) throws {
        if json {
            try Output.write(report.json + [UInt8(ascii: "\n")])
        } else {
            for line in report.lines { try Output.line(line) }
        }
    }
}

/// A load as a service, so that signals end it in order.
private final class FleetService: Service {
    private let load: FleetLoad
    private let outcome = Locked<FleetResult?>(nil)

    init(load: FleetLoad) {
        self.load = load
    }

    var result: FleetResult? { outcome.withLock(\.self) }

    func run() async throws {
        let result = try await load.run()
        outcome.withLock { $0 = result }
    }
}
