import CMosquitto
import Foundation

/// What is published.
struct MQTTPublication: Sendable {
    var topic: String
    var payload: [UInt8]
    var isRetained = false
    var userProperties: [(name: String, value: String)] = []
    var contentType: String?
    var correlation: [UInt8]?
    /// Of the message in the spool, for one that is delivered.
    var id: Int64 = 0

    /// Throws what keeps all of them from being safe at the broker; what it refuses for good comes last.
    static func check(_ results: [Result<Void, any Error>], of publications: [MQTTPublication]) throws {
        var refused: [Int64: String] = [:]
        for (publication, result) in zip(publications, results) {
            guard case .failure(let error) = result else { continue }
            guard let failure = error as? SinkFailure, failure.outlook == .never else { throw error }
            refused[publication.id] = failure.description
        }
        guard let reason = refused.values.first else { return }
        throw SinkFailure(reason, .neverThese(refused))
    }

    /// With its properties as the library takes them.
    func withProperties<Result>(_ body: (OpaquePointer?) throws -> Result) throws -> Result {
        var list: OpaquePointer?
        defer { mosquitto_property_free_all(&list) }
        for property in userProperties {
            try check(
                mosquitto_property_add_string_pair(
                    &list, Int32(MQTT_PROP_USER_PROPERTY.rawValue), property.name, property.value))
        }
        if let contentType {
            try check(
                mosquitto_property_add_string(
                    &list, Int32(MQTT_PROP_CONTENT_TYPE.rawValue), contentType))
        }
        if let correlation {
            try check(
                mosquitto_property_add_binary(
                    &list, Int32(MQTT_PROP_CORRELATION_DATA.rawValue), correlation, UInt16(correlation.count))
            )
        }
        return try body(list)
    }

    private func check(_ result: Int32) throws {
        guard result == MOSQ_ERR_SUCCESS.rawValue else { throw MQTTConnection.failure(result) }
    }
}

/// What came from the broker.
package struct MQTTMessage: Sendable {
    package let topic: String
    package let payload: [UInt8]
    package let isRetained: Bool
    package let responseTopic: String?
    package let correlation: [UInt8]?
    /// Seconds that are left of it.
    package let expiry: UInt32?
    /// The gateway that published it, if one did.
    let gateway: String?

    static let gatewayProperty = "gateway"

    init(_ message: mosquitto_message, _ properties: OpaquePointer?) {
        topic = String(cString: message.topic)
        payload = Array(UnsafeRawBufferPointer(start: message.payload, count: Int(message.payloadlen)))
        isRetained = message.retain
        var topic: UnsafeMutablePointer<CChar>?
        _ = mosquitto_property_read_string(
            properties, Int32(MQTT_PROP_RESPONSE_TOPIC.rawValue), &topic, false)
        responseTopic = topic.map { String(cString: $0) }
        free(topic)
        var data: UnsafeMutableRawPointer?
        var count: UInt16 = 0
        _ = mosquitto_property_read_binary(
            properties, Int32(MQTT_PROP_CORRELATION_DATA.rawValue), &data, &count, false)
        correlation = data.map { Array(UnsafeRawBufferPointer(start: $0, count: Int(count))) }
        free(data)
        var seconds: UInt32 = 0
        let hasExpiry = mosquitto_property_read_int32(
            properties, Int32(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL.rawValue), &seconds, false)
        expiry = hasExpiry == nil ? nil : seconds
        gateway = Self.userProperty(Self.gatewayProperty, properties)
    }

    private static func userProperty(_ wanted: String, _ properties: OpaquePointer?) -> String? {
        var next = properties
        var skips = false
        while true {
            var name: UnsafeMutablePointer<CChar>?
            var value: UnsafeMutablePointer<CChar>?
            next = mosquitto_property_read_string_pair(
                next, Int32(MQTT_PROP_USER_PROPERTY.rawValue), &name, &value, skips)
            defer {
                free(name)
                free(value)
            }
            guard next != nil, let name, let value else { return nil }
            if String(cString: name) == wanted {
                return String(cString: value)
            }
            skips = true
        }
    }
}
