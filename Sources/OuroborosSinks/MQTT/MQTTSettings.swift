import Foundation
import Ouroboros
import OuroborosStore

/// How the MQTT sink behaves.
package struct MQTTSettings: Sendable {
    package enum Payload: String, Sendable, CaseIterable {
        /// The message's own.
        case bytes
        /// The line that the gateway would print.
        case json
    }

    package var broker: MQTTBroker
    package var clientID: String
    package var up: TopicTemplate
    package var status: TopicTemplate
    /// Nil when nothing is to be sent to devices over MQTT.
    package var down: TopicTemplate?
    /// The gateways among which the broker shares out what is published there: each message comes to one.
    package var downGroup: String?
    /// Retained there: online, or offline, which the broker says when the gateway is gone.
    package var gatewayTopic: String
    package var payload = Payload.bytes
    /// The prefix of Home Assistant's discovery; nil when it is off.
    package var discoveryPrefix: String?
    /// How long a broker may take to acknowledge what it is given.
    package var patience = Duration.seconds(30)

    package init(
        broker: MQTTBroker, clientID: String, up: TopicTemplate, status: TopicTemplate, gatewayTopic: String
    ) {
        self.broker = broker
        self.clientID = clientID
        self.up = up
        self.status = status
        self.gatewayTopic = gatewayTopic
    }

    /// The broker keeps what is published for devices while the gateway is away. Of several that share it out each is away
    /// at times, and would keep its share from the others.
    var keepsSession: Bool { down != nil && downGroup == nil }

    /// What is subscribed to for messages to devices.
    var downFilter: String? {
        down.map { down in downGroup.map { "$share/\($0)/\(down.filter)" } ?? down.filter }
    }
}

/// A broker, and who one is there.
package struct MQTTBroker: Sendable {
    package let host: String
    package let port: Int32
    package let isTLS: Bool
    package var user: String?
    /// Read whenever the gateway connects.
    package var password: SecretSource?
    /// Authorities in PEM; nil is those of the system.
    package var authorities: String?
    package var certificate: String?
    package var key: String?

    /// `mqtt://HOST[:PORT]`, or `mqtts://HOST[:PORT]` for TLS.
    package init(url text: String) throws {
        let ports: [String: Int] = ["mqtt": 1883, "mqtts": 8883]
        guard let url = URLComponents(string: text), let scheme = url.scheme, let usual = ports[scheme],
            let host = url.host, !host.isEmpty, url.path.isEmpty || url.path == "/",
            url.user == nil, url.password == nil, url.query == nil, url.fragment == nil,
            (1...65_535).contains(url.port ?? usual)
        else {
            throw OuroborosError(
                .invalidConfiguration,
                "write mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS; user and password have keys of their own"
            )
        }
        // Brackets are the URL's, not the address's.
        self.host = host.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        port = Int32(url.port ?? usual)
        isTLS = scheme == "mqtts"
    }

    var name: String { "\(isTLS ? "mqtts" : "mqtt")://\(host):\(port)" }

    /// Throws for what cannot work, before the broker is asked.
    package func check() throws {
        guard isTLS || (authorities == nil && certificate == nil && key == nil) else {
            throw OuroborosError(
                .invalidConfiguration, "certificates are for TLS: write mqtts:// instead of mqtt://")
        }
        guard (certificate == nil) == (key == nil) else {
            throw OuroborosError(.invalidConfiguration, "a client's certificate and its key go together")
        }
        guard password == nil || user != nil else {
            throw OuroborosError(.invalidConfiguration, "a password needs a user: set mqtt-user")
        }
        for path in [authorities, certificate].compactMap(\.self)
        where !FileManager.default.isReadableFile(atPath: path) {
            throw OuroborosError(.storage, "cannot read “\(path)”")
        }
        if let key {
            try PrivateFile.check(secret: key)
        }
        _ = try password?.line()
    }
}
