import Ouroboros
import OuroborosDownlink
import OuroborosNIO
import OuroborosSinks
import OuroborosStore

/// What sinks and downlink are set to, every value checked.
struct GatewaySinkSettings: Sendable {
    var limits = SpoolLimits()
    let printsFromSpool: Bool
    var file: FileSinkSettings?
    var http: HTTPSinkSettings?
    let sleepingAfter: Duration
    let offlineAfter: Duration
    var downlink: DownlinkSettings?
    let downlinkAddress: HostAndPort?
    /// Names by which whoever asks over HTTP may call the gateway, beside its addresses.
    let hostNames: [String]
    let downlinkToken: SecretSource?
    private var broker: MQTTBroker?
    private let clientID: String?
    private let up: TopicTemplate?
    private let status: TopicTemplate?
    private let down: TopicTemplate?
    private let gatewayTopic: String?
    private let payload: MQTTSettings.Payload
    private let discoveryPrefix: String?

    var hasSinks: Bool { printsFromSpool || file != nil || broker != nil || http != nil }

    init(_ setting: (GatewayKey) throws -> GatewaySources.Setting) throws {
        try Self.checkDependents(setting)
        printsFromSpool = try setting(.sinkStdout).yesOrNo()
        sleepingAfter = try setting(.sleepingAfter).time()
        offlineAfter = try setting(.offlineAfter).time()
        clientID = try setting(.mqttClientID).text()
        up = try setting(.mqttUp).parsed(TopicTemplate.init)
        status = try setting(.mqttStatus).parsed(TopicTemplate.init)
        down = try setting(.mqttDown).parsed(TopicTemplate.init)
        gatewayTopic = try setting(.mqttGateway).parsed(Self.topic)
        discoveryPrefix = try setting(.homeAssistant).parsed(Self.topic)
        payload =
            try setting(.mqttPayload).parsed { text in
                guard let payload = MQTTSettings.Payload(rawValue: text) else {
                    throw OuroborosError(.invalidConfiguration, "write bytes or json")
                }
                return payload
            } ?? .bytes
        downlinkAddress = try setting(.downlinkHTTP).address()
        hostNames = try setting(.hostName).hostNames()
        downlinkToken = try Self.secret(.downlinkTokenFile, .downlinkTokenEnv, setting)
        limits.messages = try setting(.spoolMessages).number(1...1_000_000_000)
        limits.bytes = try setting(.spoolBytes).number(1...1 << 50)
        limits.kept = try setting(.spoolKeep).number(0...1_000_000_000)
        limits.dead = try setting(.spoolDead).number(0...1_000_000_000)
        file = try Self.file(setting)
        broker = try Self.broker(setting)
        http = try Self.http(setting)
        downlink = try Self.downlink(setting, sleepingAfter: sleepingAfter)
        try check(setting)
    }

    /// How the MQTT sink is set up, if there is one; without a client id of its own it has one with the gateway's name.
    /// Messages to devices are shared out among the gateways of a group.
    func mqtt(name: String, group: String?) -> MQTTSettings? {
        guard let broker, let up, let status else { return nil }
        let clientID = clientID ?? "ouroboros-\(name)"
        var settings = MQTTSettings(
            broker: broker, clientID: clientID, up: up, status: status,
            gatewayTopic: gatewayTopic ?? "ouroboros/gateway/\(clientID)/status")
        settings.down = downlink == nil ? nil : down
        settings.downGroup = group
        settings.payload = payload
        settings.discoveryPrefix = discoveryPrefix
        return settings
    }

    private static func secret(
        _ file: GatewayKey, _ environment: GatewayKey,
        _ setting: (GatewayKey) throws -> GatewaySources.Setting
    ) throws -> SecretSource? {
        try setting(file).secret(or: setting(environment))
    }

    private static func topic(_ text: String) throws -> String {
        try TopicTemplate.check(text)
        return text
    }

    private static func file(
        _ setting: (GatewayKey) throws -> GatewaySources.Setting
    ) throws -> FileSinkSettings? {
        var file = try setting(.sinkFile).text().map(FileSinkSettings.init)
        file?.mostBytes = try setting(.fileSize).number(1...1 << 50)
        file?.longestAge = try setting(.fileAge).time()
        file?.kept = try setting(.fileKeep).number(0...1_000_000)
        return file
    }

    private static func broker(
        _ setting: (GatewayKey) throws -> GatewaySources.Setting
    ) throws -> MQTTBroker? {
        var broker = try setting(.sinkMQTT).parsed(MQTTBroker.init(url:))
        broker?.user = try setting(.mqttUser).text()
        broker?.password = try secret(.mqttPasswordFile, .mqttPasswordEnv, setting)
        broker?.authorities = try setting(.mqttCAFile).text()
        broker?.certificate = try setting(.mqttCertFile).text()
        broker?.key = try setting(.mqttKeyFile).text()
        try broker?.check()
        return broker
    }

    private static func http(
        _ setting: (GatewayKey) throws -> GatewaySources.Setting
    ) throws -> HTTPSinkSettings? {
        var http = try setting(.sinkHTTP).parsed(HTTPSinkSettings.init(url:))
        http?.token = try secret(.httpTokenFile, .httpTokenEnv, setting)
        http?.authorities = try setting(.httpCAFile).text()
        http?.timeout = try setting(.httpTimeout).time()
        http?.batchLimit = try setting(.httpBatch).number(1...100_000)
        try http?.check()
        return http
    }

    private static func downlink(
        _ setting: (GatewayKey) throws -> GatewaySources.Setting, sleepingAfter: Duration
    ) throws -> DownlinkSettings? {
        var downlink = try setting(.downlink).text().map(DownlinkSettings.init)
        downlink?.timeToLive = try setting(.downlinkTTL).time()
        downlink?.answerWithin = try setting(.downlinkWait).time()
        downlink?.sleepingAfter = sleepingAfter
        downlink?.places = try setting(.places).number(1...65_535)
        downlink?.limits.messages = try setting(.downlinkMessages).number(1...10_000_000)
        downlink?.limits.bytes = try setting(.downlinkBytes).number(1...1 << 40)
        downlink?.limits.messagesPerDevice = try setting(.downlinkPerDevice).number(1...1_000_000)
        downlink?.limits.bytesPerDevice = try setting(.downlinkBytesPerDevice).number(1...1 << 40)
        return downlink
    }

    // MARK: What goes together

    /// A key that means nothing without another one is a mistake; a default that is written down is none.
    private static func checkDependents(
        _ setting: (GatewayKey) throws -> GatewaySources.Setting
    ) throws {
        let dependents: [GatewayKey: [GatewayKey]] = [
            .sinkFile: [.fileSize, .fileAge, .fileKeep],
            .sinkMQTT: [
                .mqttClientID, .mqttUser, .mqttPasswordFile, .mqttPasswordEnv, .mqttCAFile, .mqttCertFile,
                .mqttKeyFile,
                .mqttUp, .offlineAfter,
                .mqttStatus, .mqttDown, .mqttGateway, .mqttPayload, .homeAssistant,
            ],
            .sinkHTTP: [.httpTokenFile, .httpTokenEnv, .httpCAFile, .httpTimeout, .httpBatch],
            .downlink: [
                .downlinkHTTP, .downlinkTokenFile, .downlinkTokenEnv, .downlinkTTL, .downlinkWait,
                .downlinkMessages,
                .downlinkBytes, .downlinkPerDevice, .downlinkBytesPerDevice,
            ],
        ]
        for (key, keys) in dependents where try setting(key).value == nil {
            for other in try keys.map(setting) where other.isGiven {
                throw other.refused("it means nothing without “\(key.rawValue)”")
            }
        }
    }

    private func check(_ setting: (GatewayKey) throws -> GatewaySources.Setting) throws {
        let isShared = try setting(.registry).value != nil
        guard !isShared || (!printsFromSpool && file == nil) else {
            throw OuroborosError(
                .invalidConfiguration,
                "“sink-stdout” and “sink-file” are one gateway's: with “registry”, where any gateway may run a sink, use “sink-mqtt” and “sink-http”"
            )
        }
        guard !isShared || downlink.map({ $0.queue == DownlinkSettings.registry }) ?? true else {
            throw try setting(.downlink).refused(
                "with “registry”, where a device may be at another gateway, the queue is in the database: write “registry”"
            )
        }
        guard try !hasSinks || isShared || setting(.spool).value != nil else {
            throw OuroborosError(
                .invalidConfiguration, "sinks read the spool: set “\(GatewayKey.spool.rawValue)” to a file")
        }
        _ = try downlinkToken?.line()
        guard downlink == nil || downlinkToken != nil || broker != nil else {
            throw OuroborosError(
                .invalidConfiguration,
                "nobody could send to devices: with “downlink” set “downlink-token-file” or “sink-mqtt”")
        }
    }
}
