import Logging
import Ouroboros
import OuroborosNIO
import OuroborosStore
import OuroborosText

/// The gateway's configuration, every value checked.
package struct GatewaySettings: Sendable {
    let store: String?
    let encryption: KeyEncryption
    let fleetKey: SecretSource?
    let spool: String?
    let bind: [EndpointName]
    let echo: Bool
    package let logLevel: Logger.Level
    let metrics: HostAndPort?
    let registry: String?
    let fleet: FleetSettings?
    let pagePayloads: Bool
    let server: ServerConfiguration
    let sinks: GatewaySinkSettings
    /// In the order of the keys.
    let all: [GatewaySources.Setting]

    /// Without sinks messages are printed.
    package var writesToStandardOutput: Bool { !sinks.hasSinks || sinks.printsFromSpool }

    package init(_ sources: GatewaySources) throws {
        all = try GatewayKey.allCases.map(sources.setting)
        let settings = Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0) })
        func setting(_ key: GatewayKey) -> GatewaySources.Setting {
            settings[key] ?? .init(key: key, value: key.defaultValue, origin: "default")
        }
        store = try setting(.store).text()
        encryption = try KeyEncryption(
            file: try setting(.kekFile).text(), environment: try setting(.kekEnv).text())
        spool = try setting(.spool).text()
        fleetKey = try setting(.fleetKeyFile).secret(or: setting(.fleetKeyEnv))
        bind = try setting(.bind).endpoints()
        echo = try setting(.echo).yesOrNo()
        logLevel = try setting(.logLevel).level()
        metrics = try setting(.metrics).address()
        registry = try setting(.registry).text()
        fleet = try FleetSettings(setting)
        pagePayloads = try setting(.pagePayloads).yesOrNo()
        guard !pagePayloads || metrics != nil else {
            throw OuroborosError(
                .invalidConfiguration, "“page-payloads” is for the page: give “metrics” HOST:PORT, too")
        }
        var server = ServerConfiguration()
        server.maximumDevices = try setting(.maxDevices).number(1...1_000_000)
        server.maximumStreams = try setting(.maxStreams).number(1...1_000_000)
        server.streamsPerAddress = try setting(.streamsPerAddress).number(1...1_000_000)
        server.pendingSessions = try setting(.pendingSessions).number(1...65_535)
        server.queueCapacity = try setting(.queue).number(1...1_000_000)
        server.queuePerDevice = try setting(.queuePerDevice).number(1...65_535)
        server.places = try setting(.places).number(1...65_535)
        server.link.placeLimit = try setting(.placesPerDevice).number(1...65_535)
        server.link.reach = try setting(.reach).number(4...64)
        server.link.idleTimeout = try setting(.idleTimeout).milliseconds(atLeast: 100)
        server.link.rekeyAge = try setting(.rekeyAge).milliseconds(atLeast: 1000)
        server.closeTimeout = try setting(.closeTimeout).time()
        server.workers = try setting(.workers).number(1...64)
        self.server = server
        sinks = try GatewaySinkSettings(setting)
        guard store != nil || fleetKey != nil || registry != nil else {
            throw Self.nobody
        }
        guard registry == nil || (store == nil && spool == nil && fleet != nil) else {
            throw OuroborosError(
                .invalidConfiguration,
                "--registry takes the place of --store and --spool, and needs --gateway-number")
        }
    }

    static let nobody = OuroborosError(
        .invalidConfiguration, "give --store, --registry or --fleet-key-file: whose devices?")

    /// The configuration as a YAML file that says where each value comes from.
    package var description: String {
        all.map { setting in
            guard let value = setting.value else { return "# \(setting.key.rawValue): not set" }
            var line = JSONLine()
            line.add(setting.key.rawValue, value)
            // JSON's strings are YAML's too; numbers and answers need no quotes.
            let quoted = String(
                decoding: line.finished().dropFirst(setting.key.rawValue.utf8.count + 4).dropLast(),
                as: UTF8.self)
            let isBare = setting.key.kind == .number || setting.key.kind == .yesOrNo
            return "\(setting.key.rawValue): \(isBare ? value : quoted)  # \(setting.origin)"
        }.joined(separator: "\n")
    }
}
