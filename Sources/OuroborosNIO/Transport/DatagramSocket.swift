import CNIOLinux
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
package final class DatagramSocket: DatagramPort, @unchecked Sendable {
    package struct Options: OptionSet, Sendable {
        package let rawValue: Int

        package init(rawValue: Int) {
            self.rawValue = rawValue
        }

        /// Other sockets of this program have the address too (SO_REUSEPORT).
        package static let sharesPort = Options(rawValue: 1)
        /// What answers leaves from the address that was asked, where the socket has all of the machine's.
        package static let answers = Options(rawValue: 2)
        /// `[::]` leaves IPv4 to another socket.
        package static let onlyIPv6 = Options(rawValue: 4)
    }

    package let loop: any EventLoop
    private let receiveBatch: Int
    private let options: Options
    private let largest: Int
    private weak var receiver: (any DatagramReceiver)?
    private(set) var channel: (any Channel)?
    private var context: ChannelHandlerContext?
    private var isClosed = false
    private var lastError: (any Error)?
    private(set) var localAddress: SocketAddress

    private let scratch: UnsafeMutableRawBufferPointer
    private var outgoing = ByteBuffer()
    private var records: [Record] = []
    private var retry: Scheduled<Void>?

    private struct Record {
        let offset: Int
        let length: Int
        let address: SocketAddress
        let local: SocketAddress?
    }

    /// What the system does not take at once waits; what is more is lost, as on any path.
    private static let mostWaiting = 1 << 20

    /// A packet is at most 1232 bytes; what is longer is cut here and dropped by the engine.
    static let datagramSize = 1280

    init(
        on loop: any EventLoop, localAddress: SocketAddress, receiveBatch: Int, options: Options = [],
        largest: Int = DatagramSocket.datagramSize
    ) {
        self.loop = loop
        self.localAddress = localAddress
        self.receiveBatch = max(1, receiveBatch)
        self.options = options
        self.largest = largest
        scratch = .allocate(byteCount: largest, alignment: 16)
    }

    deinit {
        scratch.deallocate()
    }

    /// Opens the socket; from now on `receiver` is told.
    package func open(for receiver: any DatagramReceiver) -> EventLoopFuture<SocketAddress> {
        loop.flatSubmit { [self] in
            self.receiver = receiver
            return bind().map { [self] in localAddress }
        }
    }

    private func bind() -> EventLoopFuture<Void> {
        let size = largest * receiveBatch
        var bootstrap = DatagramBootstrap(group: loop)
            .channelOption(.datagramVectorReadMessageCount, value: receiveBatch)
            .channelOption(.socketOption(.sharedPort), value: options.contains(.sharesPort) ? 1 : 0)
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
        if options.contains(.onlyIPv6) {
            bootstrap = bootstrap.channelOption(.onlyIPv6, value: 1)
        }
        return bootstrap.bind(to: localAddress)
            .flatMap { [self] channel in
                // Not before it is bound: NIO asks for the family of its address.
                let ready = answersForMany ? channel.setOption(.receivePacketInfo, value: true) : nil
                return (ready ?? loop.makeSucceededVoidFuture()).map { channel }
            }
            .flatMap { [self] channel in
                self.channel = channel
                // The port stays when the socket is opened anew.
                localAddress = channel.localAddress ?? localAddress
                guard isClosed else { return loop.makeSucceededVoidFuture() }
                // It was closed while it opened.
                return close().flatMapThrowing { throw OuroborosError.connectionClosed }
            }
    }

    /// The system would choose the address that an answer leaves from, by its way.
    private var answersForMany: Bool { options.contains(.answers) && localAddress.isWildcard }

    package func close() -> EventLoopFuture<Void> {
        loop.assertInEventLoop()
        isClosed = true
        retry?.cancel()
        guard let channel else { return loop.makeSucceededVoidFuture() }
        return channel.close().flatMapError { _ in channel.eventLoop.makeSucceededVoidFuture() }
    }

    // MARK: Out

    /// Takes a packet; it goes out with ``flush()``.
    package func write(_ packet: UnsafeRawBufferPointer, to address: SocketAddress) {
        write(packet, to: address, from: nil)
    }

    package func write(
        _ packet: UnsafeRawBufferPointer, to address: SocketAddress, from local: SocketAddress?
    ) {
        guard outgoing.writerIndex < Self.mostWaiting else { return }
        records.append(
            Record(offset: outgoing.writerIndex, length: packet.count, address: address, local: local))
        outgoing.writeBytes(packet)
    }

    package func flush() {
        guard !records.isEmpty, retry == nil else { return }
        if answersForMany {
            answer()
            return
        }
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
        forgetWritten()
    }

    /// NIO sends from no address of one's choice, so these packets go past it.
    private func answer() {
        var sent = 0
        do {
            try context?.channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
                of: NIOBSDSocket.Handle.self
            ) { socket in
                outgoing.withUnsafeReadableBytes { bytes in
                    while sent < records.count {
                        let record = records[sent]
                        let end = record.offset + record.length
                        let packet = UnsafeRawBufferPointer(rebasing: bytes[record.offset..<end])
                        guard Datagram.send(packet, to: record.address, from: record.local, over: socket)
                        else { break }
                        sent += 1
                    }
                }
            }
        } catch {
            lastError = error
        }
        guard context != nil, sent < records.count else {
            forgetWritten()
            return
        }
        records.removeFirst(sent)
        retry = loop.scheduleTask(in: .milliseconds(1)) { [weak self] in
            self?.retry = nil
            self?.flush()
        }
    }

    private func forgetWritten() {
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
                UnsafeMutableRawBufferPointer(rebasing: scratch[..<count]), from: envelope.remoteAddress,
                at: envelope.metadata?.packetInfo.map(\.local))
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

extension ChannelOption where Self == ChannelOptions.Types.SocketOption {
    /// `[::]` leaves IPv4 to another socket.
    static var onlyIPv6: Self { Self(level: .ipv6, name: .ipv6_v6only) }
}

extension NIOPacketInfo {
    /// The address that a packet came to. One of a link means nothing without the interface.
    fileprivate var local: SocketAddress {
        guard case .v6(let v6) = destinationAddress, v6.address.isOfLink else { return destinationAddress }
        var address = v6.address
        address.sin6_scope_id = UInt32(clamping: interfaceIndex)
        return SocketAddress(address)
    }
}
