/// A key of the gateway's configuration. The raw value is its name in the file and, after `--`, as a flag; in
/// the environment it is `OUROBOROS_GATEWAY_` and the name in capitals, with `_` for `-`.
///
/// A new one needs a case, its meaning and default here, a flag, and a line in ``GatewaySettings``.
enum GatewayKey: String, CaseIterable {
    case store
    case kekFile = "kek-file"
    case kekEnv = "kek-env"
    case fleetKeyFile = "fleet-key-file"
    case spool
    case bind
    case echo
    case logLevel = "log-level"
    case metrics
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

    enum Kind {
        case text, list, number, time, yesOrNo
    }

    static let environmentPrefix = "OUROBOROS_GATEWAY_"

    var environmentName: String {
        Self.environmentPrefix + rawValue.uppercased().replacing("-", with: "_")
    }

    var kind: Kind {
        switch self {
        case .store, .kekFile, .kekEnv, .fleetKeyFile, .spool, .logLevel, .metrics: .text
        case .bind: .list
        case .maxDevices, .maxStreams, .streamsPerAddress, .pendingSessions, .queue, .queuePerDevice, .places,
            .placesPerDevice, .reach:
            .number
        case .idleTimeout, .rekeyAge, .closeTimeout: .time
        case .echo, .pagePayloads: .yesOrNo
        }
    }

    /// Nil for what is off unless it is given.
    var defaultValue: String? {
        switch self {
        case .store, .kekFile, .kekEnv, .fleetKeyFile, .spool, .metrics: nil
        case .bind: "0.0.0.0:5700"
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
        }
    }

    var help: String {
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
            "A file with a fleet's key: its devices, of fixed credentials, need no entry in the store."
        case .bind:
            "An address to listen on: HOST:PORT for UDP, or tcp://HOST:PORT; may be repeated (default: 0.0.0.0:5700)."
        case .echo: "Sends each message back to its device."
        case .logLevel: "trace, debug, info, notice, warning or error (default: info)."
        case .metrics:
            """
            Serves a page of the devices, /metrics and /healthz over HTTP at HOST:PORT, without TLS or a password: \
            127.0.0.1:9700 is usual.
            """
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
        }
    }
}
