import ArgumentParser
import NIOCore
import Ouroboros
import OuroborosNIO
import OuroborosTesting
import OuroborosText
import ServiceLifecycle

struct Impair: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stands between devices and their gateway as a bad network does.",
        discussion: """
            It takes UDP datagrams and passes them on, or not, as the options say; each device has a port of its own \
            towards the gateway. What chance decides is repeated by the same --seed. SIGINT and SIGTERM end it: what \
            it did is on standard output.
            """)

    @Option(help: "Where devices find it: HOST:PORT.")
    var listen: String

    @Option(help: "The gateway: HOST:PORT.")
    var to: String

    @OptionGroup var path: ImpairmentOptions

    @Option(help: "Which way is impaired: both, to-gateway or to-device.")
    var direction = Direction.both

    @Option(help: "How often each device gets a new port towards the gateway, as behind a NAT that forgets.")
    var rebind: TimeArgument?

    @Option(help: "Of what chance decides; without it one is made up, and told.")
    var seed: UInt64?

    enum Direction: String, ExpressibleByArgument, CaseIterable {
        case both
        case toGateway = "to-gateway"
        case toDevice = "to-device"
    }

    func run() async throws {
        let impairment = try path.impairment()
        var configuration = ImpairmentProxy.Configuration(
            toServer: direction == .toDevice ? .init() : impairment,
            toClient: direction == .toGateway ? .init() : impairment)
        configuration.rebindInterval = rebind?.duration
        configuration.seed = seed ?? .random(in: 1...999_999)
        let proxy = try await ImpairmentProxy.start(
            at: try await HostAndPort(parsing: listen).resolve(),
            to: try await HostAndPort(parsing: to).resolve(), configuration: configuration)
        Output.note("ouroboros: seed \(configuration.seed)")
        Output.note(
            "ouroboros: listening on \(proxy.address.ipAddress ?? "?") port \(proxy.address.port ?? 0)")
        try await ImpairService(proxy: proxy).runUntilSignalled()
    }
}

private struct ImpairService: Service {
    let proxy: ImpairmentProxy

    func run() async throws {
        try await gracefulShutdown()
        let counts = try await proxy.counts()
        await proxy.close()
        try Output.line("to gateway: \(Self.text(counts.toServer))")
        try Output.line("to device: \(Self.text(counts.toClient))")
        try Output.line(
            "devices \(counts.clients), new ports \(counts.rebindings), displaced \(counts.displaced), "
                + "sockets that failed \(counts.failedSockets), from elsewhere \(counts.strange)")
    }

    private static func text(_ counts: ImpairmentCounts) -> String {
        "sent \(counts.sent), carried \(counts.carried), lost \(counts.lost), repeated \(counts.repeated), "
            + "held back \(counts.heldBack), corrupted \(counts.corrupted), too long \(counts.tooLong), "
            + "overflowed \(counts.overflowed)"
    }
}
