internal import COuroboros
internal import CSeal
import Ouroboros

/// Key derivations as the vectors print them. The keys here follow from a public seed: none is a secret.
enum VectorKeys {
    typealias Bytes = [UInt8]

    static func root(fleet: Bytes, device: Bytes) throws -> Bytes {
        var root = Bytes(repeating: 0, count: 32)
        try EngineStatus.check(ouro_fleet_root_key(fleet, device, &root), "deriving a root key")
        return root
    }

    static func epochKey(root: Bytes, epoch: UInt64) throws -> Bytes {
        var key = root
        try EngineStatus.check(ouro_epoch_advance(&key, 0, epoch), "deriving an epoch's key")
        return key
    }

    static func auth(_ epochKey: Bytes, epoch: UInt64) throws -> Bytes {
        var key = Bytes(repeating: 0, count: 32)
        try EngineStatus.check(ouro_auth_key(epochKey, epoch, &key), "deriving K_auth")
        return key
    }

    static func sessionInput(_ epochKey: Bytes, epoch: UInt64) throws -> Bytes {
        var key = Bytes(repeating: 0, count: 32)
        try EngineStatus.check(ouro_session_ikm(epochKey, epoch, &key), "deriving K_ses")
        return key
    }

    static func control(_ directionKey: Bytes) throws -> Bytes {
        var key = Bytes(repeating: 0, count: 32)
        try EngineStatus.check(ouro_control_key(directionKey, &key), "deriving K_ctl")
        return key
    }

    static func scrambled(_ body: Bytes, key: Bytes) throws -> Bytes {
        var body = body
        try EngineStatus.check(ouro_scramble(key, &body, body.count), "scrambling")
        return body
    }

    /// Both chains of a direction.
    struct Chains {
        var enc: Bytes
        var scr: Bytes
        var messageEnc = Bytes(repeating: 0, count: 32)
        var messageScr = Bytes(repeating: 0, count: 32)
        private(set) var next: UInt64 = 0

        init(enc: Bytes, scr: Bytes) {
            self.enc = enc
            self.scr = scr
        }

        /// Moves on until the keys of message `n` are there.
        mutating func step(to n: UInt64) throws {
            while next <= n {
                try EngineStatus.check(
                    ouro_chain_step(&enc, &scr, next, &messageEnc, &messageScr), "deriving a message's keys")
                next += 1
            }
        }
    }

    /// One direction's packets, sealed whether they may be sent or not.
    struct Sealer {
        let directionKey: Bytes
        let sessionID: UInt32

        func packet(type: PacketType, flags: UInt8, counter: UInt64, body: Bytes) throws -> Bytes {
            guard type == .data else {
                return try packet(type: type, flags: flags, counter: counter, body: body, key: controlKey())
            }
            var chains = Chains(enc: directionKey, scr: directionKey)
            try chains.step(to: counter)
            var packet = try packet(
                type: type, flags: flags, counter: counter, body: body, key: chains.messageEnc)
            let place = Int(OURO_HEADER_SIZE)..<Int(OURO_HEADER_SIZE) + body.count
            packet.replaceSubrange(place, with: try scrambled(Array(packet[place]), key: chains.messageScr))
            return packet
        }

        func controlKey() throws -> Bytes {
            try control(directionKey)
        }

        func packet(
            type: PacketType, flags: UInt8, counter: UInt64, body: Bytes, key: Bytes
        ) throws -> Bytes {
            var header = ouro_header(
                type: type.rawValue, flags: flags, length: UInt16(body.count), session_id: sessionID,
                counter: counter)
            var packet = Bytes(repeating: 0, count: Int(OURO_OVERHEAD) + body.count)
            ouro_packet_encode(&header, &packet)
            packet.replaceSubrange(Int(OURO_HEADER_SIZE)..<Int(OURO_HEADER_SIZE) + body.count, with: body)
            try EngineStatus.check(ouro_seal_anything(key, &packet, body.count), "sealing a packet")
            return packet
        }
    }
}
