import NIOCore
import OuroborosNIO

/// One port of a ``MemoryNetwork``.
// @unchecked: its state is touched on `loop` alone.
final class MemoryPort: DatagramPort, @unchecked Sendable {
    private let network: MemoryNetwork
    private let loop: any EventLoop
    private var address: SocketAddress
    private weak var receiver: (any DatagramReceiver)?
    private var outgoing: [(packet: [UInt8], target: SocketAddress)] = []
    private var isOpen = false

    init(on network: MemoryNetwork, loop: any EventLoop, at address: SocketAddress) {
        self.network = network
        self.loop = loop
        self.address = address
    }

    func open(for receiver: any DatagramReceiver) -> EventLoopFuture<SocketAddress> {
        loop.submit { [self] in
            self.receiver = receiver
            address = try network.add(self, at: address)
            isOpen = true
            return address
        }
    }

    func write(_ packet: UnsafeRawBufferPointer, to address: SocketAddress) {
        outgoing.append((Array(packet), address))
    }

    func flush() {
        let packets = outgoing
        outgoing.removeAll(keepingCapacity: true)
        guard isOpen else { return }
        let now = Duration.nanoseconds(Int64(clamping: loop.now.uptimeNanoseconds))
        for (packet, target) in packets {
            network.carry(packet, from: address, to: target, now: now)
        }
    }

    func close() -> EventLoopFuture<Void> {
        flush()
        if isOpen {
            network.remove(address)
        }
        isOpen = false
        return loop.makeSucceededVoidFuture()
    }

    /// From any loop.
    func deliver(_ packet: [UInt8], from source: SocketAddress, after delay: Duration) {
        guard delay > .zero else {
            loop.execute { self.arrive(packet, from: source) }
            return
        }
        loop.scheduleTask(in: TimeAmount(delay)) { self.arrive(packet, from: source) }
    }

    private func arrive(_ packet: [UInt8], from source: SocketAddress) {
        guard isOpen, let receiver else { return }
        var packet = packet
        packet.withUnsafeMutableBytes { receiver.receive($0, from: source) }
        receiver.readComplete()
    }
}
