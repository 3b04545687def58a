import ArgumentParser
import OuroborosGateway

/// Some of the gateway's configuration as flags, which win over the environment and the file.
protocol GatewayFlagGroup: ParsableArguments {
    /// Nil is what was not given.
    var values: [GatewayKey: String?] { get }
}

/// Groups stand beside each other in the command and never in one another: debug builds of the argument parser check a
/// group several times for each level above it.
struct GatewayFlags: GatewayFlagGroup {
    @Option(help: .of(.store)) var store: String?
    @Option(help: .of(.kekFile)) var kekFile: String?
    @Option(help: .of(.kekEnv)) var kekEnv: String?
    @Option(help: .of(.registry)) var registry: String?
    @Option(help: .of(.spool)) var spool: String?
    @Option(help: .of(.fleetKeyFile)) var fleetKeyFile: String?
    @Option(help: .of(.fleetKeyEnv)) var fleetKeyEnv: String?
    @Option(parsing: .singleValue, help: .of(.bind)) var bind: [String] = []
    @Flag(inversion: .prefixedNo, help: .of(.echo)) var echo: Bool?
    @Option(help: .of(.logLevel)) var logLevel: String?
    @Option(help: .of(.metrics)) var metrics: String?
    @Option(parsing: .singleValue, help: .of(.hostName)) var hostName: [String] = []
    @Flag(inversion: .prefixedNo, help: .of(.pagePayloads)) var pagePayloads: Bool?

    var values: [GatewayKey: String?] {
        [
            .store: store, .kekFile: kekFile, .kekEnv: kekEnv, .registry: registry, .spool: spool,
            .fleetKeyFile: fleetKeyFile, .fleetKeyEnv: fleetKeyEnv,
            .bind: bind.isEmpty ? nil : bind.joined(separator: ","),
            .echo: echo.map { "\($0)" }, .logLevel: logLevel, .metrics: metrics,
            .hostName: hostName.isEmpty ? nil : hostName.joined(separator: ","),
            .pagePayloads: pagePayloads.map { "\($0)" },
        ]
    }

    struct Fleet: GatewayFlagGroup {
        @Option(help: .of(.gatewayNumber)) var gatewayNumber: String?
        @Option(parsing: .singleValue, help: .of(.fleetSecretFile)) var fleetSecretFile: [String] = []
        @Option(parsing: .singleValue, help: .of(.fleetSecretEnv)) var fleetSecretEnv: [String] = []
        @Option(help: .of(.forwardBind)) var forwardBind: String?
        @Option(parsing: .singleValue, help: .of(.peer)) var peer: [String] = []
        @Option(help: .of(.workers)) var workers: String?

        var values: [GatewayKey: String?] {
            [
                .gatewayNumber: gatewayNumber,
                .fleetSecretFile: fleetSecretFile.isEmpty ? nil : fleetSecretFile.joined(separator: ","),
                .fleetSecretEnv: fleetSecretEnv.isEmpty ? nil : fleetSecretEnv.joined(separator: ","),
                .forwardBind: forwardBind,
                .peer: peer.isEmpty ? nil : peer.joined(separator: ","), .workers: workers,
            ]
        }
    }

    struct Limits: GatewayFlagGroup {
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

        var values: [GatewayKey: String?] {
            [
                .maxDevices: maxDevices, .maxStreams: maxStreams, .streamsPerAddress: streamsPerAddress,
                .pendingSessions: pendingSessions, .queue: queue, .queuePerDevice: queuePerDevice,
                .places: places, .placesPerDevice: placesPerDevice, .reach: reach,
                .idleTimeout: idleTimeout, .rekeyAge: rekeyAge, .closeTimeout: closeTimeout,
            ]
        }
    }
}

extension ArgumentHelp {
    static func of(_ key: GatewayKey) -> ArgumentHelp {
        ArgumentHelp(key.help)
    }
}
