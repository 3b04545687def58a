import Ouroboros

@testable import OuroborosAnalysis

/// Real traffic of the engine, between a client and a server in memory, as a capture would hold it.
enum Traffic {
    struct Packet {
        var bytes: [UInt8]
        var isUp: Bool
        /// Microseconds.
        var time: Int64
    }

    static let device = DeviceID(number: 0x0102_0304_0506_0708)
    static let root = SecretKey.random()

    /// Some messages up, one down, a PING and a proper end.
    static func session(
        credential: Credential? = nil, isStream: Bool = false, texts: [String] = ["first", "second", "third"]
    ) throws -> [Packet] {
        let run = try Run(credential ?? .fixed(device: device, rootKey: root), isStream: isStream)
        try run.client.connect(now: run.now)
        try run.settle()
        for text in texts {
            _ = try run.client.send(.init(Array(text.utf8)), now: run.now)
            try run.settle()
        }
        _ = try run.server?.send(.init(Array("down".utf8)), now: run.now)
        try run.settle()
        try run.client.ping()
        try run.settle()
        try run.client.close(reason: .normal, atOnce: false, now: run.now)
        try run.settle()
        return run.packets
    }

    private final class Run {
        let client: Link
        let acceptor: Acceptor
        let accepted: AcceptedDevice
        let pool: PlacePool
        let isStream: Bool
        var server: Link?
        var now: UInt64 = 1_000_000
        var packets: [Packet] = []
        private let address: PeerAddress

        init(_ credential: Credential, isStream: Bool) throws {
            self.isStream = isStream
            var clientConfiguration = LinkConfiguration.client
            clientConfiguration.isStream = isStream
            if isStream { clientConfiguration.sessions = 1 }
            client = try Link(client: credential, configuration: clientConfiguration)
            pool = try PlacePool(places: 64)
            var configuration = Acceptor.Configuration()
            configuration.isStream = isStream
            acceptor = try Acceptor(configuration: configuration, now: now)
            accepted = AcceptedDevice(credential, acceptor: acceptor)
            address = [UInt8](arrayLiteral: 4, 1, 2).withUnsafeBytes { PeerAddress($0) }
            client.setRoom(free: 64, capacity: 64)
        }

        func settle() throws {
            var isBusy = true
            while isBusy {
                isBusy = false
                try drain(client)
                for packet in try out(client) {
                    isBusy = true
                    note(packet, isUp: true)
                    try toServer(packet)
                }
                guard let server else { continue }
                try drain(server)
                for packet in try out(server) {
                    isBusy = true
                    note(packet, isUp: false)
                    try toClient(packet)
                }
            }
        }

        private func note(_ packet: [UInt8], isUp: Bool) {
            now += 5
            packets.append(Packet(bytes: packet, isUp: isUp, time: Int64(now) * 1000))
        }

        private func out(_ link: Link) throws -> [[UInt8]] {
            var packets: [[UInt8]] = []
            while try link.transmit(now: now, { packet, _ in packets.append(Array(packet)) }) {}
            return packets
        }

        private func drain(_ link: Link) throws {
            while let event = try link.nextEvent() {
                switch event {
                case .message(let message): link.done(sessionID: message.sessionID, counter: message.counter)
                case .epochMoved: link.epochSaved()
                default: break
                }
            }
        }

        private func toClient(_ packet: [UInt8]) throws {
            var packet = packet
            packet.withUnsafeMutableBytes { _ = client.receive($0, now: now) }
            try drain(client)
        }

        private func toServer(_ packet: [UInt8]) throws {
            var packet = packet
            try packet.withUnsafeMutableBytes { bytes in
                let id = Ouroboros.Packet.sessionID(of: UnsafeRawBufferPointer(bytes))
                if id == 0 {
                    let answer = try acceptor.answer(
                        hello: UnsafeRawBufferPointer(bytes), of: accepted, link: server, now: now
                    ) { _ in false }
                    guard case .welcome(let welcome, _) = answer else { return }
                    note(welcome, isUp: false)
                    try toClient(welcome)
                } else if let server, server.sessionIDs.contains(id) {
                    _ = server.receive(bytes, from: address, now: now)
                    try drain(server)
                } else {
                    try confirm(id, bytes)
                }
            }
        }

        private func confirm(_ id: UInt32, _ bytes: UnsafeMutableRawBufferPointer) throws {
            var configuration = LinkConfiguration.server
            configuration.isStream = isStream
            let confirmation = try acceptor.confirm(
                sessionID: id, packet: bytes, from: address, device: accepted, now: now
            ) { () throws(OuroborosError) in
                let link = try Link(serverWith: pool, configuration: configuration)
                link.setRoom(free: 64, capacity: 64)
                server = link
                return link
            }
            guard case .confirmed = confirmation, let server else { return }
            server.epochSaved()
            try drain(server)
        }
    }
}
