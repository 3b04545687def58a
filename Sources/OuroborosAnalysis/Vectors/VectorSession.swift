internal import COuroboros
import Ouroboros

/// One session of a vector file: its handshake, its keys, and packets of both directions.
struct VectorSession {
    typealias Bytes = [UInt8]

    struct Terms {
        var epoch: UInt64 = 0
        var reachC: UInt8
        var maxBodyC: UInt16
        var reachS: UInt8 = 64
        var maxBodyS: UInt16 = 1200
        var isChallenged = false
        var isStream = false
        /// A fixed credential stays at epoch 0.
        var isEvolving: Bool { epoch != 0 }
    }

    struct PacketEntry {
        let isUp: Bool
        let type: PacketType
        let flags: UInt8
        let counter: UInt64
        let body: Bytes
        let packet: Bytes
    }

    let terms: Terms
    let root: Bytes
    let device: Bytes
    let nonceC: Bytes
    let nonceS: Bytes
    let id: UInt32
    let challenge: Bytes
    private(set) var firstHello: Bytes = []
    private(set) var challengeWelcome: Bytes = []
    private(set) var hello: Bytes = []
    private(set) var welcome: Bytes = []
    private(set) var up = VectorKeys.Sealer(directionKey: [], sessionID: 0)
    private(set) var down = VectorKeys.Sealer(directionKey: [], sessionID: 0)
    private(set) var packets: [PacketEntry] = []

    init(_ terms: Terms, _ random: inout VectorRandom) throws {
        self.terms = terms
        root = random.bytes(32)
        device = random.bytes(8)
        nonceC = random.bytes(16)
        nonceS = random.bytes(16)
        id = random.id()
        challenge = random.bytes(16)
        try shakeHands()
        try terms.isStream ? exchangeInStream(&random) : exchange(&random)
    }

    private mutating func shakeHands() throws {
        let key = try VectorKeys.epochKey(root: root, epoch: terms.epoch)
        let auth = try VectorKeys.auth(key, epoch: terms.epoch)
        if terms.isChallenged {
            firstHello = try writeHello(auth, isAnswer: false)
            challengeWelcome = try writeWelcome(auth, hello: firstHello, isChallenge: true)
        }
        hello = try writeHello(auth, isAnswer: terms.isChallenged)
        welcome = try writeWelcome(auth, hello: hello, isChallenge: false)
        let keys = try SessionKeys(
            hello: hello, welcome: welcome, epochKey: SecretKey(key), epoch: terms.epoch)
        up = .init(directionKey: keys.clientToServer.withUnsafeBytes { Array($0) }, sessionID: id)
        down = .init(directionKey: keys.serverToClient.withUnsafeBytes { Array($0) }, sessionID: id)
    }

    private func writeHello(_ auth: Bytes, isAnswer: Bool) throws -> Bytes {
        var hello = ouro_hello()
        withUnsafeMutableBytes(of: &hello.device_id) { $0.copyBytes(from: device) }
        withUnsafeMutableBytes(of: &hello.nonce) { $0.copyBytes(from: nonceC) }
        withUnsafeMutableBytes(of: &hello.challenge) { $0.copyBytes(from: challenge) }
        hello.epoch = terms.epoch
        hello.evolving = terms.isEvolving
        hello.stream = terms.isStream
        hello.reach = terms.reachC
        hello.max_body = terms.maxBodyC
        hello.has_challenge = isAnswer
        var packet = Bytes(repeating: 0, count: Int(OURO_HELLO_MAX))
        var count = 0
        try EngineStatus.check(ouro_hello_write(&hello, auth, &packet, &count), "writing a HELLO")
        return Array(packet.prefix(count))
    }

    private func writeWelcome(_ auth: Bytes, hello: Bytes, isChallenge: Bool) throws -> Bytes {
        var welcome = ouro_welcome()
        withUnsafeMutableBytes(of: &welcome.nonce) { $0.copyBytes(from: isChallenge ? challenge : nonceS) }
        welcome.epoch = terms.epoch
        welcome.stream = terms.isStream
        if !isChallenge {
            welcome.session_id = id
            welcome.reach = terms.reachS
            welcome.max_body = terms.maxBodyS
        }
        var packet = Bytes(repeating: 0, count: Int(OURO_WELCOME_SIZE))
        try EngineStatus.check(
            ouro_welcome_write(&welcome, auth, hello, hello.count, &packet), "writing a WELCOME")
        return packet
    }

    // MARK: Packets

    private mutating func add(
        up isUp: Bool, _ type: PacketType, _ flags: UInt8, _ counter: UInt64, _ body: Bytes
    ) throws {
        let packet = try (isUp ? up : down).packet(type: type, flags: flags, counter: counter, body: body)
        packets.append(
            PacketEntry(isUp: isUp, type: type, flags: flags, counter: counter, body: body, packet: packet))
    }

    static func block(_ highest: UInt64, _ bitmap: UInt64) -> Bytes {
        Bytes(bigEndian: highest) + Bytes(bigEndian: bitmap)
    }

    /// Counters are not contiguous: what is skipped was never sent.
    private mutating func exchange(_ random: inout VectorRandom) throws {
        let (ackReq, acks, batch, once): (UInt8, UInt8, UInt8, UInt8) = (1, 2, 4, 8)
        try add(up: true, .ping, 0, 0, [])
        try add(up: false, .pong, 0, 0, [])
        try add(up: true, .data, ackReq, 0, Array("{\"t\":21.5,\"rh\":40}".utf8))
        try add(up: false, .ack, acks, 1, Self.block(0, 0))
        try add(up: false, .data, 0, 0, Array("set 5".utf8))
        try add(up: true, .data, 0, 1, random.bytes(40))
        try add(up: true, .data, ackReq | acks, 2, Self.block(0, 0) + random.bytes(33))
        let items = [0, 5] + random.bytes(5) + [0, 0] + [0, 17] + random.bytes(17)
        try add(up: true, .data, ackReq | batch, 3, items)
        try add(up: true, .data, 0, 6, random.bytes(1))
        let box = Bytes(bigEndian: random.id())
        try add(up: true, .data, ackReq | once, 7, box + Bytes(bigEndian: UInt32(0)) + random.bytes(20))
        try add(
            up: true, .data, ackReq | acks | batch | once, 8,
            Self.block(0, 0) + box + Bytes(bigEndian: UInt32(1)) + items)
        try add(up: false, .nack, acks, 2, Self.block(6, 0x3c) + [1])
        try add(up: true, .ping, acks, 1, Self.block(0, 0) + random.bytes(8))
        try add(up: true, .data, 0, 9, random.bytes(Int(terms.maxBodyC)))
        try add(up: true, .ack, acks, 70, Self.block(0, 0))
        try add(up: true, .close, acks, 71, Self.block(0, 0) + [0] + Bytes(bigEndian: UInt64(10)))
        try add(up: false, .close, acks, 3, Self.block(9, 0x1e7) + [0] + Bytes(bigEndian: UInt64(1)))
    }

    /// Counters have no gap, and a block names all up to its highest: past the 64 that a bitmap could hold.
    private mutating func exchangeInStream(_ random: inout VectorRandom) throws {
        let (ackReq, acks, batch, once): (UInt8, UInt8, UInt8, UInt8) = (1, 2, 4, 8)
        try add(up: true, .ping, 0, 0, [])
        try add(up: false, .pong, 0, 0, [])
        var control: UInt64 = 0
        for counter in UInt64(0)..<70 {
            try add(up: true, .data, ackReq, counter, random.bytes(3))
            guard [0, 1, 40].contains(counter) else { continue }
            control += 1
            try add(up: false, .ack, acks, control, Self.block(counter, (1 << counter) - 1))
        }
        try add(up: false, .data, ackReq | acks, 0, Self.block(69, .max) + random.bytes(20))
        let place = Bytes(bigEndian: UInt32(7)) + Bytes(bigEndian: UInt32(2))
        let items: Bytes = [0, 2, 0x68, 0x69, 0, 0]
        try add(up: true, .data, ackReq | acks | batch | once, 70, Self.block(0, 0) + place + items)
        try add(up: true, .close, acks, 1, Self.block(0, 0) + [0] + Bytes(bigEndian: UInt64(71)))
        try add(up: false, .close, acks, 4, Self.block(70, .max) + [0] + Bytes(bigEndian: UInt64(1)))
    }

    // MARK: As JSON

    func value() throws -> VectorValue {
        var members: [(name: String, value: VectorValue)] = [
            ("root_key", .hex(root)), ("epoch", .number(terms.epoch)), ("device_id", .hex(device)),
            ("nonce_c", .hex(nonceC)), ("nonce_s", .hex(nonceS)), ("session_id", .number(UInt64(id))),
        ]
        if terms.isStream { members.append(("stream", .yes)) }
        members += [
            ("reach_c", .number(UInt64(terms.reachC))), ("max_body_c", .number(UInt64(terms.maxBodyC))),
            ("reach_s", .number(UInt64(terms.reachS))), ("max_body_s", .number(UInt64(terms.maxBodyS))),
        ]
        if terms.isChallenged {
            members += [
                ("first_hello", .hex(firstHello)), ("challenge", .hex(challenge)),
                ("challenge_welcome", .hex(challengeWelcome)),
            ]
        }
        members += [
            ("hello", .hex(hello)), ("welcome", .hex(welcome)),
            ("k_c2s", .hex(up.directionKey)), ("k_s2c", .hex(down.directionKey)),
            ("k_ctl_c2s", .hex(try up.controlKey())), ("k_ctl_s2c", .hex(try down.controlKey())),
            ("packets", .array(packets.map(Self.value))),
        ]
        return .object(members)
    }

    private static func value(_ entry: PacketEntry) -> VectorValue {
        .object([
            ("direction", .text(entry.isUp ? "c2s" : "s2c")), ("counter", .number(entry.counter)),
            ("type", .number(UInt64(entry.type.rawValue))), ("flags", .number(UInt64(entry.flags))),
            ("body", .hex(entry.body)), ("packet", .hex(entry.packet)),
        ])
    }
}

extension [UInt8] {
    init(bigEndian number: some FixedWidthInteger) {
        self = Swift.withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }
}
