import NIOCore

/// One direction of a proxy's path, on the proxy's event loop.
final class ImpairedPath {
    private let loop: any EventLoop
    private var impairer: Impairer
    private var underWay = 0

    /// Bytes on the way at once, with what each datagram costs beside its own: a flood takes no more memory.
    private static let room = 8 << 20
    private static let cost = 256

    init(_ impairment: Impairment, seed: UInt64, on loop: any EventLoop) {
        self.loop = loop
        impairer = Impairer(impairment, seed: seed)
    }

    var counts: ImpairmentCounts { impairer.counts }

    var impairment: Impairment {
        get { impairer.impairment }
        set { impairer.impairment = newValue }
    }

    /// Calls `deliver` with each copy that arrives, when it does.
    func carry(
        _ packet: UnsafeMutableRawBufferPointer, headers: Int, _ deliver: @escaping ([UInt8]) -> Void
    ) {
        let now = Duration.nanoseconds(Int64(clamping: loop.now.uptimeNanoseconds))
        let size = packet.count + Self.cost
        for arrival in impairer.arrivals(size: packet.count, headers: headers, now: now) {
            guard underWay + size <= Self.room else {
                impairer.overflow()
                continue
            }
            var copy = Array(packet)
            arrival.apply(to: &copy)
            guard arrival.delay > .zero else {
                deliver(copy)
                continue
            }
            underWay += size
            loop.assumeIsolated().scheduleTask(in: TimeAmount(arrival.delay)) { [self, copy] in
                underWay -= size
                deliver(copy)
            }
        }
    }
}
