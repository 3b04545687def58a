import Foundation
import LibC
import NIOCore
import NIOPosix

/// Stands before PostgreSQL's socket, counts what it is asked, and can lose the answer to a statement that is committed.
final class LostAnswer: Sendable {
    private struct State {
        var statement: String?
        var refuses = false
        var isRefusing = false
        var lost = 0
        var asked = Asked()
    }

    /// What came from clients.
    struct Asked: Equatable {
        var statements = 0
        /// Ways there and back.
        var turns = 0
    }

    private let state = Locked(State())
    private let listener = Locked<(any Channel)?>(nil)
    private let socket: String
    private let path: String

    private init(before cluster: PostgresCluster) {
        socket = cluster.path + "/.s.PGSQL.5432"
        path = cluster.path + "/front"
    }

    /// At an address of TCP's, if one is given.
    static func start(before cluster: PostgresCluster, at host: String? = nil) async throws -> LostAnswer {
        let front = LostAnswer(before: cluster)
        try FileManager.default.createDirectory(atPath: front.path, withIntermediateDirectories: false)
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { front.accept($0) }
        let listener =
            if let host {
                try await bootstrap.bind(host: host, port: 0).get()
            } else {
                try await bootstrap.bind(unixDomainSocketPath: front.path + "/.s.PGSQL.5432").get()
            }
        front.listener.withLock { $0 = listener }
        return front
    }

    var url: String { "postgres://gateway@/postgres?host=\(path)" }
    var port: Int? { listener.withLock { $0?.localAddress?.port } }
    var lost: Int { state.withLock(\.lost) }
    var asked: Asked { state.withLock(\.asked) }

    /// The next answer to such a statement is lost, and its connection with it. With `refuses` nobody is let in after that.
    func lose(answerTo statement: String, refuses: Bool = false) {
        state.withLock { state in
            state.statement = statement
            state.refuses = refuses
        }
    }

    func letIn() {
        state.withLock { $0.isRefusing = false }
    }

    func close() async throws {
        try await listener.withLock { $0 }?.close()
    }

    private func accept(_ client: any Channel) -> EventLoopFuture<Void> {
        guard !state.withLock(\.isRefusing) else { return client.close() }
        return ClientBootstrap(group: client.eventLoop).connect(unixDomainSocketPath: socket)
            .flatMapThrowing { [self] server in
                let way = Way(client, server, of: self)
                try client.pipeline.syncOperations.addHandler(Way.End(way, isServer: false))
                try server.pipeline.syncOperations.addHandler(Way.End(way, isServer: true))
            }
    }

    fileprivate func isToBeLost(_ bytes: ByteBuffer) -> Bool {
        state.withLock { state in
            guard let statement = state.statement,
                String(decoding: bytes.readableBytesView, as: UTF8.self).contains(statement)
            else { return false }
            state.statement = nil
            return true
        }
    }

    fileprivate func note(_ kind: UInt8) {
        state.withLock { state in
            switch kind {
            case UInt8(ascii: "E"): state.asked.statements += 1
            case UInt8(ascii: "S"): state.asked.turns += 1
            default: break
            }
        }
    }

    fileprivate func noteLost() {
        state.withLock { state in
            state.lost += 1
            state.isRefusing = state.refuses
        }
    }
}

/// A client's connection and the one behind it, on one event loop.
private final class Way {
    private let client: any Channel
    private let server: any Channel
    private let front: LostAnswer
    private var isToBeLost = false
    private var unread = ByteBuffer()
    private var hasBegun = false

    init(_ client: any Channel, _ server: any Channel, of front: LostAnswer) {
        self.client = client
        self.server = server
        self.front = front
    }

    final class End: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let way: Way
        private let isServer: Bool

        init(_ way: Way, isServer: Bool) {
            self.way = way
            self.isServer = isServer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            way.take(unwrapInboundIn(data), isAnswer: isServer)
        }

        func channelInactive(context: ChannelHandlerContext) {
            way.end()
        }
    }

    func take(_ bytes: ByteBuffer, isAnswer: Bool) {
        guard isAnswer else {
            count(bytes)
            isToBeLost = isToBeLost || front.isToBeLost(bytes)
            server.writeAndFlush(bytes, promise: nil)
            return
        }
        guard isToBeLost else {
            client.writeAndFlush(bytes, promise: nil)
            return
        }
        front.noteLost()
        end()
    }

    /// A client's messages: what each is, but for the first, and its length.
    private func count(_ bytes: ByteBuffer) {
        unread.writeImmutableBuffer(bytes)
        while true {
            let kind = hasBegun ? unread.getInteger(at: unread.readerIndex, as: UInt8.self) : 0
            let head = hasBegun ? 1 : 0
            guard let kind, let length = unread.getInteger(at: unread.readerIndex + head, as: UInt32.self),
                unread.readSlice(length: head + Int(length)) != nil
            else { return }
            hasBegun = true
            front.note(kind)
        }
    }

    func end() {
        client.close(promise: nil)
        server.close(promise: nil)
    }
}
