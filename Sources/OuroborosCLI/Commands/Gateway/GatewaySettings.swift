import CommandKit
import Logging
import Ouroboros
import OuroborosNIO

/// The gateway's configuration, every value checked.
struct GatewaySettings: Sendable {
    let store: String?
    let encryption: KeyEncryptionOptions
    let fleetKeyFile: String?
    let spool: String?
    let bind: [EndpointName]
    let echo: Bool
    let logLevel: Logger.Level
    let metrics: HostAndPort?
    let registry: String?
    let fleet: GatewayFleet?
    let pagePayloads: Bool
    let server: ServerConfiguration
    let sinks: GatewaySinkSettings
    /// In the order of the keys.
    let all: [GatewaySources.Setting]

    init(_ sources: GatewaySources) throws {
        all = try GatewayKey.allCases.map(sources.setting)
        let settings = Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0) })
        func setting(_ key: GatewayKey) -> GatewaySources.Setting {
            settings[key] ?? .init(key: key, value: key.defaultValue, origin: "default")
        }
        store = try setting(.store).text()
        var encryption = KeyEncryptionOptions()
        encryption.kekFile = try setting(.kekFile).text()
        encryption.kekEnv = try setting(.kekEnv).text()
        self.encryption = encryption
        spool = try setting(.spool).text()
        fleetKeyFile = try setting(.fleetKeyFile).text()
        bind = try setting(.bind).endpoints()
        echo = try setting(.echo).yesOrNo()
        logLevel = try setting(.logLevel).level()
        metrics = try setting(.metrics).address()
        registry = try setting(.registry).text()
        fleet = try GatewayFleet(setting)
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
        server.link.idleTimeout = try setting(.idleTimeout).milliseconds()
        server.link.rekeyAge = try setting(.rekeyAge).milliseconds()
        server.closeTimeout = try setting(.closeTimeout).time()
        server.workers = try setting(.workers).number(1...64)
        self.server = server
        sinks = try GatewaySinkSettings(setting)
        guard store != nil || fleetKeyFile != nil || registry != nil else {
            throw OuroborosError(
                .invalidConfiguration, "give --store, --registry or --fleet-key-file: whose devices?")
        }
        guard registry == nil || (store == nil && spool == nil && fleet != nil) else {
            throw OuroborosError(
                .invalidConfiguration,
                "--registry takes the place of --store and --spool, and needs --gateway-number")
        }
    }

    /// The configuration as a YAML file that says where each value comes from.
    var description: String {
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

extension GatewaySources.Setting {
    func text() throws -> String? {
        guard let value else { return nil }
        guard !value.isEmpty else { throw refused("it is empty: leave it out, or name something") }
        return value
    }

    func address() throws -> HostAndPort? {
        guard let value else { return nil }
        do {
            return try HostAndPort(parsing: value)
        } catch {
            throw refused("write HOST:PORT or [IPV6]:PORT, such as 127.0.0.1:5700")
        }
    }

    func endpoints() throws -> [EndpointName] {
        let names = (value ?? "").split(separator: ",", omittingEmptySubsequences: false)
        do {
            return try names.map { name in
                let name = name.drop { $0 == " " }.prefix { $0 != " " }
                return try EndpointName(parsing: String(name))
            }
        } catch {
            throw refused("write HOST:PORT or tcp://HOST:PORT, such as 0.0.0.0:5700; several with commas")
        }
    }

    func number(_ range: ClosedRange<Int>) throws -> Int {
        guard let number = value.flatMap({ Int($0) }), range.contains(number) else {
            throw refused("write a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func time() throws -> Duration {
        guard let time = value.flatMap(TimeArgument.init(argument:)) else {
            throw refused("write a time such as 500ms, 10s, 5m or 24h")
        }
        return time.duration
    }

    func milliseconds() throws -> UInt64 {
        let (seconds, attoseconds) = try time().components
        return UInt64(max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000))
    }

    func yesOrNo() throws -> Bool {
        switch value {
        case "true", "yes", "1": true
        case "false", "no", "0": false
        default: throw refused("write true or false")
        }
    }

    func level() throws -> Logger.Level {
        guard let level = value.flatMap(Logger.Level.init(rawValue:)) else {
            throw refused("write trace, debug, info, notice, warning or error")
        }
        return level
    }
}
