import Ouroboros

/// A file of test vectors in the form of appendix A of the protocol, from a seed.
///
/// Everything in it is public, its keys too: none may ever protect anything.
public struct VectorFile: Sendable {
    /// The file's text.
    public let text: String

    public init(seed: UInt64) throws {
        var random = VectorRandom(seed: seed)
        let about =
            "Ouroboros v1 vectors of seed \(seed), made by the project's own command (ouroboros vectors): "
            + "for tests alone, every key in here is public. Hex; integers decimal."
        let fleet = try Self.fleet(&random)
        let epoch = try Self.epoch(&random)
        let scramble = try Self.scramble(&random)
        let chain = try Self.chain(&random)
        let sessions = [
            try VectorSession(.init(reachC: 16, maxBodyC: 256), &random),
            try VectorSession(.init(reachC: 64, maxBodyC: 1200, isChallenged: true), &random),
            try VectorSession(.init(epoch: 5, reachC: 4, maxBodyC: 64), &random),
            try VectorSession(.init(reachC: 64, maxBodyC: 1200, isStream: true), &random),
        ]
        let rejects = try VectorRejects(sessions[0], &random)
        let file = VectorValue.object([
            ("about", .text(about)), ("fleet", .array(fleet)), ("epoch", .array(epoch)),
            ("scramble", .array(scramble)), ("chain", .array(chain)),
            ("sessions", .array(try sessions.map { try $0.value() })), ("reject", .array(rejects.entries)),
        ])
        var text = ""
        file.write(to: &text)
        self.text = text
    }

    private static func fleet(_ random: inout VectorRandom) throws -> [VectorValue] {
        try (0..<3).map { _ in
            let (key, device) = (random.bytes(32), random.bytes(8))
            return .object([
                ("fleet_key", .hex(key)), ("device_id", .hex(device)),
                ("root_key", .hex(try VectorKeys.root(fleet: key, device: device))),
            ])
        }
    }

    private static func epoch(_ random: inout VectorRandom) throws -> [VectorValue] {
        try [0, 1, 2, 7, 300].map { (epoch: UInt64) in
            let root = random.bytes(32)
            let key = try VectorKeys.epochKey(root: root, epoch: epoch)
            return .object([
                ("root_key", .hex(root)), ("epoch", .number(epoch)), ("epoch_key", .hex(key)),
                ("auth_key", .hex(try VectorKeys.auth(key, epoch: epoch))),
                ("session_ikm", .hex(try VectorKeys.sessionInput(key, epoch: epoch))),
            ])
        }
    }

    private static let sizes = [
        0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 64, 100, 255, 256, 257, 1000, 1200,
    ]

    private static func scramble(_ random: inout VectorRandom) throws -> [VectorValue] {
        try sizes.map { size in
            let (key, body) = (random.bytes(32), random.bytes(size))
            return .object([
                ("key", .hex(key)), ("in", .hex(body)),
                ("out", .hex(try VectorKeys.scrambled(body, key: key))),
            ])
        }
    }

    private static func chain(_ random: inout VectorRandom) throws -> [VectorValue] {
        try [("ENC", "EMK"), ("SCR", "SMK")].map { label, messageLabel in
            let seed = random.bytes(32)
            var chains = VectorKeys.Chains(enc: seed, scr: seed)
            let isEnc = label == "ENC"
            let steps = try [0, 1, 2, 3, 31, 64, 255, 256, 1024].map { (n: UInt64) -> VectorValue in
                try chains.step(to: n)
                return .object([
                    ("n", .number(n)), ("chain_key", .hex(isEnc ? chains.enc : chains.scr)),
                    ("message_key", .hex(isEnc ? chains.messageEnc : chains.messageScr)),
                ])
            }
            return .object([
                ("label", .text("OUROBOROS_\(label)_V1")),
                ("message_label", .text("OUROBOROS_\(messageLabel)_V1")),
                ("seed", .hex(seed)), ("steps", .array(steps)),
            ])
        }
    }
}
