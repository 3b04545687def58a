import Ouroboros
/// A JSON value, printed as the project's vector file is: one space a level, members in order.
enum VectorValue {
    case object([(name: String, value: VectorValue)])
    case array([VectorValue])
    case text(String)
    case number(UInt64)
    case yes

    static func hex(_ bytes: some Sequence<UInt8>) -> VectorValue {
        .text(Hex.string(of: bytes))
    }

    /// What it holds needs no escaping: hexadecimal, labels, and sentences without quotes.
    func write(to text: inout String, level: Int = 0) {
        let inner = String(repeating: " ", count: level + 1)
        let outer = String(repeating: " ", count: level)
        switch self {
        case .text(let value): text += "\"\(value)\""
        case .number(let value): text += "\(value)"
        case .yes: text += "true"
        case .array(let values):
            text += "[\n"
            for (index, value) in values.enumerated() {
                text += inner
                value.write(to: &text, level: level + 1)
                text += index + 1 < values.count ? ",\n" : "\n"
            }
            text += outer + "]"
        case .object(let members):
            text += "{\n"
            for (index, member) in members.enumerated() {
                text += "\(inner)\"\(member.name)\": "
                member.value.write(to: &text, level: level + 1)
                text += index + 1 < members.count ? ",\n" : "\n"
            }
            text += outer + "}"
        }
    }
}
