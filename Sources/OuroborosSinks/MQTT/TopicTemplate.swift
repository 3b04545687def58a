import Ouroboros

/// A topic with `{device}` in it, such as `ouroboros/{device}/up`.
package struct TopicTemplate: Sendable, Hashable, CustomStringConvertible {
    private static let variable = "{device}"
    private static let mostBytes = 1024

    package let description: String

    /// `{device}` is one whole level, so that the topics of all devices can be subscribed to.
    package init(_ text: String) throws {
        let levels = text.split(separator: "/", omittingEmptySubsequences: false)
        guard levels.filter({ $0 == Self.variable }).count == 1, text.ranges(of: "{").count == 1 else {
            throw Self.refused(text, "it has one level {device}, such as ouroboros/{device}/up")
        }
        try Self.check(text)
        description = text
    }

    /// Of a topic that is no template.
    package static func check(_ topic: String) throws {
        guard !topic.isEmpty, topic.utf8.count <= mostBytes else {
            throw refused(topic, "a topic has 1 to \(mostBytes) bytes")
        }
        guard !topic.unicodeScalars.contains(where: { "+#".unicodeScalars.contains($0) || $0.value < 0x20 })
        else { throw refused(topic, "it holds +, # or a control character") }
    }

    private static func refused(_ text: String, _ reason: String) -> OuroborosError {
        OuroborosError(.invalidConfiguration, "“\(text)” is no topic to use here: \(reason)")
    }

    package func topic(of device: DeviceID) -> String {
        description.replacing(Self.variable, with: device.description)
    }

    /// What all topics of the template match.
    var filter: String { description.replacing(Self.variable, with: "+") }

    /// The device of a topic; nil for a topic that is not of this template.
    func device(of topic: String) -> DeviceID? {
        let levels = description.split(separator: "/", omittingEmptySubsequences: false)
        let parts = topic.split(separator: "/", omittingEmptySubsequences: false)
        guard levels.count == parts.count else { return nil }
        var device: DeviceID?
        for (level, part) in zip(levels, parts) {
            if level == Self.variable {
                device = try? DeviceID(hex: String(part))
            } else if level != part {
                return nil
            }
        }
        return device
    }
}
