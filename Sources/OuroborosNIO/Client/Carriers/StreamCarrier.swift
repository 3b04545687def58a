import NIOCore
import NIOPosix
import Ouroboros

/// A client's streams to one server, one after the other.
final class StreamCarrier: ClientCarrier, PacketStreamReceiver {
    private let loop: any EventLoop
    private let server: ServerPlace
    /// Of the name's addresses, those that took a stream and did not answer on it.
    private var silent: Set<SocketAddress> = []
    private var hadSession = false
    private weak var delegate: (any ClientCarrierDelegate)?
    private var stream: PacketStream?
    private var attempt: EventLoopFuture<any Channel>?
    private var connecting: [any Channel] = []
    /// The addresses that the attempt waits for.
    private var asked: EventLoopPromise<[SocketAddress]>?
    private var ending: EventLoopFuture<Void>?
    private var wait: Scheduled<Void>?
    private var isPaused = false
    private var isClosed = false
    private var pauses: ReconnectPauses
    private(set) var lastError: (any Error)?

    init(on loop: any EventLoop, to server: ServerPlace, firstTimeout: UInt32) {
        self.loop = loop
        self.server = server
        pauses = ReconnectPauses(first: .milliseconds(firstTimeout))
    }

    func open(for delegate: any ClientCarrierDelegate) -> EventLoopFuture<Void> {
        self.delegate = delegate
        connect()
        return loop.makeSucceededVoidFuture()
    }

    /// Nothing is open, begun or waited for.
    var isIdle: Bool { stream == nil && attempt == nil && wait == nil }

    /// Opens a stream after a pause: each is longer than the last, until ``succeeded()``.
    func connectLater() {
        guard isIdle, !isClosed else { return }
        connect(at: loop.now + TimeAmount(pauses.next(now: loop.now)))
    }

    private func connect(at due: NIODeadline) {
        wait = loop.assumeIsolated().scheduleTask(deadline: due) { [weak self] in
            self?.wait = nil
            self?.connect()
        }
    }

    func connect() {
        guard isIdle, !isClosed, let delegate else { return }
        let due = delegate.streamWanted()
        guard due <= loop.now.milliseconds else {
            connect(at: .milliseconds(due))
            return
        }
        let bound = NIOLoopBound(self, eventLoop: loop)
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.seconds(10))
            .channelOption(.autoRead, value: false)
            .channelInitializer { channel in
                bound.value.connecting.append(channel)
                return PacketStream.options(of: channel)
            }
        let attempt =
            switch server.place {
            case .address(let address): bootstrap.connect(to: address)
            case .name(let name, let lookup):
                // It tries the name's addresses a quarter of a second apart (RFC 8305).
                bootstrap.resolver(StreamResolver(ask(name, lookup)))
                    .connect(host: name.host, port: name.port)
            }
        self.attempt = attempt
        attempt.assumeIsolated().whenComplete { [self] result in
            connecting = []
            guard !isClosed else {
                if case .success(let channel) = result { channel.close(promise: nil) }
                return
            }
            self.attempt = nil
            do {
                let stream = PacketStream(try result.get(), for: self)
                self.stream = stream
                hadSession = false
                stream.pause(isPaused)
                try stream.start()
                self.delegate?.streamOpened()
            } catch {
                lastError = (error as? NIOConnectionError)?.cause ?? error
                connectLater()
            }
        }
    }

    /// What is looked up is not waited for once the carrier is closed.
    private func ask(_ name: HostAndPort, _ lookup: any NameLookup) -> EventLoopFuture<[SocketAddress]> {
        let asked = loop.makePromise(of: [SocketAddress].self)
        self.asked = asked
        lookUp(name, lookup).cascade(to: asked)
        return asked.futureResult
    }

    /// The name's addresses, without those that did not answer, as long as there are others.
    private func lookUp(
        _ name: HostAndPort, _ lookup: any NameLookup
    ) -> EventLoopFuture<[SocketAddress]> {
        let found = lookup.addresses(of: name, on: loop)
        found.assumeIsolated().whenFailure { [self] in delegate?.lookUpFailed($0) }
        return found.assumeIsolated().map { [self] addresses in
            let others = addresses.filter { !silent.contains($0) }
            if others.isEmpty { silent = [] }
            return others.isEmpty ? addresses : others
        }.nonisolated()
    }

    /// A session is there: the next pause is short again.
    func succeeded() {
        pauses.reset()
        silent = []
        hadSession = true
    }

    private func noteSilence() {
        if !hadSession, let address = stream?.remoteAddress {
            silent.insert(address)
        }
    }

    /// Ends the stream that is there; another can be opened then.
    func endStream() {
        noteSilence()
        ending = stream?.close() ?? ending
        stream = nil
    }

    func close() -> EventLoopFuture<Void> {
        isClosed = true
        wait?.cancel()
        wait = nil
        endStream()
        let closed = ending ?? loop.makeSucceededVoidFuture()
        guard let attempt else { return closed.recover() }
        asked?.fail(OuroborosError.connectionClosed)
        for channel in connecting {
            channel.close(promise: nil)
        }
        return closed.recover().and(attempt.flatMap { $0.closeFuture }.recover()).map { _ in }
    }

    var isWritable: Bool { stream?.isWritable ?? false }
    func write(_ packet: UnsafeRawBufferPointer) { stream?.write(packet) }
    func flush() { stream?.flush() }

    func pause(_ pauses: Bool) {
        isPaused = pauses
        stream?.pause(pauses)
    }

    func receive(_ packet: UnsafeMutableRawBufferPointer, on stream: PacketStream) {
        guard stream === self.stream else { return }
        _ = delegate?.receive(packet)
    }

    func readComplete(on stream: PacketStream) {
        guard stream === self.stream else { return }
        delegate?.readComplete()
    }

    func becameWritable(_ stream: PacketStream) {
        guard stream === self.stream else { return }
        delegate?.becameWritable()
    }

    func ended(_ stream: PacketStream, _ error: (any Error)?) {
        guard stream === self.stream else { return }
        noteSilence()
        self.stream = nil
        lastError = error ?? lastError
        delegate?.streamLost(error)
    }
}

extension EventLoopFuture where Value: Sendable {
    /// Done when this is, well or not.
    fileprivate func recover() -> EventLoopFuture<Void> {
        map { _ in }.flatMapErrorThrowing { _ in }
    }
}

extension NIOConnectionError {
    /// One of them, the first address's for choice.
    fileprivate var cause: (any Error)? { connectionErrors.first?.error ?? dnsAError ?? dnsAAAAError }
}

/// Gives NIO the addresses that were looked up for it.
private final class StreamResolver: Resolver, Sendable {
    private let addresses: EventLoopFuture<[SocketAddress]>

    init(_ addresses: EventLoopFuture<[SocketAddress]>) {
        self.addresses = addresses
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { of(.inet) }
    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { of(.inet6) }
    func cancelQueries() {}

    private func of(_ family: NIOBSDSocket.ProtocolFamily) -> EventLoopFuture<[SocketAddress]> {
        addresses.map { $0.filter { $0.protocol == family } }
    }
}
