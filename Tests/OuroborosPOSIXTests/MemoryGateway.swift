import Ouroboros
import OuroborosPOSIX

/// A gateway behind a socket in memory, on a virtual clock: waiting for a packet lets the time pass.
final class MemoryGateway: BlockingSocket {
    private(set) var now: UInt64 = 1_000_000
    private let acceptor: Acceptor
    private let accepted: AcceptedDevice
    private let pool: PlacePool
    private var link: Link?
    private let address: PeerAddress
    private var toClient: [[UInt8]] = []

    /// Packets that are lost in both directions.
    var isSilent = false
    var echoes = false
    /// Packets of the client.
    private(set) var heard = 0
    private(set) var payloads: [[UInt8]] = []
    private(set) var epochs: [UInt64] = []

    init(_ credential: Credential) throws {
        pool = try PlacePool(places: 64)
        acceptor = try Acceptor(configuration: .init(), now: now)
        accepted = AcceptedDevice(credential, acceptor: acceptor)
        address = [UInt8](arrayLiteral: 4, 1, 2).withUnsafeBytes { PeerAddress($0) }
    }

    var handshakes: UInt64 { link?.statistics.handshakes ?? 0 }

    func pass(_ milliseconds: UInt64) {
        advance(to: now + milliseconds)
    }

    private func advance(to end: UInt64) {
        while let link, let due = link.deadline(now: now), due <= end {
            now = max(now + 1, due)
            link.tick(now: now)
            pump()
        }
        now = max(now, end)
    }

    func send(_ packet: UnsafeRawBufferPointer) {
        heard += 1
        guard !isSilent else { return }
        var copy = Array(packet)
        copy.withUnsafeMutableBytes { take($0) }
        pump()
    }

    func receive(
        into buffer: UnsafeMutableRawBufferPointer, until deadline: UInt64
    ) throws(OuroborosError) -> Int? {
        pump()
        if toClient.isEmpty, deadline > now {
            // The gateway's own timers may bring something before that.
            let due = link?.deadline(now: now) ?? .max
            advance(to: min(deadline, max(due, now + 1)))
        }
        guard !toClient.isEmpty else { return nil }
        let packet = toClient.removeFirst()
        buffer.copyBytes(from: packet)
        return packet.count
    }

    private func take(_ packet: UnsafeMutableRawBufferPointer) {
        let id = Packet.sessionID(of: UnsafeRawBufferPointer(packet))
        if id == 0 {
            guard
                case .welcome(let welcome, let moved)? = try? acceptor.answer(
                    hello: UnsafeRawBufferPointer(packet), of: accepted, link: link, now: now,
                    isTaken: { _ in false })
            else { return }
            if let moved { epochs.append(moved.epoch) }
            toClient.append(welcome)
        } else if let link, link.sessionIDs.contains(id) {
            _ = link.receive(packet, from: address, now: now)
            drain(link)
        } else {
            let confirmation = try? acceptor.confirm(
                sessionID: id, packet: packet, from: address, device: accepted, now: now
            ) { () throws(OuroborosError) in
                if let link { return link }
                let link = try Link(serverWith: pool)
                link.setRoom(free: 64, capacity: 64)
                self.link = link
                return link
            }
            if case .confirmed(let moved)? = confirmation, let link {
                if let moved { epochs.append(moved.epoch) }
                link.epochSaved()
                drain(link)
            }
        }
    }

    func post(_ payload: [UInt8]) throws {
        _ = try link?.send(OutgoingMessage(payload), now: now)
        pump()
    }

    private func drain(_ link: Link) {
        while let event = try? link.nextEvent() {
            guard case .message(let message) = event else { continue }
            payloads.append(message.payload)
            link.done(sessionID: message.sessionID, counter: message.counter)
            if echoes {
                _ = try? link.send(OutgoingMessage(message.payload), now: now)
            }
        }
    }

    private func pump() {
        guard let link else { return }
        var packets: [[UInt8]] = []
        while (try? link.transmit(now: now, { packet, _ in packets.append(Array(packet)) })) == true {}
        if !isSilent {
            toClient += packets
        }
        drain(link)
    }
}
