import LibC
import NIOCore
import Ouroboros
import OuroborosTesting
import TestSupport
import Testing

@testable import OuroborosNIO

/// A name server of a test's own.
private final class Names: NameLookup {
    private let state = Locked<(addresses: [SocketAddress], lookUps: Int)>(([], 0))

    init(_ addresses: [SocketAddress] = []) {
        state.withLock { $0.addresses = addresses }
    }

    var lookUps: Int { state.withLock(\.lookUps) }

    func become(_ addresses: SocketAddress...) {
        state.withLock { $0.addresses = addresses }
    }

    func addresses(of place: HostAndPort, on loop: any EventLoop) -> EventLoopFuture<[SocketAddress]> {
        let addresses = state.withLock { state in
            state.lookUps += 1
            return state.addresses
        }
        return addresses.isEmpty
            ? loop.makeFailedFuture(OuroborosError.noAddress(of: place.host))
            : loop.makeSucceededFuture(addresses)
    }
}

/// A client whose gateway has a name. Time is virtual.
@Suite(.timeLimit(.minutes(4))) struct NameTests {
    private let credential = Credential.fixed(device: device, rootKey: .random())
    private let time = VirtualTime(step: .milliseconds(50))
    private let network = MemoryNetwork(seed: 1, impairment: .init(delay: .milliseconds(5)))

    private func address(_ host: String) throws -> SocketAddress {
        try SocketAddress(ipAddress: host, port: 5700)
    }

    private func gateway(_ host: String, handOn: Collector = Collector()) async throws -> OuroborosServer {
        var configuration = ServerConfiguration()
        configuration.eventLoopGroup = time.eventLoopGroup
        configuration.closeTimeout = .milliseconds(100)
        let server = try await OuroborosServer.bind(
            to: [network.endpoint(host: host, port: 5700)], registry: MemoryRegistry(credential),
            configuration: configuration)
        Task {
            for await batch in server.batches {
                handOn.add(batch.messages)
                batch.confirm()
            }
        }
        return server
    }

    private func connect(
        _ names: Names, _ change: (inout ClientConfiguration) -> Void = { _ in }
    ) async throws -> OuroborosConnection {
        var configuration = ClientConfiguration()
        configuration.eventLoopGroup = time.eventLoopGroup
        change(&configuration)
        return try await OuroborosClient.connect(
            to: EndpointName(parsing: "gateway.test:5700"), over: .datagrams(network), lookup: names,
            credential: credential, configuration: configuration)
    }

    /// Virtual seconds that pass until `isTrue`, at most `most`.
    private func seconds(upTo most: Int, until isTrue: @Sendable () -> Bool) async throws -> Int {
        for second in 0..<most {
            if isTrue() { return second }
            try await time.sleep(for: .seconds(1))
        }
        return most
    }

    @Test(arguments: [["10.0.0.9", "10.0.0.1"], ["::9", "10.0.0.9", "::8", "10.0.0.8", "10.0.0.1"]])
    func allAddressesOfANameAreTried(hosts: [String]) async throws {
        try await time.run {
            let server = try await gateway("10.0.0.1")
            let names = Names(try hosts.map(address))
            let begin = time.elapsed
            let connection = try await connect(names)
            #expect(time.elapsed - begin < .seconds(2))
            try await connection.send([1])
            await connection.close()
            await server.close()
        }
    }

    @Test func aNameThatHasNoAddressYetIsLookedUpAgain() async throws {
        try await time.run {
            let server = try await gateway("10.0.0.1")
            let names = Names()
            async let connecting = connect(names)
            try await time.sleep(for: .seconds(20))
            #expect((2...8).contains(names.lookUps))
            names.become(try address("10.0.0.1"))
            let connection = try await connecting
            #expect(time.elapsed < .seconds(45))
            await connection.close()
            await server.close()
        }
    }

    @Test func aNameThatNeverHasAnAddressIsTold() async throws {
        try await time.run {
            let error = await #expect(throws: OuroborosError.self) {
                _ = try await connect(Names()) { $0.connectTimeout = .seconds(10) }
            }
            #expect(error?.code == .invalidAddress)
            #expect(error?.message.contains("cannot find the address of “gateway.test”") == true)
        }
    }

    /// The device hears nothing, finds its path dead, and looks the name up until it has the new address.
    @Test(arguments: [0, 60, 3600])
    func aGatewayThatMovedUnderItsNameIsFound(secondsLater: Int) async throws {
        try await time.run {
            let server = try await gateway("10.0.0.1")
            let names = Names([try address("10.0.0.1")])
            let connection = try await connect(names) { $0.link.keepAlive = 25_000 }
            try await connection.send([1])
            network.impairment.loss = 1
            await server.close()
            try await time.sleep(for: .seconds(secondsLater))
            network.impairment.loss = 0
            let handOn = Collector()
            let second = try await gateway("10.0.0.2", handOn: handOn)
            names.become(try address("10.0.0.2"))
            // What is in flight when the path dies is *unknown*, and sent again.
            let sending = Task {
                while (try? await connection.send([2])) == nil, !Task.isCancelled {}
            }
            let taken = try await seconds(upTo: 600) { handOn.count > 0 }
            #expect(taken < 120, "\(taken) s")
            sending.cancel()
            await connection.close()
            await sending.value
            await second.close()
        }
    }

    @Test func aNameIsLookedUpEachFiveMinutes() async throws {
        try await time.run {
            let server = try await gateway("10.0.0.1")
            let names = Names([try address("10.0.0.1")])
            let connection = try await connect(names)
            let first = names.lookUps
            try await time.sleep(for: .seconds(3600))
            #expect((11...13).contains(names.lookUps - first))
            await connection.close()
            let last = names.lookUps
            try await time.sleep(for: .seconds(3600))
            #expect(names.lookUps == last)
            await server.close()
        }
    }

    @Test func aPoolFollowsNames() async throws {
        try await time.run {
            let server = try await gateway("10.0.0.2")
            let names = Names([try address("10.0.0.1"), try address("10.0.0.2")])
            var configuration = ConnectionPool.Configuration()
            configuration.client.eventLoopGroup = time.eventLoopGroup
            configuration.transport = .datagrams(network)
            let pool = try ConnectionPool(configuration: configuration)
            let connection = try await pool.connect(
                to: ServerPlace(
                    .datagrams(network), HostAndPort(host: "gateway.test", port: 5700), names),
                credential: credential)
            try await connection.send([1])
            await server.close()
            let handOn = Collector()
            let second = try await gateway("10.0.0.3", handOn: handOn)
            names.become(try address("10.0.0.3"))
            let sending = Task { try await connection.send([2]) }
            #expect(try await seconds(upTo: 600) { handOn.count > 0 } < 120)
            _ = try? await sending.value
            await pool.close()
            await second.close()
        }
    }
}

/// Over TCP and the system's sockets.
@Suite(.timeLimit(.minutes(3))) struct StreamNameTests {
    private let credential = Credential.fixed(device: device, rootKey: .random())

    @Test func aNameThatHasNoAddressIsTold() async throws {
        let error = await #expect(throws: OuroborosError.self) { try await connectToNobody() }
        #expect(error?.message == "cannot find the address of “gateway.test”, tried for 1.0 seconds")
    }

    private func connectToNobody() async throws {
        var configuration = ClientConfiguration()
        configuration.connectTimeout = .seconds(1)
        _ = try await OuroborosClient.connect(
            to: EndpointName(parsing: "tcp://gateway.test:1"), lookup: Names(), credential: credential,
            configuration: configuration)
    }

    @Test func allAddressesOfANameAreTriedAndItIsLookedUpAnew() async throws {
        let port = OwnAddress.nextPort()
        let registry = MemoryRegistry(credential)
        let here = try SocketAddress(ipAddress: OwnAddress.host, port: port)
        let names = Names([try SocketAddress(ipAddress: "::1", port: port), here])
        let server = try await OuroborosServer.bind(to: [.tcp(here)], registry: registry)
        let confirming = Task { for await batch in server.batches { batch.confirm() } }
        let connection = try await OuroborosClient.connect(
            to: EndpointName(parsing: "tcp://gateway.test:\(port)"), lookup: names, credential: credential)
        try await bounded("the first is delivered", by: .seconds(60)) { try await connection.send([1]) }
        await server.close()
        _ = await confirming.value
        let there = try SocketAddress(ipAddress: "127.1.2.3", port: port)
        let second = try await OuroborosServer.bind(to: [.tcp(there)], registry: registry)
        let confirmingToo = Task { for await batch in second.batches { batch.confirm() } }
        names.become(there)
        try await bounded("the second is delivered", by: .seconds(60)) { try await connection.send([2]) }
        await connection.close()
        await second.close()
        _ = await confirmingToo.value
    }
}
