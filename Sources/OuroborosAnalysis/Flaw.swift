internal import COuroboros

/// The check of section 2.3 that a packet fails.
public enum Flaw: UInt32, Sendable, Hashable, CaseIterable {
    case short = 1
    case version, type, flags, flagMissing, long, size, length, maxBody, session, counter, epoch, terms

    init?(_ flaw: ouro_flaw) {
        self.init(rawValue: UInt32(flaw.rawValue))
    }

    /// A short name, for machines.
    public var name: String { "\(self)" }

    public var text: String {
        switch self {
        case .short: "shorter than 32 bytes"
        case .version: "another version than 1"
        case .type: "no such type"
        case .flags: "a flag that the type does not allow"
        case .flagMissing: "without a flag that the type requires"
        case .long: "Length is above 1200"
        case .size: "Length does not fit the packet's size"
        case .length: "Length is impossible for the type and its flags"
        case .maxBody: "Length is above the receiver's max_body"
        case .session: "a session id where there is none, or none where there is one"
        case .counter: "a counter of 2^32 or above"
        case .epoch: "an epoch other than 0 without EVOLVING"
        case .terms: "reach or max_body is out of range"
        }
    }
}
