import NIOCore
import Ouroboros

/// A port for each address family, under the links of one client or of many, each with its own server and session.
// @unchecked: its state is touched on `loop` alone: its ports and the engines' carriers call there, others hop to it.
final class SharedSocket: DatagramReceiver, @unchecked Sendable {
    private struct Port {
        let port: any DatagramPort
        let opened: EventLoopFuture<Void>
        var isOpen = false
    }

    private let network: any DatagramNetwork
    private let loop: any EventLoop
    private let receiveBatch: Int
    private var ports: [NIOBSDSocket.ProtocolFamily.RawValue: Port] = [:]
    private var carriers: [SocketAddress: [SharedCarrier]] = [:]
    /// Those that have a HELLO out to a server.
    private var shaking: [SocketAddress: [SharedCarrier]] = [:]
    /// Whose a session is. An id is the server's choice: two servers may choose the same.
    private var owners: [SocketAddress: [UInt32: SharedCarrier]] = [:]
    private var touched: [SharedCarrier] = []
    private var isFlushing = false
    private var isClosed = false

    init(_ network: any DatagramNetwork, on loop: any EventLoop, receiveBatch: Int) {
        self.network = network
        self.loop = loop
        self.receiveBatch = receiveBatch
    }

    // MARK: Ports

    /// Opens the port to a server, if it is not there; one that could not be opened is tried anew.
    func open(to server: SocketAddress) -> EventLoopFuture<Void> {
        let family = server.protocol.rawValue
        if let port = ports[family] {
            return port.opened
        }
        guard !isClosed else { return loop.makeFailedFuture(OuroborosError.connectionClosed) }
        let port = network.makePort(on: loop, at: server.anyLocal, receiveBatch: receiveBatch)
        let opened = port.open(for: self).map { _ in }
        ports[family] = Port(port: port, opened: opened)
        opened.assumeIsolated().whenComplete { [weak self] result in
            switch result {
            case .success: self?.ports[family]?.isOpen = true
            case .failure: self?.ports[family] = nil
            }
        }
        return opened
    }

    func isOpen(to server: SocketAddress) -> Bool { ports[server.protocol.rawValue]?.isOpen ?? false }

    func close() -> EventLoopFuture<Void> {
        isClosed = true
        return EventLoopFuture.andAllComplete(
            ports.values.map { entry in
                entry.opened.flatMap { entry.port.close() }
            }, on: loop)
    }

    func write(_ packet: UnsafeRawBufferPointer, to address: SocketAddress) {
        ports[address.protocol.rawValue]?.port.write(packet, to: address)
    }

    /// After a read batch, one flush for all.
    func flush() {
        guard !isFlushing else { return }
        for port in ports.values {
            port.port.flush()
        }
    }

    // MARK: Carriers

    /// The carrier is given what comes from this server.
    func add(_ carrier: SharedCarrier, at server: SocketAddress) {
        carriers[server, default: []].append(carrier)
    }

    func remove(_ carrier: SharedCarrier, at server: SocketAddress) {
        carriers[server]?.removeAll { $0 === carrier }
        if carriers[server]?.isEmpty ?? false {
            carriers[server] = nil
        }
        shaking[server]?.removeAll { $0 === carrier }
        forgetSessions(of: carrier, at: server)
        if owners[server]?.isEmpty ?? false { owners[server] = nil }
        if shaking[server]?.isEmpty ?? false { shaking[server] = nil }
    }

    /// A HELLO of this one goes out.
    func handshakeBegins(of carrier: SharedCarrier, with server: SocketAddress) {
        guard !(shaking[server] ?? []).contains(where: { $0 === carrier }) else { return }
        shaking[server, default: []].append(carrier)
    }

    // MARK: From the ports

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        // Answers from anywhere but a client's own server are not for it.
        guard let known = carriers[address] else { return }
        if known.count == 1 {
            give(packet, from: address, to: known[0])
        } else if let owner = owners[address]?[Packet.sessionID(of: UnsafeRawBufferPointer(packet))] {
            give(packet, from: address, to: owner)
            return
        }
        // An answer to a HELLO: the one whose it is finds that its tag verifies; the others drop it unchanged.
        for carrier in shaking[address] ?? [] {
            if known.count > 1 {
                give(packet, from: address, to: carrier)
            }
            if !carrier.isShakingHands {
                shaking[address]?.removeAll { $0 === carrier }
                noteSessions(of: carrier, at: address)
            }
        }
    }

    private func noteSessions(of carrier: SharedCarrier, at server: SocketAddress) {
        forgetSessions(of: carrier, at: server)
        let held = carrier.heldSessions
        for id in held {
            owners[server, default: [:]][id] = carrier
        }
        carrier.noted[server] = held
    }

    private func forgetSessions(of carrier: SharedCarrier, at server: SocketAddress) {
        for id in carrier.noted.removeValue(forKey: server) ?? [] where owners[server]?[id] === carrier {
            owners[server]?[id] = nil
        }
    }

    private func give(
        _ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress, to carrier: SharedCarrier
    ) {
        carrier.receive(packet, from: address)
        if !carrier.isTouched {
            carrier.isTouched = true
            touched.append(carrier)
        }
    }

    func readComplete() {
        let turn = touched
        touched.removeAll(keepingCapacity: true)
        isFlushing = true
        for carrier in turn {
            carrier.isTouched = false
            carrier.delegate?.readComplete()
        }
        isFlushing = false
        flush()
    }

    func socketLost(_ error: (any Error)?) {
        var told: Set<ObjectIdentifier> = []
        for carrier in carriers.values.joined() where told.insert(ObjectIdentifier(carrier)).inserted {
            carrier.delegate?.socketLost(error)
        }
    }
}
