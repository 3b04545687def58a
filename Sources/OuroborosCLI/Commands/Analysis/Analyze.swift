import ArgumentParser
import LibC
import Ouroboros
import OuroborosAnalysis
import OuroborosStore
import OuroborosText
import Synchronization

struct Analyze: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints the packets of a capture, what is odd about them, and statistics.",
        discussion: """
            Reads pcap and pcapng, UDP and TCP. Sessions are followed across changes of address. With keys, and their \
            handshake in the capture, forged packets are told from true ones; what was opened is printed with \
            --payloads alone.
            """)

    @Argument(help: "The capture; - is standard input.")
    var file: String?

    @Option(help: "Listens to this interface instead, until it is stopped (needs root).")
    var interface: String?

    @Option(help: "The port of gateways: what is sent to or from it is Ouroboros, or malformed.")
    var port: UInt16 = 5700

    @OptionGroup var keys: AnalysisKeyOptions

    @Flag(help: "Prints what was opened: ack blocks and messages.")
    var payloads = false

    @Flag(help: "A JSON object a packet, and one with the statistics.")
    var json = false

    @Flag(help: "The statistics alone.")
    var summary = false

    @Option(help: "Ends after so many packets of Ouroboros.")
    var count: Int?

    func run() throws {
        let capture = try open()
        var options = Analyzer.Options()
        options.port = port
        options.showsBodies = payloads
        let ring = try keys.ring()
        if payloads, ring.isEmpty {
            throw OuroborosError(
                .invalidConfiguration,
                "--payloads needs keys: give --store, --root-key-file and --device, --fleet-key-file or --key-log"
            )
        }
        var analyzer = Analyzer(options: options, keys: ring)
        let writer = AnalysisWriter(isJSON: json, isInteractive: interface != nil)
        try readAll(capture, &analyzer, writer)
        try writer.write(analyzer.summary, problem: capture.problem)
        if let problem = capture.problem {
            Output.note("ouroboros: the capture ends early: \(problem)")
        }
    }

    private func open() throws -> Capture {
        switch (file, interface) {
        case (let path?, nil): return try Capture.open(file: path)
        case (nil, let name?):
            Interruption.install()
            return try Capture.open(interface: name)
        default: throw OuroborosError(.invalidConfiguration, "give a file or --interface, one of them")
        }
    }

    private func readAll(_ capture: Capture, _ analyzer: inout Analyzer, _ writer: AnalysisWriter) throws {
        var left = count ?? .max
        while left > 0, !Interruption.isAsked {
            switch capture.next() {
            case .frame(let frame):
                for report in analyzer.take(frame) where left > 0 {
                    left -= 1
                    if !summary { try writer.write(report) }
                }
            case .quiet: try writer.flush()
            case .end: return
            }
        }
    }
}

/// SIGINT and SIGTERM end listening; the statistics still come.
private enum Interruption {
    private static let flag = Atomic(false)

    static var isAsked: Bool { flag.load(ordering: .relaxed) }

    static func install() {
        _ = isAsked
        signal(SIGINT) { _ in Interruption.flag.store(true, ordering: .relaxed) }
        signal(SIGTERM) { _ in Interruption.flag.store(true, ordering: .relaxed) }
    }
}

/// Whose traffic is to be opened.
struct AnalysisKeyOptions: ParsableArguments {
    @Option(help: "A gateway's store.")
    var store: String?

    @OptionGroup var encryption: KeyEncryptionOptions

    @OptionGroup var root: RootKeyOptions

    @Option(help: "The device of the root key, 16 hexadecimal digits.")
    var device: String?

    @OptionGroup var fleet: FleetKeyOptions

    @Option(help: "A file that --key-log of another command wrote.")
    var keyLog: String?

    func ring() throws -> KeyRing {
        var ring = KeyRing()
        let devices = try store.map { try GatewayStore.open($0, sealedUnder: encryption.key()) }
        if let key = try fleet.key() {
            ring.add(FleetRegistry(fleetKey: key, others: devices))
        } else if let devices {
            ring.add(devices)
        }
        let hasRoot = root.rootKeyFile != nil || root.rootKeyEnv != nil
        guard hasRoot == (device != nil) else {
            throw OuroborosError(.invalidConfiguration, "a root key and --device go together")
        }
        if let device {
            // At epoch 0, from which any later one follows.
            ring.add(.evolving(device: try DeviceID(hex: device), key: try root.rootKey()))
        }
        if let keyLog {
            let bytes = try PrivateFile.read(keyLog, atMost: 1 << 26)
            ring.add(try bytes.withUnsafeBytes { try KeyLog.parse($0) })
        }
        return ring
    }
}
