import Foundation
import LibC
import NIOCore
import NIOPosix
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosNIO

/// Connections that are given up before they are there leave no descriptor, and no descriptor is a reason to spin.
@Suite(.timeLimit(.minutes(3)), .serialized) struct DescriptorTests {
    let credential = Credential.fixed(device: device, rootKey: .random())

    /// How many sockets the process has open.
    private static func sockets() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { name in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)")
            return target?.hasPrefix("socket:") ?? false
        }
    }

    /// Where a connect is when it is cancelled.
    enum Stage: CaseIterable {
        /// Nobody answers, over UDP; somebody takes the connection and says nothing, over TCP.
        case handshake
        /// A server answers while the task is cancelled.
        case anywhere
        case nameThatIsNotTold, nameThatIsToldLate, nameWithoutAddress
    }

    @Test(arguments: Way.allCases, Stage.allCases)
    func fiftyThatAreCancelled(way: Way, stage: Stage) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential)) { server, _ in
            let silent = try await Self.silentPlace(way)
            let before = try Self.sockets()
            for number in 0..<50 {
                let task = Task { try await connect(way, stage, server.endpoints[0], silent.endpoint) }
                // At once, and at moments that differ.
                if number % 5 > 0 {
                    try await Task.sleep(for: .milliseconds(number % 5 * 2))
                }
                task.cancel()
                let isOver = try await bounded("the end of connect \(number)", by: .seconds(5)) {
                    await task.result
                }
                if case .success(let connection) = isOver { await connection.closeAtOnce() }
            }
            try await eventually("no socket is left") { try Self.sockets() <= before }
            try await silent.close()
        }
    }

    private func connect(
        _ way: Way, _ stage: Stage, _ server: Endpoint, _ silent: Endpoint
    ) async throws -> OuroborosConnection {
        let lookup: any NameLookup
        switch stage {
        case .handshake: return try await OuroborosClient.connect(to: silent, credential: credential)
        case .anywhere: return try await OuroborosClient.connect(to: server, credential: credential)
        case .nameThatIsNotTold: lookup = SlowLookup(answer: nil)
        case .nameThatIsToldLate: lookup = SlowLookup(answer: [silent.address])
        case .nameWithoutAddress: lookup = SlowLookup(answer: [])
        }
        let scheme = way == .tcp ? "tcp://" : ""
        return try await OuroborosClient.connect(
            to: EndpointName(parsing: "\(scheme)gateway.test:5700"), lookup: lookup, credential: credential)
    }

    private struct SilentPlace: Sendable {
        let endpoint: Endpoint
        let channel: any Channel

        func close() async throws { try await channel.close() }
    }

    private static func silentPlace(_ way: Way) async throws -> SilentPlace {
        let group = MultiThreadedEventLoopGroup.singleton
        let channel =
            switch way {
            case .udp: try await DatagramBootstrap(group: group).bind(to: loopback).get()
            case .tcp: try await ServerBootstrap(group: group).bind(to: loopback).get()
            }
        return SilentPlace(endpoint: way.at(try #require(channel.localAddress)), channel: channel)
    }

    @Test func theLimitIsRaisedAndNeverLowered() throws {
        let now = try #require(DescriptorLimit.now)
        #expect(DescriptorLimit.raise(to: 1) == now)
        let raised = try #require(DescriptorLimit.raise(to: now + 1))
        #expect(raised == now || raised == now + 1)
    }
}

/// A resolver that takes its time, or never answers.
private struct SlowLookup: NameLookup {
    let answer: [SocketAddress]?

    func addresses(of place: HostAndPort, on loop: any EventLoop) -> EventLoopFuture<[SocketAddress]> {
        let promise = loop.makePromise(of: [SocketAddress].self)
        loop.scheduleTask(in: answer == nil ? .seconds(20) : .milliseconds(3)) {
            if let answer, !answer.isEmpty {
                promise.succeed(answer)
            } else {
                promise.fail(OuroborosError(.invalidAddress, "no address"))
            }
        }
        return promise.futureResult
    }
}
