import ArgumentParser

/// The gateway's configuration as flags, which win over the environment and the file.
struct GatewayFlags: ParsableArguments {
    @Option(help: .of(.store)) var store: String?
    @Option(help: .of(.kekFile)) var kekFile: String?
    @Option(help: .of(.kekEnv)) var kekEnv: String?
    @Option(help: .of(.registry)) var registry: String?
    @Option(help: .of(.spool)) var spool: String?
    @Option(help: .of(.fleetKeyFile)) var fleetKeyFile: String?
    @Option(parsing: .singleValue, help: .of(.bind)) var bind: [String] = []
    @Flag(inversion: .prefixedNo, help: .of(.echo)) var echo: Bool?
    @Option(help: .of(.logLevel)) var logLevel: String?
    @Option(help: .of(.metrics)) var metrics: String?
    @Flag(inversion: .prefixedNo, help: .of(.pagePayloads)) var pagePayloads: Bool?
    @OptionGroup(title: "Fleet") var fleet: Fleet
    @OptionGroup(title: "Limits and times") var limits: Limits
    @OptionGroup var sinks: GatewaySinkFlags

    struct Fleet: ParsableArguments {
        @Option(help: .of(.gatewayNumber)) var gatewayNumber: String?
        @Option(help: .of(.fleetSecretFile)) var fleetSecretFile: String?
        @Option(help: .of(.forwardBind)) var forwardBind: String?
        @Option(parsing: .singleValue, help: .of(.peer)) var peer: [String] = []
        @Option(help: .of(.workers)) var workers: String?
    }

    struct Limits: ParsableArguments {
        @Option(help: .of(.maxDevices)) var maxDevices: String?
        @Option(help: .of(.maxStreams)) var maxStreams: String?
        @Option(help: .of(.streamsPerAddress)) var streamsPerAddress: String?
        @Option(help: .of(.pendingSessions)) var pendingSessions: String?
        @Option(help: .of(.queue)) var queue: String?
        @Option(help: .of(.queuePerDevice)) var queuePerDevice: String?
        @Option(help: .of(.places)) var places: String?
        @Option(help: .of(.placesPerDevice)) var placesPerDevice: String?
        @Option(help: .of(.reach)) var reach: String?
        @Option(help: .of(.idleTimeout)) var idleTimeout: String?
        @Option(help: .of(.rekeyAge)) var rekeyAge: String?
        @Option(help: .of(.closeTimeout)) var closeTimeout: String?
    }

    var values: [GatewayKey: String] {
        let given: [GatewayKey: String?] = [
            .store: store, .kekFile: kekFile, .kekEnv: kekEnv, .registry: registry, .spool: spool,
            .fleetKeyFile: fleetKeyFile, .gatewayNumber: fleet.gatewayNumber,
            .fleetSecretFile: fleet.fleetSecretFile, .forwardBind: fleet.forwardBind,
            .peer: fleet.peer.isEmpty ? nil : fleet.peer.joined(separator: ","), .workers: fleet.workers,
            .bind: bind.isEmpty ? nil : bind.joined(separator: ","), .echo: echo.map { "\($0)" },
            .logLevel: logLevel, .metrics: metrics, .pagePayloads: pagePayloads.map { "\($0)" },
            .maxDevices: limits.maxDevices,
            .maxStreams: limits.maxStreams, .streamsPerAddress: limits.streamsPerAddress,
            .pendingSessions: limits.pendingSessions, .queue: limits.queue,
            .queuePerDevice: limits.queuePerDevice, .places: limits.places,
            .placesPerDevice: limits.placesPerDevice, .reach: limits.reach, .idleTimeout: limits.idleTimeout,
            .rekeyAge: limits.rekeyAge, .closeTimeout: limits.closeTimeout,
        ]
        return given.merging(sinks.values) { _, new in new }.compactMapValues(\.self)
    }
}

extension ArgumentHelp {
    static func of(_ key: GatewayKey) -> ArgumentHelp {
        ArgumentHelp(key.help)
    }
}
