import LibC
import NIOCore
import Ouroboros

/// What an engine is told by a stream, on the event loop.
protocol PacketStreamReceiver: AnyObject {
    /// The packet may be changed; it is gone after the call.
    func receive(_ packet: UnsafeMutableRawBufferPointer, on stream: PacketStream)
    func readComplete(on stream: PacketStream)
    /// It takes packets again.
    func becameWritable(_ stream: PacketStream)
    /// It ended, and was not closed from here.
    func ended(_ stream: PacketStream, _ error: (any Error)?)
}

/// One TCP connection: bytes in and out, cut into packets as their Length says.
///
/// Reading and writing do not wait for each other: a reader who is slow pauses reading alone, and what the
/// other side does not take stays with the engine. It is bound to its channel's event loop.
final class PacketStream {
    private weak var receiver: (any PacketStreamReceiver)?
    private let channel: any Channel
    private var context: ChannelHandlerContext?
    private var incoming = ByteBuffer()
    private var outgoing = ByteBuffer()
    private var isPaused = false
    private var isDelivering = false
    private var isReadComplete = false
    private var isClosed = false
    private var error: (any Error)?
    /// Since when a packet lies here that is not whole; since when the other side takes nothing.
    private(set) var partialSince: NIODeadline?
    private(set) var stalledSince: NIODeadline?

    private static let chunk = 32_768

    init(_ channel: any Channel, for receiver: any PacketStreamReceiver) {
        self.channel = channel
        self.receiver = receiver
    }

    var loop: any EventLoop { channel.eventLoop }
    var remoteAddress: SocketAddress? { channel.remoteAddress }

    /// Options of both sides' connections: no waiting for more to send, and peers that vanished are found out.
    static func options(of channel: any Channel) -> EventLoopFuture<Void> {
        let options: [(NIOBSDSocket.Option, Int)] = [
            (NIOBSDSocket.Option(rawValue: TCP_NODELAY), 1),
            (NIOBSDSocket.Option(rawValue: TCP_KEEPIDLE), 60),
            (NIOBSDSocket.Option(rawValue: TCP_KEEPINTVL), 15),
            (NIOBSDSocket.Option(rawValue: TCP_KEEPCNT), 4),
        ]
        return EventLoopFuture.andAllSucceed(
            [channel.setOption(.socketOption(.so_keepalive), value: 1)]
                + options.map { channel.setOption(.tcpOption($0.0), value: $0.1) },
            on: channel.eventLoop)
    }

    /// Begins to read; called on the event loop.
    func start() throws {
        try channel.pipeline.syncOperations.addHandler(PacketStreamHandler(self))
    }

    // MARK: Out

    /// False while the other side takes no more.
    var isWritable: Bool {
        if outgoing.readableBytes >= Self.chunk {
            flush()
        }
        return context != nil && !isClosed && channel.isWritable
    }

    func write(_ packet: UnsafeRawBufferPointer) {
        outgoing.writeBytes(packet)
    }

    func flush() {
        guard outgoing.readableBytes > 0 else { return }
        context?.writeAndFlush(NIOAny(outgoing), promise: nil)
        outgoing = ByteBuffer()
    }

    /// Sends what was written, then ends; at once if the other side takes nothing.
    func close() -> EventLoopFuture<Void> {
        guard !isClosed else { return channel.closeFuture }
        isClosed = true
        incoming = ByteBuffer()
        let sent = loop.makePromise(of: Void.self)
        if let context {
            context.writeAndFlush(NIOAny(outgoing), promise: sent)
        } else {
            sent.succeed()
        }
        outgoing = ByteBuffer()
        let limit = loop.scheduleTask(in: .seconds(2)) { [channel] in channel.close(promise: nil) }
        sent.futureResult.whenComplete { [channel] _ in channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in limit.cancel() }
        return channel.closeFuture
    }

    // MARK: In

    /// Stops or goes on reading.
    func pause(_ pauses: Bool) {
        guard pauses != isPaused else { return }
        isPaused = pauses
        guard !pauses else { return }
        // Not within the call that made room: the engine is at work there.
        loop.assumeIsolated().execute { [self] in
            deliver()
            if !isPaused, isReadComplete {
                isReadComplete = false
                context?.read()
            }
        }
    }

    private func deliver() {
        guard !isDelivering else { return }
        isDelivering = true
        defer { isDelivering = false }
        var any = false
        while !isPaused, !isClosed {
            guard let size = incoming.withUnsafeReadableBytes({ Packet.size(inStream: $0) }) else {
                fail(OuroborosError(.transport, "the other side sent something else than packets"))
                return
            }
            guard size > 0, incoming.readableBytes >= size else { break }
            any = true
            withUnsafeTemporaryAllocation(byteCount: size, alignment: 16) { packet in
                incoming.withUnsafeReadableBytes {
                    packet.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<size]))
                }
                incoming.moveReaderIndex(forwardBy: size)
                receiver?.receive(packet, on: self)
            }
        }
        if incoming.readableBytes == 0 {
            incoming = ByteBuffer()
            partialSince = nil
        } else if any || partialSince == nil {
            partialSince = isPaused ? nil : loop.now
        }
        if any, !isClosed {
            receiver?.readComplete(on: self)
        }
    }

    private func fail(_ error: any Error) {
        self.error = error
        detach()
        channel.close(promise: nil)
    }

    // MARK: From the handler

    fileprivate func attach(_ context: ChannelHandlerContext) {
        self.context = context
        context.read()
    }

    fileprivate func read(_ buffer: ByteBuffer) {
        guard !isClosed else { return }
        if incoming.readableBytes == 0 {
            incoming = buffer
        } else {
            var buffer = buffer
            incoming.discardReadBytes()
            incoming.writeBuffer(&buffer)
        }
        deliver()
    }

    fileprivate func readComplete() {
        if isPaused {
            isReadComplete = true
        } else {
            context?.read()
        }
    }

    fileprivate func writabilityChanged() {
        stalledSince = channel.isWritable ? nil : loop.now
        if channel.isWritable, !isClosed {
            receiver?.becameWritable(self)
        }
    }

    fileprivate func caught(_ error: any Error) {
        self.error = error
        channel.close(promise: nil)
    }

    fileprivate func detach() {
        context = nil
        guard !isClosed else { return }
        isClosed = true
        receiver?.ended(self, error)
    }
}

private final class PacketStreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let stream: PacketStream

    init(_ stream: PacketStream) {
        self.stream = stream
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive {
            stream.attach(context)
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        stream.attach(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        stream.read(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        stream.readComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        stream.writabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        stream.caught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        stream.detach()
    }
}
