import ArgumentParser
import Ouroboros
import OuroborosNIO
import OuroborosStore
import OuroborosText

struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures throughput and latency against a gateway, or in this process.",
        discussion: """
            Without --gateway, client and server run in this process and talk over loopback. What is timed is a message \
            from when it is handed over until it is known to be delivered, or, with --echo, until the gateway's copy is \
            back. Against a gateway, give a device and its key, or a fleet's key for more than one client; the \
            credentials are fixed ones. Send only to gateways that are yours: each message is taken as a reading.
            """)

    enum Transport: String, CaseIterable, ExpressibleByArgument { case udp, tcp }

    @Option(help: "HOST:PORT, or tcp://HOST:PORT, of a gateway; without it one in this process.")
    var gateway: String?

    @Option(help: "In this process: udp or tcp.")
    var transport: Transport = .udp

    @Option(
        help:
            "The device's id, 16 hexadecimal digits; with a fleet's key the first client's, the others follow."
    )
    var device: String?

    @OptionGroup var keys: RootKeyOptions

    @OptionGroup var fleet: FleetKeyOptions

    @Option(help: "The size of a message, in bytes: up to 1200, and at least 8 with --echo.")
    var size = 64

    @Option(help: "How many clients, a connection each.")
    var clients = 1

    @Option(help: "How many messages of each client may be under way.")
    var inFlight = 1

    @Flag(help: "Times messages until the gateway's copy is back; a gateway must run with --echo too.")
    var echo = false

    @Option(help: "How long to send before anything counts.")
    var warmUp = TimeArgument(.seconds(1))

    @Option(help: "How long to measure.")
    var seconds: TimeArgument?

    @Option(help: "How many messages of all clients to measure, instead of a time.")
    var messages: Int?

    @Flag(help: "One JSON object.")
    var json = false

    @OptionGroup var log: LogOptions

    func validate() throws {
        try Self.check(size, in: (echo ? BenchLoad.stampSize : 1)...1200, "--size")
        try Self.check(clients, in: 1...10_000, "--clients")
        try Self.check(inFlight, in: 1...1000, "--in-flight")
        if let messages { try Self.check(messages, in: 1...1_000_000_000, "--messages") }
        guard seconds == nil || messages == nil else {
            throw ValidationError("give --seconds or --messages, one of them")
        }
    }

    func run() async throws {
        let load = BenchLoad(
            size: size, inFlight: inFlight, echoes: echo, warmUp: warmUp.duration,
            goal: messages.map(BenchLoad.Goal.messages) ?? .time(seconds?.duration ?? .seconds(5)))
        let result: BenchResult
        if let gateway {
            let identities = try identities()
            let server = try await EndpointName(parsing: gateway).resolve()
            result = try await measure(load, server, identities)
        } else {
            guard device == nil, !fleet.isGiven, !keys.isGiven else {
                throw OuroborosError(
                    .invalidConfiguration, "a device and its key are a gateway's: give --gateway too")
            }
            let key = SecretKey.random()
            let identities = try (0..<clients).map {
                try Credential.fixed(device: DeviceID(number: UInt64($0 + 1)), fleetKey: key)
            }
            result = try await BenchServer.with(
                isStream: transport == .tcp, fleetKey: key, clients: clients, echoes: echo,
                logger: log.logger("ouroboros.server")
            ) { server in
                try await measure(load, server, identities)
            }
        }
        try write(result)
    }

    private func measure(
        _ load: BenchLoad, _ server: Endpoint, _ identities: [Credential]
    ) async throws -> BenchResult {
        var configuration = ClientConfiguration()
        configuration.logger = log.logger("ouroboros.client")
        configuration.link.places = max(configuration.link.places, inFlight)
        return try await load.run(against: server, as: identities, configuration)
    }

    private func identities() throws -> [Credential] {
        guard let device else {
            throw OuroborosError(.invalidConfiguration, "a gateway wants to know the device: give --device")
        }
        let first = try DeviceID(hex: device)
        guard let key = try fleet.key() else {
            guard clients == 1 else {
                throw OuroborosError(
                    .invalidConfiguration,
                    "\(clients) clients are as many devices: give --fleet-key-file, from which their keys come"
                )
            }
            return [.fixed(device: first, rootKey: try keys.rootKey())]
        }
        guard !keys.isGiven else {
            throw OuroborosError(
                .invalidConfiguration, "give a root key or --fleet-key-file, one of them")
        }
        return try (0..<clients).map {
            try .fixed(device: DeviceID(number: first.number &+ UInt64($0)), fleetKey: key)
        }
    }

    private func write(_ result: BenchResult) throws {
        let setting = BenchReport(
            gateway: gateway, transport: gateway.map { $0.hasPrefix("tcp://") ? .tcp : .udp } ?? transport,
            size: size, clients: clients, inFlight: inFlight, echoes: echo, result: result)
        if json {
            try Output.write(setting.json + [0x0a])
        } else {
            for line in setting.lines { try Output.line(line) }
        }
    }
}
