import NIOCore
import OuroborosNIO

/// The proxy at work, on one event loop.
// @unchecked: its state is touched on `loop` alone.
final class ProxyEngine: DatagramReceiver, @unchecked Sendable {
    private struct Client {
        var leg: ProxyLeg
        var lastHeard: NIODeadline
        /// Where it sends to: the answers leave from there.
        var local: SocketAddress?
    }

    let loop: any EventLoop
    private let configuration: ImpairmentProxy.Configuration
    private var server: SocketAddress
    private let front: any DatagramPort
    private let toServer: ImpairedPath
    private let toClient: ImpairedPath
    private var clients: [SocketAddress: Client] = [:]
    private var rebinding: RepeatedTask?
    private var tally = ImpairmentProxy.Counts()
    private var isClosed = false

    init(
        at address: SocketAddress, to server: SocketAddress, configuration: ImpairmentProxy.Configuration
    ) {
        loop = configuration.eventLoopGroup.next()
        self.configuration = configuration
        self.server = server
        front = SystemSockets(.answers).makePort(on: loop, at: address, receiveBatch: 32)
        toServer = ImpairedPath(configuration.toServer, seed: configuration.seed, on: loop)
        // Another sequence for the other direction.
        toClient = ImpairedPath(configuration.toClient, seed: ~configuration.seed, on: loop)
    }

    func open() -> EventLoopFuture<SocketAddress> {
        front.open(for: self).map { [self] address in
            if let interval = configuration.rebindInterval {
                rebinding = loop.scheduleRepeatedTask(
                    initialDelay: TimeAmount(interval), delay: TimeAmount(interval)
                ) { [weak self] _ in self?.rebind() }
            }
            return address
        }
    }

    func close() -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in
            isClosed = true
            rebinding?.cancel()
            let closed = [front.close()] + clients.values.map { $0.leg.close() }
            clients = [:]
            return EventLoopFuture.andAllComplete(closed, on: loop)
        }
    }

    var counts: ImpairmentProxy.Counts {
        var counts = tally
        counts.toServer = toServer.counts
        counts.toClient = toClient.counts
        counts.clients = clients.count
        return counts
    }

    func impair(toServer: Impairment, toClient: Impairment) {
        self.toServer.impairment = toServer
        self.toClient.impairment = toClient
    }

    func rebind() {
        for (address, client) in clients {
            tally.rebindings += 1
            _ = client.leg.close()
            clients[address]?.leg = makeLeg(of: address)
        }
    }

    func redirect(to server: SocketAddress) {
        self.server = server
    }

    // MARK: From clients

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        receive(packet, from: address, at: nil)
    }

    func receive(
        _ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress, at local: SocketAddress?
    ) {
        guard !isClosed else { return }
        if clients[address] == nil {
            makeRoom()
            clients[address] = Client(leg: makeLeg(of: address), lastHeard: loop.now)
        }
        clients[address]?.lastHeard = loop.now
        clients[address]?.local = local
        toServer.carry(packet, headers: server.headerSize) { [weak self] copy in
            guard let self else { return }
            // It leaves from the port that the client has when it arrives.
            clients[address]?.leg.send(copy, to: server)
        }
    }

    private func makeRoom() {
        guard clients.count >= configuration.maximumClients,
            let silent = clients.min(by: { $0.value.lastHeard < $1.value.lastHeard })
        else { return }
        tally.displaced += 1
        _ = silent.value.leg.close()
        clients[silent.key] = nil
    }

    private func makeLeg(of address: SocketAddress) -> ProxyLeg {
        let leg = ProxyLeg(on: loop, towards: server) { [weak self] packet, source in
            self?.receive(packet, from: source, for: address)
        }
        leg.open().whenFailure { [weak self, weak leg] _ in
            guard let self else { return }
            tally.failedSockets += 1
            // The client's next datagram tries anew.
            if let leg, clients[address]?.leg === leg {
                clients[address] = nil
            }
        }
        return leg
    }

    func readComplete() {}
    func socketLost(_ error: (any Error)?) {}

    // MARK: From the server

    private func receive(
        _ packet: UnsafeMutableRawBufferPointer, from source: SocketAddress, for address: SocketAddress
    ) {
        guard !isClosed else { return }
        guard source == server else {
            tally.strange += 1
            return
        }
        toClient.carry(packet, headers: address.headerSize) { [weak self] copy in
            guard let self, !isClosed else { return }
            copy.withUnsafeBytes { self.front.write($0, to: address, from: self.clients[address]?.local) }
            front.flush()
        }
    }
}
