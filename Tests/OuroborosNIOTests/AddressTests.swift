import NIOCore
import NIOPosix
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosNIO

/// Where a server's answers leave from, and what it listens on.
@Suite(.timeLimit(.minutes(3))) struct AddressTests {
    let credential = Credential.fixed(device: device, rootKey: .random())

    private func send(_ text: String, to endpoint: Endpoint) async throws {
        var configuration = ClientConfiguration()
        configuration.connectTimeout = .seconds(20)
        try await OuroborosClient.withConnection(
            to: endpoint, credential: credential, configuration: configuration
        ) { connection in
            try await bounded("“\(text)” is delivered", by: .seconds(60)) {
                try await connection.send(Array(text.utf8))
            }
        }
    }

    private func serving<Result: Sendable>(
        _ endpoints: [Endpoint], _ configuration: ServerConfiguration = .init(),
        _ body: @Sendable @escaping (OuroborosServer) async throws -> Result
    ) async throws -> Result {
        try await OuroborosServer.withServer(
            at: endpoints, registry: MemoryRegistry(credential), configuration: configuration
        ) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for await batch in server.batches { batch.confirm() } }
                let result = try await body(server)
                group.cancelAll()
                return result
            }
        }
    }

    /// Loopback has 16 million addresses, and the system would answer from 127.0.0.1.
    @Test(arguments: [("0.0.0.0", 1), ("0.0.0.0", 3), ("::", 1), ("::", 3)])
    func anAnswerLeavesFromTheAddressThatWasAsked(at host: String, workers: Int) async throws {
        var configuration = ServerConfiguration()
        configuration.workers = workers
        let any = try SocketAddress(ipAddress: host, port: 0)
        try await serving([.udp(any)], configuration) { server in
            let port = try #require(server.localAddress.port)
            for target in ["127.0.0.1", OwnAddress.host, "127.1.2.3"] + (host == "::" ? ["::1"] : []) {
                try await send(target, to: .udp(try SocketAddress(ipAddress: target, port: port)))
            }
        }
    }

    @Test func aDeviceThatAsksAnotherAddressIsFollowed() async throws {
        let network = RoamingNetwork()
        try await serving([.udp(try SocketAddress(ipAddress: "0.0.0.0", port: 0))]) { server in
            let port = try #require(server.localAddress.port)
            let target = try SocketAddress(ipAddress: OwnAddress.host, port: port)
            try await OuroborosClient.withConnection(
                to: Endpoint(.datagrams(network), target), credential: credential
            ) { connection in
                try await bounded("the first is delivered", by: .seconds(60)) {
                    try await connection.send([1])
                }
                try await network.roam()
                try await bounded("the second is delivered", by: .seconds(60)) {
                    try await connection.send([2])
                }
            }
        }
    }

    /// On all addresses, those of other processes' tests among them: the system knows one.
    private func freePort(over way: Way) async throws -> Int {
        try await serving([way.at(try SocketAddress(ipAddress: "::", port: 0))]) { server in
            try #require(server.localAddress.port)
        }
    }

    @Test(arguments: Way.allCases, [1, 3])
    func bothFamiliesShareAPort(over way: Way, workers: Int) async throws {
        var configuration = ServerConfiguration()
        configuration.workers = workers
        let port = try await freePort(over: way)
        let endpoints = try ["0.0.0.0", "::"].map { way.at(try SocketAddress(ipAddress: $0, port: port)) }
        try await serving(endpoints, configuration) { _ in
            for target in ["127.0.0.1", OwnAddress.host, "::1"] {
                try await send(target, to: way.at(try SocketAddress(ipAddress: target, port: port)))
            }
        }
    }

    @Test func oneMachineIsOneAddress() throws {
        func customer(_ host: String) throws -> String {
            try SocketAddress(ipAddress: host, port: 1).customer
        }
        #expect(try customer("2001:db8:1:2::1") == customer("2001:db8:1:2:ffff::9"))
        #expect(try customer("2001:db8:1:2::1") != customer("2001:db8:1:3::1"))
        #expect(try customer("::ffff:10.0.0.1") == customer("10.0.0.1"))
        #expect(try customer("10.0.0.1") != customer("10.0.0.2"))
        #expect(try customer("::ffff:10.0.0.1") != customer("::ffff:10.0.0.2"))
    }

    @Test func waysAreGivenOnceAndAreBounded() throws {
        let ways = ServerWays()
        let locals = try (0..<300).map {
            try SocketAddress(ipAddress: "10.0.\($0 / 256).\($0 % 256)", port: 0)
        }
        let numbers = locals.map { ways.number(of: .init(socket: 2, local: $0)) }
        #expect(Set(numbers[..<192]).count == 192)
        #expect(ways.way(numbers[191]) == .init(socket: 2, local: locals[191]))
        // The socket itself.
        #expect(numbers[192...].allSatisfy { $0 == 2 })
        #expect(ways.number(of: .init(socket: 2, local: locals[7])) == numbers[7])
        #expect(ways.way(2) == .init(socket: 2, local: nil))
        #expect(ServerWays().way(200) == nil)
    }
}
