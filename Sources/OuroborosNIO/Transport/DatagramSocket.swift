import LibC
import NIOCore
import NIOPosix
import Ouroboros

/// A UDP socket on an event loop: packets are read and written many at a time.
///
/// An address that cannot be reached for a while makes the system, or NIO, end a socket. It is opened anew,
/// once a second, until ``close()``.
// @unchecked: all of its state is touched on `loop` alone: its handler and those who write call there, and opening
// hops to it.
final class DatagramSocket: DatagramPort, @unchecked Sendable {
    let loop: any EventLoop
    private let receiveBatch: Int
    private let sharesPort: Bool
    private let largest: Int
    private weak var receiver: (any DatagramReceiver)?
    private(set) var channel: (any Channel)?
    private var context: ChannelHandlerContext?
    private var isClosed = false
    private var lastError: (any Error)?
    private(set) var localAddress: SocketAddress

    private let scratch: UnsafeMutableRawBufferPointer
    private var outgoing = ByteBuffer()
    private var records: [(offset: Int, length: Int, address: SocketAddress)] = []

    /// A packet is at most 1232 bytes; what is longer is cut here and dropped by the engine.
    static let datagramSize = 1280

    /// With `sharesPort`, other sockets of this program have the address too (SO_REUSEPORT).
    init(
        on loop: any EventLoop, localAddress: SocketAddress, receiveBatch: Int, sharesPort: Bool = false,
        largest: Int = DatagramSocket.datagramSize
    ) {
        self.loop = loop
        self.localAddress = localAddress
        self.receiveBatch = max(1, receiveBatch)
        self.sharesPort = sharesPort
        self.largest = largest
        scratch = .allocate(byteCount: largest, alignment: 16)
    }

    deinit {
        scratch.deallocate()
    }

    /// Opens the socket; from now on `receiver` is told.
    func open(for receiver: any DatagramReceiver) -> EventLoopFuture<SocketAddress> {
        loop.flatSubmit { [self] in
            self.receiver = receiver
            return bind().map { [self] in localAddress }
        }
    }

    private func bind() -> EventLoopFuture<Void> {
        let size = largest * receiveBatch
        return DatagramBootstrap(group: loop)
            .channelOption(.datagramVectorReadMessageCount, value: receiveBatch)
            .channelOption(.socketOption(.sharedPort), value: sharesPort ? 1 : 0)
            .channelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: size)
            )
            .channelOption(
                .writeBufferWaterMark, value: .init(low: 1 << 19, high: 1 << 20)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DatagramHandler(self))
                }
            }
            .bind(to: localAddress)
            .flatMap { [self] channel in
                self.channel = channel
                // The port stays when the socket is opened anew.
                localAddress = channel.localAddress ?? localAddress
                guard isClosed else { return loop.makeSucceededVoidFuture() }
                // It was closed while it opened.
                return close().flatMapThrowing { throw OuroborosError.connectionClosed }
            }
    }

    func close() -> EventLoopFuture<Void> {
        isClosed = true
        guard let channel else { return loop.makeSucceededVoidFuture() }
        return channel.close().flatMapError { _ in channel.eventLoop.makeSucceededVoidFuture() }
    }

    // MARK: Out

    /// Takes a packet; it goes out with ``flush()``.
    func write(_ packet: UnsafeRawBufferPointer, to address: SocketAddress) {
        records.append((outgoing.writerIndex, packet.count, address))
        outgoing.writeBytes(packet)
    }

    func flush() {
        guard !records.isEmpty else { return }
        // A socket that takes no more loses packets, as any path may.
        if let context, context.channel.isWritable {
            for record in records {
                if let slice = outgoing.getSlice(at: record.offset, length: record.length) {
                    let envelope = AddressedEnvelope(remoteAddress: record.address, data: slice)
                    context.write(NIOAny(envelope), promise: nil)
                }
            }
            context.flush()
        }
        records.removeAll(keepingCapacity: true)
        outgoing.clear(minimumCapacity: 2048)
    }

    // MARK: From the handler

    fileprivate func attach(_ context: ChannelHandlerContext) {
        self.context = context
    }

    fileprivate func read(_ envelope: AddressedEnvelope<ByteBuffer>) {
        envelope.data.withUnsafeReadableBytes { bytes in
            let count = min(bytes.count, scratch.count)
            // The engine opens in place, and many packets share one buffer of NIO's.
            scratch.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            receiver?.receive(
                UnsafeMutableRawBufferPointer(rebasing: scratch[..<count]), from: envelope.remoteAddress)
        }
    }

    fileprivate func readComplete() {
        receiver?.readComplete()
    }

    fileprivate func caught(_ error: any Error) {
        lastError = error
    }

    fileprivate func detach() {
        context = nil
        channel = nil
        guard !isClosed, let receiver else { return }
        receiver.socketLost(lastError)
        reopenSoon()
    }

    private func reopenSoon() {
        loop.scheduleTask(in: .seconds(1)) { [weak self] in
            guard let self, !isClosed else { return }
            bind().whenComplete { result in
                if case .failure(let error) = result {
                    self.lastError = error
                    self.reopenSoon()
                }
            }
        }
    }
}

private final class DatagramHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let socket: DatagramSocket

    init(_ socket: DatagramSocket) {
        self.socket = socket
    }

    func handlerAdded(context: ChannelHandlerContext) {
        socket.attach(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        socket.read(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        socket.readComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A datagram that could not be sent is lost, which the engine copes with.
        socket.caught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        socket.detach()
    }
}

extension NIOBSDSocket.Option {
    /// Several sockets of one program have an address, and the system spreads what comes over them.
    static var sharedPort: NIOBSDSocket.Option { NIOBSDSocket.Option(rawValue: SO_REUSEPORT) }
}
