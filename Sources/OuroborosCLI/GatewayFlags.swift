import ArgumentParser

/// The gateway's configuration as flags, which win over the environment and the file.
struct GatewayFlags: ParsableArguments {
    @Option(help: help(.store)) var store: String?
    @Option(help: help(.kekFile)) var kekFile: String?
    @Option(help: help(.kekEnv)) var kekEnv: String?
    @Option(help: help(.spool)) var spool: String?
    @Option(help: help(.fleetKeyFile)) var fleetKeyFile: String?
    @Option(parsing: .singleValue, help: help(.bind)) var bind: [String] = []
    @Flag(inversion: .prefixedNo, help: help(.echo)) var echo: Bool?
    @Option(help: help(.logLevel)) var logLevel: String?
    @Option(help: help(.metrics)) var metrics: String?
    @Flag(inversion: .prefixedNo, help: help(.pagePayloads)) var pagePayloads: Bool?
    @OptionGroup(title: "Limits and times") var limits: Limits

    struct Limits: ParsableArguments {
        @Option(help: help(.maxDevices)) var maxDevices: String?
        @Option(help: help(.maxStreams)) var maxStreams: String?
        @Option(help: help(.streamsPerAddress)) var streamsPerAddress: String?
        @Option(help: help(.pendingSessions)) var pendingSessions: String?
        @Option(help: help(.queue)) var queue: String?
        @Option(help: help(.queuePerDevice)) var queuePerDevice: String?
        @Option(help: help(.places)) var places: String?
        @Option(help: help(.placesPerDevice)) var placesPerDevice: String?
        @Option(help: help(.reach)) var reach: String?
        @Option(help: help(.idleTimeout)) var idleTimeout: String?
        @Option(help: help(.rekeyAge)) var rekeyAge: String?
        @Option(help: help(.closeTimeout)) var closeTimeout: String?
    }

    var values: [GatewayKey: String] {
        let given: [GatewayKey: String?] = [
            .store: store, .kekFile: kekFile, .kekEnv: kekEnv, .spool: spool, .fleetKeyFile: fleetKeyFile,
            .bind: bind.isEmpty ? nil : bind.joined(separator: ","), .echo: echo.map { "\($0)" },
            .logLevel: logLevel, .metrics: metrics, .pagePayloads: pagePayloads.map { "\($0)" },
            .maxDevices: limits.maxDevices,
            .maxStreams: limits.maxStreams, .streamsPerAddress: limits.streamsPerAddress,
            .pendingSessions: limits.pendingSessions, .queue: limits.queue,
            .queuePerDevice: limits.queuePerDevice, .places: limits.places,
            .placesPerDevice: limits.placesPerDevice, .reach: limits.reach, .idleTimeout: limits.idleTimeout,
            .rekeyAge: limits.rekeyAge, .closeTimeout: limits.closeTimeout,
        ]
        return given.compactMapValues(\.self)
    }
}

private func help(_ key: GatewayKey) -> ArgumentHelp {
    ArgumentHelp(key.help)
}
