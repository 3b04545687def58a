import ArgumentParser
import OuroborosGateway

/// The flags of sinks and downlink.
enum GatewaySinkFlags {
    struct Spool: GatewayFlagGroup {
        @Option(help: .of(.spoolMessages)) var spoolMessages: String?
        @Option(help: .of(.spoolBytes)) var spoolBytes: String?
        @Option(help: .of(.spoolKeep)) var spoolKeep: String?
        @Option(help: .of(.spoolDead)) var spoolDead: String?
        @Flag(inversion: .prefixedNo, help: .of(.sinkStdout)) var sinkStdout: Bool?

        var values: [GatewayKey: String?] {
            [
                .spoolMessages: spoolMessages, .spoolBytes: spoolBytes, .spoolKeep: spoolKeep,
                .spoolDead: spoolDead,
                .sinkStdout: sinkStdout.map { "\($0)" },
            ]
        }
    }

    struct File: GatewayFlagGroup {
        @Option(help: .of(.sinkFile)) var sinkFile: String?
        @Option(help: .of(.fileSize)) var fileSize: String?
        @Option(help: .of(.fileAge)) var fileAge: String?
        @Option(help: .of(.fileKeep)) var fileKeep: String?

        var values: [GatewayKey: String?] {
            [.sinkFile: sinkFile, .fileSize: fileSize, .fileAge: fileAge, .fileKeep: fileKeep]
        }
    }

    struct MQTT: GatewayFlagGroup {
        @Option(help: .of(.sinkMQTT)) var sinkMQTT: String?
        @Option(help: .of(.mqttClientID)) var mqttClientID: String?
        @Option(help: .of(.mqttUser)) var mqttUser: String?
        @Option(help: .of(.mqttPasswordFile)) var mqttPasswordFile: String?
        @Option(help: .of(.mqttPasswordEnv)) var mqttPasswordEnv: String?
        @Option(name: .customLong("mqtt-ca-file"), help: .of(.mqttCAFile)) var mqttCAFile: String?
        @Option(help: .of(.mqttCertFile)) var mqttCertFile: String?
        @Option(help: .of(.mqttKeyFile)) var mqttKeyFile: String?
        @Option(help: .of(.mqttUp)) var mqttUp: String?
        @Option(help: .of(.mqttStatus)) var mqttStatus: String?
        @Option(help: .of(.mqttDown)) var mqttDown: String?
        @Option(help: .of(.mqttGateway)) var mqttGateway: String?
        @Option(help: .of(.mqttPayload)) var mqttPayload: String?
        @Option(help: .of(.homeAssistant)) var homeAssistant: String?
        @Option(help: .of(.offlineAfter)) var offlineAfter: String?

        var values: [GatewayKey: String?] {
            [
                .sinkMQTT: sinkMQTT, .mqttClientID: mqttClientID, .mqttUser: mqttUser,
                .mqttPasswordFile: mqttPasswordFile, .mqttPasswordEnv: mqttPasswordEnv,
                .mqttCAFile: mqttCAFile, .mqttCertFile: mqttCertFile,
                .mqttKeyFile: mqttKeyFile, .mqttUp: mqttUp, .mqttStatus: mqttStatus, .mqttDown: mqttDown,
                .mqttGateway: mqttGateway, .mqttPayload: mqttPayload, .homeAssistant: homeAssistant,
                .offlineAfter: offlineAfter,
            ]
        }
    }

    struct HTTP: GatewayFlagGroup {
        @Option(help: .of(.sinkHTTP)) var sinkHTTP: String?
        @Option(help: .of(.httpTokenFile)) var httpTokenFile: String?
        @Option(help: .of(.httpTokenEnv)) var httpTokenEnv: String?
        @Option(name: .customLong("http-ca-file"), help: .of(.httpCAFile)) var httpCAFile: String?
        @Option(help: .of(.httpTimeout)) var httpTimeout: String?
        @Option(help: .of(.httpBatch)) var httpBatch: String?

        var values: [GatewayKey: String?] {
            [
                .sinkHTTP: sinkHTTP, .httpTokenFile: httpTokenFile, .httpTokenEnv: httpTokenEnv,
                .httpCAFile: httpCAFile,
                .httpTimeout: httpTimeout, .httpBatch: httpBatch,
            ]
        }
    }

    struct Downlink: GatewayFlagGroup {
        @Option(help: .of(.downlink)) var downlink: String?
        @Option(help: .of(.downlinkHTTP)) var downlinkHTTP: String?
        @Option(help: .of(.downlinkTokenFile)) var downlinkTokenFile: String?
        @Option(help: .of(.downlinkTokenEnv)) var downlinkTokenEnv: String?
        @Option(help: .of(.downlinkTTL)) var downlinkTTL: String?
        @Option(help: .of(.downlinkWait)) var downlinkWait: String?
        @Option(help: .of(.downlinkMessages)) var downlinkMessages: String?
        @Option(help: .of(.downlinkBytes)) var downlinkBytes: String?
        @Option(help: .of(.downlinkPerDevice)) var downlinkPerDevice: String?
        @Option(help: .of(.downlinkBytesPerDevice)) var downlinkBytesPerDevice: String?
        @Option(help: .of(.sleepingAfter)) var sleepingAfter: String?

        var values: [GatewayKey: String?] {
            [
                .downlink: downlink, .downlinkHTTP: downlinkHTTP, .downlinkTokenFile: downlinkTokenFile,
                .downlinkTokenEnv: downlinkTokenEnv,
                .downlinkTTL: downlinkTTL, .downlinkWait: downlinkWait, .downlinkMessages: downlinkMessages,
                .downlinkBytes: downlinkBytes, .downlinkPerDevice: downlinkPerDevice,
                .downlinkBytesPerDevice: downlinkBytesPerDevice, .sleepingAfter: sleepingAfter,
            ]
        }
    }
}
