import ArgumentParser
import Logging
import Ouroboros
import OuroborosNIO
import OuroborosStore
import OuroborosText

/// What `send`, `sensor` and `ping` have in common.
struct ClientOptions: ParsableArguments {
    @Option(help: "The gateway: HOST:PORT, or tcp://HOST:PORT; a state that joined knows it.")
    var to: String?

    @Option(help: "This device's id, 16 hexadecimal digits; a state knows it.")
    var device: String?

    @OptionGroup var keys: RootKeyOptions

    @Flag(help: "The key moves on with each handshake; needs --state.")
    var evolving = false

    @Option(
        help: """
            The device's own durable state, made by `join`, or from the root key at the first call; after that the root \
            key is not needed, and only compared if it is there.
            """)
    var state: String?

    @OptionGroup var encryption: KeyEncryptionOptions

    @Option(help: "How long to wait for the gateway's answer; without it the protocol's 45 seconds or more.")
    var timeout: TimeArgument?

    @OptionGroup var log: LogOptions

    @OptionGroup var taps: TapOptions

    struct Identity {
        let server: EndpointName
        let credential: Credential
        let store: DeviceState?
        var configuration: ClientConfiguration
    }

    func identity() throws -> Identity {
        let server = try to.map { try EndpointName(parsing: $0) }
        let id = try device.map { try DeviceID(hex: $0) }
        var configuration = ClientConfiguration()
        configuration.connectTimeout = timeout?.duration
        configuration.logger = log.logger("ouroboros.client")
        configuration.link.tap = try taps.tap()
        guard let state else {
            guard !evolving else {
                throw OuroborosError(
                    .invalidConfiguration,
                    "--evolving needs --state FILE: without it the next call could not connect any more")
            }
            guard let id else { throw Self.missing("--device ID") }
            guard let server else { throw Self.missing("--to HOST:PORT") }
            let credential = Credential.fixed(device: id, rootKey: try keys.rootKey())
            return Identity(
                server: server, credential: credential, store: nil, configuration: configuration)
        }
        let (store, credential) = try open(state, id, hasServer: server != nil)
        let joined = try server == nil ? store.gateway() : nil
        guard let place = try server ?? joined.map({ try EndpointName(parsing: $0) }) else {
            throw Self.missing("--to HOST:PORT")
        }
        return Identity(
            server: place, credential: credential, store: store, configuration: configuration)
    }

    private static func missing(_ option: String) -> OuroborosError {
        OuroborosError(
            .invalidConfiguration,
            "\(option) is missing, and no state that joined a gateway says it (--state)")
    }

    private func open(
        _ path: String, _ id: DeviceID?, hasServer: Bool
    ) throws -> (DeviceState, Credential) {
        // What is missing must not leave an empty state behind.
        var newKey: RootKey?
        if !PrivateFile.exists(path) {
            guard id != nil else {
                throw OuroborosError(
                    .storage,
                    "there is no “\(path)”: `ouroboros join` makes one, or --device with --to and a root key")
            }
            guard hasServer else { throw Self.missing("--to HOST:PORT") }
            newKey = try keys.rootKey()
        }
        let store = try DeviceState(path: path, keyEncryptionKey: try encryption.key())
        if let credential = try store.credential() {
            try check(credential, id, in: store)
            return (store, credential)
        }
        guard let id else { throw Self.missing("--device ID") }
        let key = try newKey ?? keys.rootKey()
        let credential: Credential =
            evolving ? .evolving(device: id, key: key) : .fixed(device: id, rootKey: key)
        try store.begin(credential)
        Output.note(
            "ouroboros: the credential is in “\(path)” now, \(store.isSealed ? "sealed" : "not sealed"): this "
                + "device does not need the root key any more, and its copy here may be deleted")
        return (store, credential)
    }

    private func check(_ credential: Credential, _ id: DeviceID?, in store: DeviceState) throws {
        if let id, credential.deviceID != id {
            throw OuroborosError(
                .invalidConfiguration,
                "“\(store.path)” is the state of device \(credential.deviceID), not of \(id)")
        }
        guard credential.kind == .evolving || !evolving else {
            throw OuroborosError(
                .invalidConfiguration,
                "“\(store.path)” holds a fixed credential: leave --evolving out, or name another file")
        }
        // It may have been deleted, as it should.
        if keys.isGiven, let key = try? keys.rootKey() {
            try store.check(rootKey: key)
        }
    }
}

struct LogOptions: ParsableArguments {
    @Option(help: "trace, debug, info, notice, warning or error; logs go to standard error.")
    var logLevel: Logger.Level = .warning

    func logger(_ label: String) -> Logger {
        var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = logLevel
        return logger
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
