import Foundation
import LibC
import NIOCore
import NIOPosix
import Ouroboros
import OuroborosNIO
import TestSupport
import Testing

@testable import OuroborosPostgres

/// A database whose host has a name.
@Suite(.serialized, .timeLimit(.minutes(6))) struct DatabaseNameTests {
    private final class Names: NameLookup {
        private let state: Locked<(hosts: [String], lookUps: Int)>

        init(_ hosts: String...) {
            state = Locked((hosts, 0))
        }

        var lookUps: Int { state.withLock(\.lookUps) }

        func become(_ hosts: String...) {
            state.withLock { $0.hosts = hosts }
        }

        func addresses(of place: HostAndPort, on loop: any EventLoop) -> EventLoopFuture<[SocketAddress]> {
            let hosts = state.withLock { state in
                state.lookUps += 1
                return state.hosts
            }
            return loop.makeCompletedFuture {
                try hosts.map { try SocketAddress(ipAddress: $0, port: place.port) }
            }
        }
    }

    /// Another address that nobody else takes.
    private static let silentHost: String = {
        let parts = OwnAddress.host.split(separator: ".").compactMap { Int($0) }
        return "127.\(parts[1] - 64).\(parts[2]).\(parts[3])"
    }()

    @Test func anAddressThatDoesNotAnswerIsPassedOverAndTheNameIsLookedUpAnew() async throws {
        try await PostgresCluster.with { cluster in
            let front = try await LostAnswer.start(before: cluster, at: OwnAddress.host)
            let port = try #require(front.port)
            // It lets everybody in, and says nothing.
            let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .bind(host: Self.silentHost, port: port).get()
            let names = Names(Self.silentHost, OwnAddress.host)
            let location = try PostgresLocation("postgres://gateway@db.test:\(port)/postgres")
            let store = try PostgresStore(
                PostgresDatabase(location, lookup: names), keyEncryptionKey: nil)
            try await store.check()
            let before = names.lookUps
            names.become(OwnAddress.host)
            try await cluster.stop()
            try await cluster.start()
            try await eventually("the database is found again") { (try? await store.check()) != nil }
            #expect(names.lookUps > before)
            try await silent.close()
            try await front.close()
        }
    }
}
