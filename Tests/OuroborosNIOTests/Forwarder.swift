import LibC
import NIOCore
import NIOPosix

/// Stands between a client and a server, can cut their streams, and remembers what the client sent.
final class Forwarder: Sendable {
    private struct State {
        var target: SocketAddress?
        var channels: [any Channel] = []
        var captured: [UInt8] = []
    }

    private let state = Locked(State())
    private let listener = Locked<(any Channel)?>(nil)

    static func start() async throws -> Forwarder {
        let forwarder = Forwarder()
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { forwarder.accept($0) }
            .bind(to: loopback).get()
        forwarder.listener.withLock { $0 = listener }
        return forwarder
    }

    var address: SocketAddress { listener.withLock { $0?.localAddress } ?? loopback }
    var captured: [UInt8] { state.withLock(\.captured) }

    var target: SocketAddress? {
        get { state.withLock(\.target) }
        set { state.withLock { $0.target = newValue } }
    }

    /// Ends all streams there are.
    func cut() async {
        let channels = state.withLock { state in
            defer { state.channels = [] }
            return state.channels
        }
        for channel in channels {
            try? await channel.close()
        }
    }

    func close() async {
        try? await listener.withLock { $0 }?.close()
        await cut()
    }

    private func accept(_ client: any Channel) -> EventLoopFuture<Void> {
        guard let target else { return client.close() }
        return ClientBootstrap(group: client.eventLoop).connect(to: target).flatMapThrowing { [self] server in
            state.withLock { $0.channels += [client, server] }
            try client.pipeline.syncOperations.addHandler(
                GlueHandler(to: server) { bytes in
                    self.state.withLock { $0.captured.append(contentsOf: bytes.readableBytesView) }
                })
            try server.pipeline.syncOperations.addHandler(GlueHandler(to: client) { _ in })
        }
    }
}

private final class GlueHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any Channel
    private let see: (ByteBuffer) -> Void

    init(to other: any Channel, _ see: @escaping (ByteBuffer) -> Void) {
        self.other = other
        self.see = see
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        see(bytes)
        other.writeAndFlush(bytes, promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        other.close(promise: nil)
    }
}
