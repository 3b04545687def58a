import Ouroboros

/// Words that people put on devices, to find them together. A row holds them in order, with spaces between.
package enum DeviceTags {
    private static let mostBytes = 63
    private static let most = 32

    package static func list(_ text: String) -> [String] {
        text.split(separator: " ").map(String.init)
    }

    package static func text(_ tags: some Sequence<String>) throws -> String {
        let tags = Set(tags)
        for tag in tags {
            let isWord = tag.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                    UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "="):
                    true
                default: false
                }
            }
            guard isWord, (1...mostBytes).contains(tag.utf8.count) else {
                throw OuroborosError(
                    .invalidConfiguration,
                    "“\(tag)” is no tag: one has 1 to \(mostBytes) letters, digits and - _ . : =")
            }
        }
        guard tags.count <= most else {
            throw OuroborosError(
                .invalidConfiguration, "a device has \(most) tags at most, here there are \(tags.count)")
        }
        return tags.sorted().joined(separator: " ")
    }
}

/// What is changed of a device, its key apart.
public enum DeviceChange: Sendable, Hashable {
    case name(String)
    /// One that is disabled is refused as if it were not there, and keeps its key, epoch and counts.
    case isDisabled(Bool)
    case tags(adding: Set<String>, removing: Set<String>)

    package func changed(tags text: String) throws -> String {
        guard case .tags(let new, let old) = self else { return text }
        return try DeviceTags.text(Set(DeviceTags.list(text)).subtracting(old).union(new))
    }
}
