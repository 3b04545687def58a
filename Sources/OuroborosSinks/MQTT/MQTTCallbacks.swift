import CMosquitto
import LibC
import NIOCore

/// What Mosquitto's library calls back, on the connection's thread.
extension MQTTConnection {
    func setCallbacks() {
        mosquitto_connect_v5_callback_set(client) { _, object, code, _, _ in
            MQTTConnection.of(object)?.noteConnected(code)
        }
        mosquitto_disconnect_v5_callback_set(client) { _, object, code, _ in
            MQTTConnection.of(object)?.noteDisconnected(code)
        }
        mosquitto_publish_v5_callback_set(client) { _, object, id, code, _ in
            MQTTConnection.of(object)?.notePublished(id, code)
        }
        mosquitto_subscribe_v5_callback_set(client) { _, object, id, count, codes, _ in
            MQTTConnection.of(object)?.noteSubscribed(
                id, Array(UnsafeBufferPointer(start: codes, count: Int(count))))
        }
        mosquitto_message_v5_callback_set(client) { _, object, message, properties in
            guard let message else { return }
            MQTTConnection.of(object)?.note(MQTTMessage(message.pointee, properties))
        }
        mosquitto_log_callback_set(client) { _, object, level, text in
            guard level == MOSQ_LOG_ERR, let text else { return }
            MQTTConnection.of(object)?.lastError = String(cString: text)
        }
    }

    private static func of(_ object: UnsafeMutableRawPointer?) -> MQTTConnection? {
        object.map { Unmanaged<MQTTConnection>.fromOpaque($0).takeUnretainedValue() }
    }

    private func noteConnected(_ code: Int32) {
        events += 1
        if code == 0 {
            connected.succeed()
        } else {
            reason = "the broker refuses it: \(Self.meaning(of: code))"
        }
    }

    private func noteDisconnected(_ code: Int32) {
        events += 1
        let isTakenOver = code == Int32(MQTT_RC_SESSION_TAKEN_OVER.rawValue)
        reason = reason ?? (code == 0 ? "closed" : isTakenOver ? takenOver : Self.meaning(of: code))
        endedOverContent = Self.isOfContent(code)
    }

    private var takenOver: String {
        "another client connected with the client id “\(settings.clientID)”: give each gateway one of its own "
            + "(mqtt-client-id)"
    }

    private func notePublished(_ id: Int32, _ code: Int32) {
        events += 1
        let promise = acknowledgements.removeValue(forKey: id)
        if code < 128 {
            promise?.succeed()
        } else {
            promise?.fail(
                SinkFailure(
                    "the broker refuses a message: \(Self.meaning(of: code))",
                    Self.isOfContent(code) ? .never : .afterRepair))
        }
    }

    private func noteSubscribed(_ id: Int32, _ codes: [Int32]) {
        events += 1
        let promise = subscriptions.removeValue(forKey: id)
        if let refusal = codes.first(where: { $0 >= 128 }) {
            promise?.fail(
                SinkFailure(
                    "the broker refuses a subscription: \(Self.meaning(of: refusal))", .afterRepair))
        } else {
            promise?.succeed()
        }
    }

    private func note(_ message: MQTTMessage) {
        events += 1
        if onMessage(message) {
            held.withLock { $0 += 1 }
        }
    }

    /// It is said of what a message holds: it will never be taken.
    private static func isOfContent(_ code: Int32) -> Bool {
        [MQTT_RC_PACKET_TOO_LARGE.rawValue, MQTT_RC_PAYLOAD_FORMAT_INVALID.rawValue].contains(UInt32(code))
    }

    /// The library's own errors are below 128, MQTT's reasons from there.
    private static func meaning(of code: Int32) -> String {
        String(cString: code < 128 ? mosquitto_strerror(code) : mosquitto_reason_string(code))
    }
}
