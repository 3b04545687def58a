@testable import Ouroboros

/// A client and a server in memory, on a clock of their own: nothing waits, nothing is lost unless asked for.
final class Pair {
    static let device = DeviceID(number: 0x0102_0304_0506_0708)

    let client: Link
    let acceptor: Acceptor
    let accepted: AcceptedDevice
    let pool: PlacePool
    var server: Link?
    var now: UInt64 = 1_000_000
    var clientEvents: [LinkEvent] = []
    var serverEvents: [LinkEvent] = []
    /// Epochs in the order in which they were made durable.
    var clientEpochs: [UInt64] = []
    var serverEpochs: [UInt64] = []
    var confirmsAtServer = true
    var savesAtServer = true
    /// The largest packet that the path carries.
    var largest = Int.max
    /// Why HELLOs were dropped.
    var dropped: [DropReason] = []
    var confirmsAtClient = true
    private let address: PeerAddress

    init(client credential: Credential, server registered: Credential) throws {
        client = try Link(client: credential)
        pool = try PlacePool(places: 64)
        acceptor = try Acceptor(configuration: .init(), now: 1_000_000)
        accepted = AcceptedDevice(registered, acceptor: acceptor)
        address = [UInt8](arrayLiteral: 4, 1, 2).withUnsafeBytes { PeerAddress($0) }
        client.setRoom(free: 64, capacity: 64)
    }

    convenience init(_ credential: Credential) throws {
        try self.init(client: credential, server: credential)
    }

    static func fixed() throws -> Pair {
        try Pair(.fixed(device: device, rootKey: .random()))
    }

    /// Carries packets until both are quiet.
    func run() throws {
        var isBusy = true
        while isBusy {
            isBusy = false
            try drainClient()
            for packet in try packets(from: client) {
                isBusy = true
                if packet.count <= largest { try toServer(packet) }
            }
            guard let server else { continue }
            try drainServer(server)
            for packet in try packets(from: server) {
                isBusy = true
                if packet.count <= largest { try toClient(packet) }
            }
        }
    }

    /// Lets time pass, up to a limit, with every timer on the way.
    func advance(by milliseconds: UInt64) throws {
        let end = now + milliseconds
        try run()
        while let next = [client.deadline(now: now), server?.deadline(now: now)].compactMap({ $0 }).min(),
            next <= end
        {
            now = max(now + 1, next)
            client.tick(now: now)
            server?.tick(now: now)
            try run()
        }
        now = max(now, end)
    }

    func packets(from link: Link) throws -> [[UInt8]] {
        var packets: [[UInt8]] = []
        while try link.transmit(now: now, { packet, _ in packets.append(Array(packet)) }) {}
        return packets
    }

    func toServer(_ packet: [UInt8]) throws {
        var packet = packet
        try packet.withUnsafeMutableBytes { bytes in
            let id = Packet.sessionID(of: UnsafeRawBufferPointer(bytes))
            if id == 0 {
                try answerHello(UnsafeRawBufferPointer(bytes))
            } else if let server, server.sessionIDs.contains(id) {
                _ = server.receive(bytes, from: address, now: now)
                try drainServer(server)
            } else {
                try confirm(id, bytes)
            }
        }
    }

    private func answerHello(_ packet: UnsafeRawBufferPointer) throws {
        let answer = try acceptor.answer(hello: packet, of: accepted, link: server, now: now) { _ in false }
        switch answer {
        case .welcome(let welcome, let moved):
            if let moved { serverEpochs.append(moved.epoch) }
            try toClient(welcome)
        case .dropped(let reason): dropped.append(reason)
        }
    }

    private func confirm(_ id: UInt32, _ packet: UnsafeMutableRawBufferPointer) throws {
        let confirmation = try acceptor.confirm(
            sessionID: id, packet: packet, from: address, device: accepted, now: now
        ) { () throws(OuroborosError) in
            if let server { return server }
            let link = try Link(serverWith: pool)
            link.setRoom(free: 64, capacity: 64)
            server = link
            return link
        }
        if case .confirmed(let moved) = confirmation, let server {
            if let moved { serverEpochs.append(moved.epoch) }
            // The packet is gone when this returns.
            defer { packet.initializeMemory(as: UInt8.self, repeating: 0xff) }
            guard savesAtServer else { return }
            server.epochSaved()
            try drainServer(server)
        }
    }

    func toClient(_ packet: [UInt8]) throws {
        var packet = packet
        packet.withUnsafeMutableBytes { _ = client.receive($0, now: now) }
        try drainClient()
    }

    private func drainClient() throws {
        while let event = try client.nextEvent() {
            clientEvents.append(event)
            if case .message(let message) = event, confirmsAtClient {
                client.done(sessionID: message.sessionID, counter: message.counter)
            }
            if case .epochMoved(let credential) = event {
                clientEpochs.append(credential.epoch)
                client.epochSaved()
            }
        }
    }

    private func drainServer(_ server: Link) throws {
        while let event = try server.nextEvent() {
            serverEvents.append(event)
            if case .message(let message) = event, message.isLastOfPacket, confirmsAtServer {
                server.done(sessionID: message.sessionID, counter: message.counter)
            }
        }
    }

    // MARK: What came

    var receivedByServer: [[UInt8]] { Self.payloads(serverEvents) }
    var receivedByClient: [[UInt8]] { Self.payloads(clientEvents) }

    var delivered: Int {
        clientEvents.count { if case .delivered = $0 { true } else { false } }
    }

    private static func payloads(_ events: [LinkEvent]) -> [[UInt8]] {
        events.compactMap { if case .message(let message) = $0 { message.payload } else { nil } }
    }
}
