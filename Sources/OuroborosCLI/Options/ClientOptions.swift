import ArgumentParser
import Logging
import Ouroboros
import OuroborosNIO
import OuroborosStore
import OuroborosText

/// What `send`, `sensor` and `ping` have in common.
struct ClientOptions: ParsableArguments {
    @Option(help: "The gateway: HOST:PORT, or tcp://HOST:PORT.")
    var to: String

    @Option(help: "This device's id, 16 hexadecimal digits.")
    var device: String

    @OptionGroup var keys: RootKeyOptions

    @Flag(help: "The key moves on with each handshake; needs --state.")
    var evolving = false

    @Option(
        help: """
            The device's own durable state, made from the root key at the first call; after that the root key is \
            neither needed nor read.
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
        let configuration: ClientConfiguration
    }

    func identity() throws -> Identity {
        let server = try EndpointName(parsing: to)
        let id = try DeviceID(hex: device)
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
            let credential = Credential.fixed(device: id, rootKey: try keys.rootKey())
            return Identity(
                server: server, credential: credential, store: nil, configuration: configuration)
        }
        let (store, credential) = try open(state, id)
        return Identity(
            server: server, credential: credential, store: store, configuration: configuration)
    }

    private func open(_ path: String, _ id: DeviceID) throws -> (DeviceState, Credential) {
        // A missing key must not leave an empty state behind.
        let newKey = PrivateFile.exists(path) ? nil : try keys.rootKey()
        let store = try DeviceState(path: path, keyEncryptionKey: try encryption.key())
        if let credential = try store.credential() {
            guard credential.deviceID == id else {
                throw OuroborosError(
                    .invalidConfiguration,
                    "“\(path)” is the state of device \(credential.deviceID), not of \(id)")
            }
            guard credential.kind == .evolving || !evolving else {
                throw OuroborosError(
                    .invalidConfiguration,
                    "“\(path)” holds a fixed credential: leave --evolving out, or name another file")
            }
            return (store, credential)
        }
        let key = try newKey ?? keys.rootKey()
        let credential: Credential =
            evolving ? .evolving(device: id, key: key) : .fixed(device: id, rootKey: key)
        try store.save(credential)
        Output.note(
            "ouroboros: the credential is in “\(path)” now, \(store.isSealed ? "sealed" : "not sealed"): this "
                + "device does not need the root key any more, and its copy here may be deleted")
        return (store, credential)
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
