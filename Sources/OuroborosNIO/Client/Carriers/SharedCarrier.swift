import NIOCore
import Ouroboros

/// One client's datagrams, over a ``SharedSocket``.
// @unchecked: its state is touched on `loop` alone: the socket, the client's engine and look-ups call there.
final class SharedCarrier: ClientCarrier, @unchecked Sendable {
    private let loop: any EventLoop
    private let socket: SharedSocket
    private let name: (HostAndPort, any NameLookup)?
    private let isAlone: Bool
    private var route: ServerRoute<SocketAddress>
    private var timer: LoopTimer?
    private var isClosed = false
    private(set) weak var delegate: (any ClientCarrierDelegate)?
    private(set) var lastError: (any Error)?
    /// As the socket has it: this client's servers, and its sessions there.
    private var servers: Set<SocketAddress> = []
    var noted: [SocketAddress: [UInt32]] = [:]
    var isTouched = false

    /// One that is alone closes its socket.
    init(_ socket: SharedSocket, on loop: any EventLoop, to server: ServerPlace, isAlone: Bool = false) {
        self.loop = loop
        self.socket = socket
        self.isAlone = isAlone
        switch server.place {
        case .address(let address):
            name = nil
            route = ServerRoute(to: address)
        case .name(let place, let lookup):
            name = (place, lookup)
            route = ServerRoute(now: loop.now.milliseconds)
        }
    }

    private var now: UInt64 { loop.now.milliseconds }
    var heldSessions: [UInt32] { delegate?.heldSessions ?? [] }
    var isShakingHands: Bool { delegate?.isShakingHands ?? false }

    /// Without an address nothing waits for it: a HELLO goes out once there is one.
    func open(for delegate: any ClientCarrierDelegate) -> EventLoopFuture<Void> {
        self.delegate = delegate
        timer = LoopTimer(on: loop) { [weak self] in self?.timerFired() }
        turn()
        guard let address = route.addresses.first else { return loop.makeSucceededVoidFuture() }
        return socket.open(to: address)
    }

    func close() -> EventLoopFuture<Void> {
        isClosed = true
        timer?.cancel()
        for server in servers {
            socket.remove(self, at: server)
        }
        servers = []
        return isAlone ? socket.close() : loop.makeSucceededVoidFuture()
    }

    // MARK: Packets

    var isWritable: Bool { true }
    func flush() { socket.flush() }
    func pause(_ pauses: Bool) {}

    func write(_ packet: UnsafeRawBufferPointer) {
        let id = Packet.sessionID(of: packet)
        guard id == 0 else {
            if let address = route.address(ofSession: id) {
                socket.write(packet, to: address)
            }
            return
        }
        if let address = route.hello(Array(packet), now: now) {
            send(packet, to: address)
        }
        turn()
    }

    /// A HELLO.
    private func send(_ packet: UnsafeRawBufferPointer, to address: SocketAddress) {
        listen()
        socket.handshakeBegins(of: self, with: address)
        guard !socket.isOpen(to: address) else {
            socket.write(packet, to: address)
            return
        }
        let copy = Array(packet)
        socket.open(to: address).assumeIsolated().whenComplete { [self] result in
            guard !isClosed else { return }
            switch result {
            case .success:
                copy.withUnsafeBytes { socket.write($0, to: address) }
                socket.flush()
            // The other family may have an address, too.
            case .failure(let error): lastError = error
            }
        }
    }

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        let id = Packet.sessionID(of: UnsafeRawBufferPointer(packet))
        guard let delegate, delegate.receive(packet), !route.expects(id, from: address) else { return }
        route.took(id, from: address, held: delegate.heldSessions, isShakingHands: delegate.isShakingHands)
        turn()
    }

    // MARK: The way

    /// The socket gives what comes from these servers.
    private func listen() {
        let accepted = route.accepted
        guard accepted != servers else { return }
        for server in servers.subtracting(accepted) {
            socket.remove(self, at: server)
        }
        for server in accepted.subtracting(servers) {
            socket.add(self, at: server)
        }
        servers = accepted
    }

    private func timerFired() {
        timer?.fired()
        guard !isClosed else { return }
        if !isShakingHands {
            route.helloEnded()
        }
        while let (packet, address) = route.next(now: now) {
            packet.withUnsafeBytes { send($0, to: address) }
        }
        turn()
        flush()
    }

    private func turn() {
        guard !isClosed else { return }
        listen()
        if let name, route.beginLookUp(now: now) {
            let (place, lookup) = name
            lookup.addresses(of: place, on: loop).whenComplete { [weak self] in self?.lookedUp($0) }
        }
        timer?.arm(at: route.deadline, now: now)
    }

    private func lookedUp(_ result: Result<[SocketAddress], any Error>) {
        guard !isClosed else { return }
        switch result {
        case .success(let addresses):
            route.found(addresses, now: now)
            lastError = nil
        case .failure(let error):
            route.failed(now: now)
            lastError = error
            delegate?.lookUpFailed(error)
        }
        timer?.arm(at: route.deadline, now: now)
    }
}
