import CMosquitto
import Ouroboros
import OuroborosStore

/// What a client of the library is told before it connects.
enum MQTTSetup {
    static func prepare(_ client: OpaquePointer, _ settings: MQTTSettings) throws {
        try check(
            mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, Int32(MQTT_PROTOCOL_V5)),
            "choosing MQTT 5")
        try setUser(client, settings.broker)
        try setTLS(client, settings.broker)
        try setWill(client, settings)
    }

    private static func setUser(_ client: OpaquePointer, _ broker: MQTTBroker) throws {
        guard let user = broker.user else { return }
        guard let source = broker.password else {
            return try check(mosquitto_username_pw_set(client, user, nil), "the user")
        }
        let line = try source.line()
        // The zero at its end stays.
        let password = SecretBytes.filled(count: line.count + 1) { password in
            line.withUnsafeBytes { password.copyMemory(from: $0) }
        }
        // The library keeps a copy of its own until the connection ends.
        let result = password.withUnsafeBytes {
            mosquitto_username_pw_set(client, user, $0.bindMemory(to: CChar.self).baseAddress)
        }
        try check(result, "user and password")
    }

    private static func setTLS(_ client: OpaquePointer, _ broker: MQTTBroker) throws {
        guard broker.isTLS else { return }
        // The library wants at least TLS 1.2, and the certificate to be the host's.
        try check(
            mosquitto_tls_set(
                client, broker.authorities, broker.authorities == nil ? systemAuthorities : nil,
                broker.certificate, broker.key, { _, _, _, _ in 0 }),
            "the certificates")
    }

    private static let systemAuthorities = "/etc/ssl/certs"

    private static func setWill(_ client: OpaquePointer, _ settings: MQTTSettings) throws {
        let payload = Array(DeviceStatus.offline.rawValue.utf8)
        try check(
            mosquitto_will_set_v5(
                client, settings.gatewayTopic, Int32(payload.count), payload, 1, true, nil),
            "the last will at “\(settings.gatewayTopic)”")
    }

    private static func check(_ result: Int32, _ what: String) throws {
        guard result == MOSQ_ERR_SUCCESS.rawValue else {
            throw SinkFailure("\(what): \(String(cString: mosquitto_strerror(result)))", .afterRepair)
        }
    }
}
