import Ouroboros

/// Packets that the receiver of a session, right after its handshake, must not take.
struct VectorRejects {
    typealias Bytes = [UInt8]

    let session: VectorSession
    private(set) var entries: [VectorValue] = []

    init(_ session: VectorSession, _ random: inout VectorRandom) throws {
        self.session = session
        let good = try session.up.packet(type: .data, flags: 1, counter: 0, body: random.bytes(18))
        addChanged(good)
        try addSealed(&random)
    }

    private mutating func add(_ why: String, _ packet: Bytes) {
        entries.append(
            .object([
                ("session", .number(0)), ("direction", .text("c2s")), ("why", .text(why)),
                ("packet", .hex(packet)),
            ]))
    }

    private mutating func add(_ why: String, _ packet: Bytes, _ index: Int, _ change: (UInt8) -> UInt8) {
        var packet = packet
        packet[index] = change(packet[index])
        add(why, packet)
    }

    private mutating func addChanged(_ good: Bytes) {
        add("empty", [])
        add("shorter than a packet", Array(good.prefix(31)))
        add("version 2", good, 0) { $0 & 0x0f | 0x20 }
        add("version 0", good, 0) { $0 & 0x0f }
        add("type 0", good, 0) { $0 & 0xf0 }
        add("type 15", good, 0) { $0 | 0x0f }
        add("reserved flag", good, 1) { $0 | 0x80 }
        add("length one too long", good, 3) { $0 + 1 }
        add("one byte missing", Array(good.dropLast()))
        add("one byte more", good + [0])
        var long = good
        long.replaceSubrange(2..<4, with: [0xff, 0xff])
        add("length above 1200", long)
        add("other session", good, 7) { $0 ^ 1 }
        add("counter changed", good, 15) { $0 ^ 1 }
        var ahead = good
        ahead.replaceSubrange(8..<16, with: Bytes(repeating: 0xff, count: 8))
        add("counter far ahead", ahead)
        add("bit changed at byte 1", good, 1) { $0 ^ 2 }
        for index in [16, 20, 34, 49] {
            add("bit changed at byte \(index)", good, index) { $0 ^ 1 }
        }
    }

    /// Properly sealed: only the rule that is named keeps them out.
    private mutating func addSealed(_ random: inout VectorRandom) throws {
        let (up, down) = (session.up, session.down)
        let (zeros, reason) = (Bytes(repeating: 0, count: 65), Bytes(arrayLiteral: 0))
        func data(_ flags: UInt8, _ counter: UInt64, _ body: Bytes) throws -> Bytes {
            try up.packet(type: .data, flags: flags, counter: counter, body: body)
        }
        func control(_ type: PacketType, _ flags: UInt8, _ counter: UInt64, _ body: Bytes) throws -> Bytes {
            try up.packet(type: type, flags: flags, counter: counter, body: body)
        }
        let block = VectorSession.block
        add("ACKS without a whole block", try data(2, 10, random.bytes(15)))
        add("BATCH that does not fill", try data(4, 11, [0, 2] + random.bytes(3)))
        add("ONCE without its 8 bytes", try data(8, 14, random.bytes(7)))
        add("ONCE of box 0", try data(8, 15, Array(zeros.prefix(8)) + random.bytes(1)))
        add("ONCE on a PING", try control(.ping, 8, 0x59, random.bytes(8)))
        add("BATCH on a PING", try control(.ping, 4, 0x50, []))
        add("ACK_REQ on a PING", try control(.ping, 1, 0x51, []))
        add("ACK without a block", try control(.ack, 0, 0x52, []))
        add("CLOSE without a body", try control(.close, 0, 0x53, []))
        add("CLOSE with a reason alone", try control(.close, 0, 0x58, reason))
        add("control counter of 2^32", try control(.ping, 0, 1 << 32, random.bytes(1)))
        add("NACK without a reason", try control(.nack, 2, 0x54, block(0, 0)))
        add("PING of 65 bytes", try control(.ping, 0, 0x55, zeros))
        add(
            "ACK of a message not yet sent (the other side sent message 0 alone)",
            try control(.ack, 2, 0x56, block(1, 0)))
        add(
            "DATA sent by the other side",
            try down.packet(type: .data, flags: 0, counter: 12, body: random.bytes(1)))
        add(
            "control sent by the other side",
            try down.packet(type: .ping, flags: 0, counter: 0x57, body: random.bytes(1)))
        let ping = try control(.ping, 0, 0, [])
        add("control type changed", ping, 0) { $0 & 0xf0 | PacketType.pong.rawValue }
        add(
            "DATA header on a control packet",
            try up.packet(
                type: .data, flags: 0, counter: 13, body: random.bytes(1), key: try up.controlKey()))
    }
}
