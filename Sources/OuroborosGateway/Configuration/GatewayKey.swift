/// A key of the gateway's configuration. The raw value is its name in the file and, after `--`, as a flag; in
/// the environment it is `OUROBOROS_GATEWAY_` and the name in capitals, with `_` for `-`.
///
/// A new one needs a case, its meaning and default here, a flag, and a line in ``GatewaySettings``.
package enum GatewayKey: String, CaseIterable {
    case store
    case kekFile = "kek-file"
    case kekEnv = "kek-env"
    case fleetKeyFile = "fleet-key-file"
    case fleetKeyEnv = "fleet-key-env"
    case registry
    case spool
    case bind
    case echo
    case logLevel = "log-level"
    case metrics
    case hostName = "host-name"
    case gatewayNumber = "gateway-number"
    case fleetSecretFile = "fleet-secret-file"
    case fleetSecretEnv = "fleet-secret-env"
    case forwardBind = "forward-bind"
    case peer
    case workers
    case pagePayloads = "page-payloads"
    case maxDevices = "max-devices"
    case maxStreams = "max-streams"
    case streamsPerAddress = "streams-per-address"
    case pendingSessions = "pending-sessions"
    case queue
    case queuePerDevice = "queue-per-device"
    case places
    case placesPerDevice = "places-per-device"
    case reach
    case idleTimeout = "idle-timeout"
    case rekeyAge = "rekey-age"
    case closeTimeout = "close-timeout"
    case sinkStdout = "sink-stdout"
    case sinkFile = "sink-file"
    case fileSize = "file-size"
    case fileAge = "file-age"
    case fileKeep = "file-keep"
    case sinkMQTT = "sink-mqtt"
    case mqttClientID = "mqtt-client-id"
    case mqttUser = "mqtt-user"
    case mqttPasswordFile = "mqtt-password-file"
    case mqttPasswordEnv = "mqtt-password-env"
    case mqttCAFile = "mqtt-ca-file"
    case mqttCertFile = "mqtt-cert-file"
    case mqttKeyFile = "mqtt-key-file"
    case mqttUp = "mqtt-up"
    case mqttStatus = "mqtt-status"
    case mqttDown = "mqtt-down"
    case mqttGateway = "mqtt-gateway"
    case mqttPayload = "mqtt-payload"
    case homeAssistant = "home-assistant"
    case sinkHTTP = "sink-http"
    case httpTokenFile = "http-token-file"
    case httpTokenEnv = "http-token-env"
    case httpCAFile = "http-ca-file"
    case httpTimeout = "http-timeout"
    case httpBatch = "http-batch"
    case spoolMessages = "spool-messages"
    case spoolBytes = "spool-bytes"
    case spoolKeep = "spool-keep"
    case spoolDead = "spool-dead"
    case downlink
    case downlinkHTTP = "downlink-http"
    case downlinkTokenFile = "downlink-token-file"
    case downlinkTokenEnv = "downlink-token-env"
    case downlinkTTL = "downlink-ttl"
    case downlinkWait = "downlink-wait"
    case downlinkMessages = "downlink-messages"
    case downlinkBytes = "downlink-bytes"
    case downlinkPerDevice = "downlink-per-device"
    case downlinkBytesPerDevice = "downlink-bytes-per-device"
    case sleepingAfter = "sleeping-after"
    case offlineAfter = "offline-after"

    enum Kind {
        case text, list, number, time, yesOrNo
    }

    static let environmentPrefix = "OUROBOROS_GATEWAY_"

    var environmentName: String {
        Self.environmentPrefix + rawValue.uppercased().replacing("-", with: "_")
    }

    var kind: Kind {
        switch self {
        case .store, .kekFile, .kekEnv, .fleetKeyFile, .fleetKeyEnv, .registry, .spool, .logLevel, .metrics,
            .forwardBind:
            .text
        case .bind, .peer, .fleetSecretFile, .fleetSecretEnv, .hostName: .list
        case .maxDevices, .maxStreams, .streamsPerAddress, .pendingSessions, .queue, .queuePerDevice, .places,
            .placesPerDevice, .reach, .gatewayNumber, .workers:
            .number
        case .idleTimeout, .rekeyAge, .closeTimeout: .time
        case .echo, .pagePayloads, .sinkStdout: .yesOrNo
        case .sinkFile, .sinkMQTT, .mqttClientID, .mqttUser, .mqttPasswordFile, .mqttPasswordEnv, .mqttCAFile,
            .mqttCertFile,
            .mqttKeyFile, .mqttUp, .mqttStatus, .mqttDown, .mqttGateway, .mqttPayload, .homeAssistant,
            .sinkHTTP, .httpTokenFile, .httpTokenEnv, .httpCAFile, .downlink, .downlinkHTTP,
            .downlinkTokenFile, .downlinkTokenEnv:
            .text
        case .fileSize, .fileKeep, .httpBatch, .spoolMessages, .spoolBytes, .spoolKeep, .spoolDead,
            .downlinkMessages, .downlinkBytes, .downlinkPerDevice, .downlinkBytesPerDevice:
            .number
        case .fileAge, .httpTimeout, .downlinkTTL, .downlinkWait, .sleepingAfter, .offlineAfter:
            .time
        }
    }

    /// Nil for what is off unless it is given.
    var defaultValue: String? {
        switch self {
        case .store, .kekFile, .kekEnv, .fleetKeyFile, .fleetKeyEnv, .registry, .spool, .metrics, .hostName,
            .gatewayNumber,
            .fleetSecretFile, .fleetSecretEnv, .forwardBind, .peer:
            nil
        case .workers: "1"
        case .bind: "[::]:5700"
        case .echo, .pagePayloads: "false"
        case .logLevel: "info"
        case .maxDevices: "20000"
        case .maxStreams: "4096"
        case .streamsPerAddress: "256"
        case .pendingSessions: "256"
        case .queue: "8192"
        case .queuePerDevice: "64"
        case .places: "1024"
        case .placesPerDevice: "64"
        case .reach: "32"
        case .idleTimeout: "168h"
        case .rekeyAge: "24h"
        case .closeTimeout: "5s"
        case .sinkFile, .sinkMQTT, .mqttClientID, .mqttUser, .mqttPasswordFile, .mqttPasswordEnv, .mqttCAFile,
            .mqttCertFile,
            .mqttKeyFile, .mqttGateway, .homeAssistant, .sinkHTTP, .httpTokenFile, .httpTokenEnv, .httpCAFile,
            .downlink,
            .downlinkTokenFile, .downlinkTokenEnv:
            nil
        case .sinkStdout: "false"
        case .fileSize: "67108864"
        case .fileAge: "24h"
        case .fileKeep: "0"
        case .mqttUp: "ouroboros/{device}/up"
        case .mqttStatus: "ouroboros/{device}/status"
        case .mqttDown: "ouroboros/{device}/down"
        case .mqttPayload: "bytes"
        case .httpTimeout: "30s"
        case .httpBatch: "500"
        case .spoolMessages: "1000000"
        case .spoolBytes: "1073741824"
        case .spoolKeep: "1000"
        case .spoolDead: "10000"
        case .downlinkHTTP: "127.0.0.1:9701"
        case .downlinkTTL: "24h"
        case .downlinkWait: "10s"
        case .downlinkMessages: "10000"
        case .downlinkBytes: "8388608"
        case .downlinkPerDevice: "100"
        case .downlinkBytesPerDevice: "65536"
        case .sleepingAfter: "2m"
        case .offlineAfter: "48h"
        }
    }

    package var help: String {
        switch self {
        case .store: "The gateway's store, made by `ouroboros device add`."
        case .kekFile:
            "A file with the key under which the store's keys are sealed; else systemd's credential ouroboros-kek."
        case .kekEnv: "The environment variable that holds that key."
        case .spool:
            """
            An SQLite file that every message is stored in before it is acknowledged and printed; a message of an \
            outbox is stored and printed once, however often it comes.
            """
        case .fleetKeyFile:
            "A file with a fleet's key: its devices, of fixed credentials, need no entry in the store or registry."
        case .fleetKeyEnv: "The environment variable that holds that key."
        case .fleetSecretEnv: "The environment variables that hold those, in their place."
        case .mqttPasswordEnv: "The environment variable that holds that password."
        case .httpTokenEnv: "The environment variable that holds that token."
        case .downlinkTokenEnv: "The environment variable that holds that token."
        case .registry:
            """
            A PostgreSQL database that gateways share, postgres://USER@HOST/DATABASE, in place of --store and --spool; its \
            password stands in PGPASSFILE or ~/.pgpass. It needs a key-encryption key and --gateway-number.
            """
        case .gatewayNumber:
            "This gateway's number in its fleet, 1 to 255: the upper byte of its session ids."
        case .fleetSecretFile:
            """
            A file with the secret that all gateways of the fleet hold: challenges of one hold at each; a second time while it \
            is replaced, for the other one.
            """
        case .forwardBind:
            "The private HOST:PORT (UDP) for packets that landed on the wrong gateway; needs --fleet-secret-file."
        case .peer: "Another gateway of the fleet, NUMBER=HOST:PORT of its --forward-bind; may be repeated."
        case .workers: "Threads that share the addresses, each with the limits below (default: 1)."
        case .bind:
            "An address to listen on: HOST:PORT for UDP, or tcp://HOST:PORT; may be repeated (default: [::]:5700, IPv6 and IPv4)."
        case .echo: "Sends each message back to its device."
        case .logLevel: "trace, debug, info, notice, warning or error (default: info)."
        case .metrics:
            """
            Serves a page of the devices, /metrics and /healthz over HTTP at HOST:PORT, without TLS or a password: \
            127.0.0.1:9700 is usual.
            """
        case .hostName:
            "A name by which --metrics and the downlink may be asked, beside their addresses and localhost; may be repeated."
        case .pagePayloads: "The page shows each device's last messages to whoever opens it (default: off)."
        case .maxDevices: "Devices connected at once; one more ends the longest silent one (default: 20000)."
        case .maxStreams: "TCP connections at once; more are refused (default: 4096)."
        case .streamsPerAddress: "The same, from one address (default: 256)."
        case .pendingSessions: "Handshakes that wait for their first packet (default: 256)."
        case .queue: "Packets of messages that wait for standard output, of all devices (default: 8192)."
        case .queuePerDevice: "The same, of one device (default: 64)."
        case .places: "Messages to devices that wait or are in flight, of all (default: 1024)."
        case .placesPerDevice: "The same, of one device (default: 64)."
        case .reach:
            "How many packets of a device may overtake one, 4 to 64; memory for each session (default: 32)."
        case .idleTimeout: "The silence after which a session ends (default: 168h)."
        case .rekeyAge: "The age at which a session is replaced (default: 24h)."
        case .closeTimeout: "How long closing waits for what is under way (default: 5s)."
        case .sinkStdout: "Prints what is in the spool, and needs no reader that keeps up (default: false)."
        case .sinkFile: "Writes what is in the spool to this file, JSON lines; it rotates."
        case .fileSize: "Bytes of that file after which a new one is begun (default: 67108864)."
        case .fileAge: "Its age after which a new one is begun (default: 24h)."
        case .fileKeep: "Files put aside that stay; 0 is all (default: 0)."
        case .sinkMQTT:
            "Publishes what is in the spool at this broker: mqtt://HOST:PORT, or mqtts:// for TLS."
        case .mqttClientID:
            "The gateway's name at the broker; else one of the spool's own, with --registry with the gateway's number."
        case .mqttUser: "The user at the broker."
        case .mqttPasswordFile: "A file with that user's password, readable by its owner alone."
        case .mqttCAFile:
            "The authorities that the broker's certificate may come from, PEM; else the system's."
        case .mqttCertFile: "The gateway's own certificate, PEM."
        case .mqttKeyFile: "The key of that certificate, PEM, readable by its owner alone."
        case .mqttUp: "The topic of what devices send (default: ouroboros/{device}/up)."
        case .mqttStatus: "The topic of a device's status (default: ouroboros/{device}/status)."
        case .mqttDown:
            "The topic of what is sent to devices, with --downlink (default: ouroboros/{device}/down)."
        case .mqttGateway: "The topic of the gateway's own status; else ouroboros/gateway/CLIENT-ID/status."
        case .mqttPayload: "What is published: bytes, the message's own, or json, a line (default: bytes)."
        case .homeAssistant: "The prefix of Home Assistant's discovery, usually homeassistant."
        case .sinkHTTP: "Posts what is in the spool to this URL, batches of JSON lines."
        case .httpTokenFile: "A file with the bearer token for it, readable by its owner alone."
        case .httpCAFile: "The authorities that its certificate may come from, PEM; else the system's."
        case .httpTimeout: "How long it may take to answer (default: 30s)."
        case .httpBatch: "Messages in one request at most (default: 500)."
        case .spoolMessages: "Messages that not all sinks have; more wait at the devices (default: 1000000)."
        case .spoolBytes: "The same, their bytes (default: 1073741824)."
        case .spoolKeep: "Messages that stay in the spool after all sinks have them (default: 1000)."
        case .spoolDead:
            "Messages that a sink refused for good and that are kept; with more it waits (default: 10000)."
        case .downlink:
            """
            An SQLite file for messages to devices that wait, or, with --registry, the word registry: the queue is in that \
            database; without it nothing can be sent to devices.
            """
        case .downlinkHTTP:
            "Takes messages to devices over HTTP there, with --downlink-token-file (default: 127.0.0.1:9701)."
        case .downlinkTokenFile:
            "A file with the bearer token that those who send need, readable by its owner alone."
        case .downlinkTTL: "How long a message waits for its device unless it says so itself (default: 24h)."
        case .downlinkWait: "How long one who sends waits for the outcome (default: 10s)."
        case .downlinkMessages:
            "Messages to devices that wait, of all, with --registry of all gateways (default: 10000)."
        case .downlinkBytes: "The same, their bytes (default: 8388608)."
        case .downlinkPerDevice: "Messages that wait for one device (default: 100)."
        case .downlinkBytesPerDevice: "The same, their bytes (default: 65536)."
        case .sleepingAfter: "The silence after which a device counts as asleep (default: 2m)."
        case .offlineAfter:
            """
            The silence after which a device counts as offline, at the broker, unless its messages come at regular times: \
            then three of them have to be missing (default: 48h).
            """
        }
    }
}
