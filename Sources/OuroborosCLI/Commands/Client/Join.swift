import ArgumentParser
import Ouroboros
import OuroborosNIO
import OuroborosStore
import OuroborosText

struct Join: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes this device's state from a token, and tries it at the gateway.",
        discussion: """
            From then on `sensor`, `send` and `ping` need --state alone: it knows the gateway, the id and the key. When \
            the gateway does not answer, the same call goes on with the same state.
            """)

    @Argument(help: "The token's file, readable by its owner alone; - is standard input.")
    var token: String

    @Option(help: "The state to make; without it the token's file, with .state in the place of .ouro.")
    var state: String?

    @OptionGroup var encryption: KeyEncryptionOptions

    @Option(help: "How long to wait for the gateway's answer.")
    var timeout = TimeArgument(.seconds(20))

    @OptionGroup var log: LogOptions

    func run() async throws {
        let path = try statePath()
        let token = try read()
        let store = try DeviceState(path: path, keyEncryptionKey: try encryption.key())
        try begin(token, in: store)
        do {
            try await shakeHands(token, store)
        } catch let error as OuroborosError where error.code == .unreachable {
            throw refusal(of: token, path)
        }
        Output.note(
            "ouroboros: joined \(token.gateway) as device \(token.credential.deviceID) (\(token.credential.kind.name)); "
                + "“\(path)”, \(store.isSealed ? "sealed" : "not sealed"), is all that this device needs")
        Output.note(
            "ouroboros: delete \(isInput ? "every copy of the token" : "“\(self.token)” and every other copy of the token"): "
                + "who has one can be this device, and can read what it sends")
    }

    private var isInput: Bool { token == "-" }

    private func statePath() throws -> String {
        guard !token.lowercased().hasPrefix("ouro1:") else {
            throw OuroborosError(
                .invalidConfiguration,
                "a token is no argument, which every user of this machine can read: put it into a file, or into standard "
                    + "input (ouroboros join -); if others work here, make a new one (device reissue)")
        }
        if let state { return state }
        guard !isInput else {
            throw OuroborosError(
                .invalidConfiguration,
                "a token from standard input names no file for the state: give --state FILE")
        }
        return (token.hasSuffix(".ouro") ? String(token.dropLast(5)) : token) + ".state"
    }

    private func read() throws -> DeviceToken {
        let source = try SecretSource.given(file: isInput ? "/dev/stdin" : token)
        do {
            return try DeviceToken(try source.bytes())
        } catch let error as OuroborosError where error.code == .damaged {
            throw OuroborosError(.damaged, "\(isInput ? "standard input" : source.name): \(error.message)")
        }
    }

    private func begin(_ token: DeviceToken, in store: DeviceState) throws {
        if try store.credential() != nil, try store.gateway() == nil {
            throw OuroborosError(
                .storage,
                "“\(store.path)” is the state of a device that did not join: name another file (--state)")
        }
        try store.begin(token.credential, gateway: token.gateway)
    }

    private func shakeHands(_ token: DeviceToken, _ store: DeviceState) async throws {
        var configuration = ClientConfiguration()
        configuration.connectTimeout = timeout.duration
        configuration.logger = log.logger("ouroboros.client")
        let place = HostAndPort(host: token.host, port: Int(token.port))
        try await OuroborosClient.withConnection(
            to: EndpointName(place), credential: try store.credential() ?? token.credential, store: store,
            configuration: configuration
        ) { connection in
            // With its answer the gateway has left the epoch of the token for good.
            _ = try await connection.ping(timeout: timeout.duration)
        }
    }

    /// A gateway gives strangers no reason, so all that it may be is told.
    private func refusal(of token: DeviceToken, _ path: String) -> OuroborosError {
        let used =
            token.credential.kind == .evolving
            ? "or the token was used before: then somebody else has joined with it, and `device reissue` shuts him out; "
            : ""
        return OuroborosError(
            .unreachable,
            "\(token.gateway) did not answer within \(timeout.duration), and gives no reason; its log does. It does not run or "
                + "is out of reach; \(used)or the device has a newer token, was disabled or removed. “\(path)” "
                + "stays, and the same call goes on with it")
    }
}
