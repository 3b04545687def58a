/// What is wrong with a packet, or worth a look. Without keys the names are what the headers suggest: whoever forges
/// a header can provoke them.
public struct Anomaly: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// It fails a check of section 2.3.
        case malformed
        /// The capture holds a part of it alone.
        case cut
        /// Bytes of a stream are missing from the capture.
        case lost
        case unknownSession = "unknown session"
        /// The same bytes as before, as a sender sends them again.
        case retransmission
        /// A copy of what no sender sends twice, or what is too old for any receiver.
        case replay
        /// Counters before this one were not seen.
        case gap
        /// It fills a gap.
        case late
        /// A counter that was used, with other bytes.
        case conflict
        /// A counter further ahead than any window.
        case ahead
        /// The device is at another address than before.
        case moved
        /// A packet of a session that was closed.
        case closed
        /// WELCOME without its HELLO.
        case unasked
        /// The tag does not verify.
        case forged
        /// It opens, and its body does not parse.
        case senseless
        /// It acknowledges what the capture does not hold.
        case unseen
    }

    public let kind: Kind
    public let detail: String

    init(_ kind: Kind, _ detail: String = "") {
        self.kind = kind
        self.detail = detail
    }

    public var text: String { detail.isEmpty ? kind.rawValue : "\(kind.rawValue): \(detail)" }
}
