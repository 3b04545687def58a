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
    private var announced: [DeviceID: Announced] = [:]

    private struct Announced {
        var readings: Set<String> = []
        /// Those that were announced with another expiry.
        var outdated: Set<String> = []
        /// Seconds.
        var expiry: Int?
    }

    init(prefix: String, settings: MQTTSettings) {
        self.prefix = prefix
        self.settings = settings
    }

    /// After so many seconds a reading of the device is of the past; nil when that is not known. What was announced
    /// otherwise is announced anew.
    mutating func note(expiry: Int?, of device: DeviceID) {
        guard let expiry, announced[device] != nil || announced.count < Self.mostDevices else { return }
        if let last = announced[device]?.expiry, last / 2 < expiry, expiry < last * 2 { return }
        var known = announced[device] ?? Announced()
        known.expiry = expiry
        known.outdated = known.readings
        announced[device] = known
    }

    mutating func forget(_ device: DeviceID) {
        announced[device] = nil
    }

    /// What the topics of a device's sensors match.
    func filter(of device: DeviceID) -> String { "\(prefix)/sensor/\(Self.node(device))/+/config" }

    /// The device that a topic announces a sensor of; nil for other topics.
    func device(announcedAt topic: String) -> DeviceID? {
        let levels = topic.dropFirst(prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        guard topic.hasPrefix(prefix), levels.count == 5, levels[1] == "sensor", levels[4] == "config",
            levels[2].hasPrefix(Self.start)
        else { return nil }
        return try? DeviceID(hex: String(levels[2].dropFirst(Self.start.count)))
    }

    private static let start = "ouroboros_"
    private static func node(_ device: DeviceID) -> String { "\(start)\(device)" }

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
                announced[message.device, default: Announced()].readings.insert(reading)
                announced[message.device]?.outdated.remove(reading)
                publications.append(publication)
            }
        }
        return publications
    }

    private func isNew(_ reading: String, of device: DeviceID) -> Bool {
        guard let known = announced[device] else { return announced.count < Self.mostDevices }
        return known.outdated.contains(reading)
            || known.readings.count < Self.mostSensors && !known.readings.contains(reading)
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
        let object = Self.object(reading)
        let kind = ReadingKind(of: reading)
        let config = SensorConfig(
            name: reading, uniqueID: "\(Self.node(device))_\(object)",
            stateTopic: settings.up.topic(of: device), valueTemplate: template(of: reading),
            availability: [
                // A device that sleeps is there.
                .init(
                    topic: settings.status.topic(of: device),
                    valueTemplate: "{{ 'offline' if value == 'offline' else 'online' }}"),
                // The broker says that the gateway is gone.
                .init(topic: settings.gatewayTopic, valueTemplate: nil),
            ],
            device: .init(identifiers: [Self.node(device)], name: name),
            stateClass: kind.isTotal ? "total_increasing" : "measurement", unit: kind.unit,
            deviceClass: kind.deviceClass, expireAfter: announced[device]?.expiry)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return MQTTPublication(
            topic: "\(prefix)/sensor/\(Self.node(device))/\(object)/config",
            payload: Array(try encoder.encode(config)), isRetained: true)
    }

    /// A name as a level of a topic, where neither a blank nor a dot may stand: another one for each name. What stands
    /// for `_` is told at its end, by a letter each.
    static func object(_ name: String) -> String {
        let letters: [Character: Character] = [" ": "s", ".": "d", "_": "u"]
        let tail = name.reversed().prefix { letters.values.contains($0) }
        if !name.contains(where: { " .".contains($0) }) {
            return name.dropLast(tail.count).last == "-" ? name + "-" : name
        }
        let object = String(name.map { letters[$0] == nil ? $0 : "_" })
        return object + "-" + String(name.compactMap { letters[$0] })
    }

    /// Of a message that has no such number nothing comes, which Home Assistant leaves out.
    private func template(of reading: String) -> String {
        func value(_ object: String) -> String {
            let member = "\(object)['\(reading)']"
            return "{% if \(object) is mapping and \(member) is number %}{{ \(member) }}{% endif %}"
        }
        switch settings.payload {
        case .bytes: return value("value_json")
        case .json:
            let text =
                "{% set text = value_json.text | default('') | trim if value_json is mapping else '' %}"
            let reading = "{% set reading = text | from_json if text[:1] == '{' else none %}"
            return text + reading + value("reading")
        }
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
    let availability: [Availability]
    let availabilityMode = "all"
    let device: Device
    let stateClass: String
    let unit: String?
    let deviceClass: String?
    let expireAfter: Int?

    struct Availability: Encodable {
        let topic: String
        let valueTemplate: String?

        enum CodingKeys: String, CodingKey {
            case topic
            case valueTemplate = "value_template"
        }
    }

    enum CodingKeys: String, CodingKey {
        case name, device, availability
        case uniqueID = "unique_id"
        case stateTopic = "state_topic"
        case valueTemplate = "value_template"
        case availabilityMode = "availability_mode"
        case stateClass = "state_class"
        case unit = "unit_of_measurement"
        case deviceClass = "device_class"
        case expireAfter = "expire_after"
    }
}
