import Foundation
import Ouroboros
import OuroborosStore

/// What Home Assistant is told of devices whose readings are JSON objects with numbers in them: a sensor for each
/// number, by MQTT discovery.
struct Discovery {
    /// A device that makes up names must not fill the broker.
    private static let mostSensors = 64
    private static let mostNameBytes = 64
    private static let mostDevices = 200_000

    private let prefix: String
    private let settings: MQTTSettings
    private var announced: [DeviceID: Set<String>] = [:]

    init(prefix: String, settings: MQTTSettings) {
        self.prefix = prefix
        self.settings = settings
    }

    /// The devices of which these messages have something to announce.
    func devices(toAnnounceIn messages: [SpooledMessage]) -> Set<DeviceID> {
        Set(
            messages.lazy.filter { message in
                Self.readings(in: message.payload).contains { isNew($0, of: message.device) }
            }.map(\.device))
    }

    /// The sensors in these messages that were not announced yet, of those devices that have a name here.
    mutating func publications(
        for messages: [SpooledMessage], names: [DeviceID: String]
    ) -> [MQTTPublication] {
        var publications: [MQTTPublication] = []
        for message in messages {
            guard let name = names[message.device] else { continue }
            for reading in Self.readings(in: message.payload) where isNew(reading, of: message.device) {
                guard let publication = try? publication(of: reading, device: message.device, name: name)
                else { continue }
                announced[message.device, default: []].insert(reading)
                publications.append(publication)
            }
        }
        return publications
    }

    private func isNew(_ reading: String, of device: DeviceID) -> Bool {
        let known = announced[device] ?? []
        return known.count < Self.mostSensors && !known.contains(reading)
            && (!known.isEmpty || announced.count < Self.mostDevices)
    }

    /// The names of the numbers in a JSON object, in order; none for anything else.
    static func readings(in payload: [UInt8]) -> [String] {
        guard payload.first(where: { $0 > 0x20 }) == UInt8(ascii: "{"),
            let object = try? JSONDecoder().decode([String: Member].self, from: Data(payload))
        else { return [] }
        return object.filter { $0.value == .number && isPlain($0.key) }.keys.sorted()
    }

    private enum Member: Decodable {
        case number, other

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            // A truth value is no number.
            self =
                (try? value.decode(Bool.self)) == nil && (try? value.decode(Double.self)) != nil
                ? .number : .other
        }
    }

    /// Names go into topics and templates: quotes, braces and slashes stay out.
    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= mostNameBytes
            && name.utf8.allSatisfy { byte in
                UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte
                    || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte || " _-.".utf8.contains(byte)
            }
    }

    private func publication(
        of reading: String, device: DeviceID, name: String
    ) throws -> MQTTPublication {
        let object = String(reading.map { $0 == " " || $0 == "." ? "_" : $0 })
        let value =
            switch settings.payload {
            case .bytes: "{{ value_json['\(reading)'] }}"
            case .json: "{{ (value_json.text | from_json)['\(reading)'] }}"
            }
        let config = SensorConfig(
            name: reading, uniqueID: "ouroboros_\(device)_\(object)",
            stateTopic: settings.up.topic(of: device), valueTemplate: value,
            availabilityTopic: settings.status.topic(of: device),
            device: .init(identifiers: ["ouroboros_\(device)"], name: name))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return MQTTPublication(
            topic: "\(prefix)/sensor/ouroboros_\(device)/\(object)/config",
            payload: Array(try encoder.encode(config)), isRetained: true)
    }
}

/// A sensor as Home Assistant's MQTT discovery names its members.
private struct SensorConfig: Encodable {
    struct Device: Encodable {
        let identifiers: [String]
        let name: String
        let manufacturer = "Ouroboros"
    }

    let name: String
    let uniqueID: String
    let stateTopic: String
    let valueTemplate: String
    let availabilityTopic: String
    // A device that sleeps is there.
    let availabilityTemplate = "{{ 'offline' if value == 'offline' else 'online' }}"
    let device: Device
    let stateClass = "measurement"

    enum CodingKeys: String, CodingKey {
        case name, device
        case uniqueID = "unique_id"
        case stateTopic = "state_topic"
        case valueTemplate = "value_template"
        case availabilityTopic = "availability_topic"
        case availabilityTemplate = "availability_template"
        case stateClass = "state_class"
    }
}
