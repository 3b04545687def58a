import Dispatch
import NIOCore
import Ouroboros
import OuroborosNIO
import OuroborosPOSIX
import TestSupport
import Testing

@Suite struct BlockingClientTests {
    static let device = DeviceID(number: 0x0102_0304_0506_0708)
    let credential = Credential.fixed(device: device, rootKey: .random())

    private func connected() throws -> (BlockingClient, MemoryGateway) {
        let gateway = try MemoryGateway(credential)
        let client = try BlockingClient(socket: gateway, credential: credential)
        try client.connect()
        return (client, gateway)
    }

    @Test func messagesGoBothWays() throws {
        let (client, gateway) = try connected()
        gateway.echoes = true
        for number in UInt8(0)..<50 {
            try client.send([number])
            #expect(try client.receive(timeout: .seconds(1))?.payload == [number])
        }
        try client.send([1], delivery: .unreliable)
        #expect(gateway.payloads.count == 51)
        #expect(try client.ping() >= .zero)
        #expect(client.statistics.handshakes == 1)
        client.close()
        #expect(!client.isConnected)
    }

    /// Connected is WELCOME: HELLO and DATA are all that a first message takes.
    @Test func theFirstMessageConfirmsTheSession() throws {
        let (client, gateway) = try connected()
        #expect(gateway.handshakes == 0)
        try client.send([1])
        #expect(gateway.heard == 2 && gateway.handshakes == 1 && gateway.payloads == [[1]])
        // Who has nothing to say confirms with the next call.
        let (listener, other) = try connected()
        _ = try listener.receive(timeout: .seconds(1))
        #expect(other.handshakes == 1)
    }

    @Test func aTimeOutOfReceiveBringsNothing() throws {
        let (client, gateway) = try connected()
        let before = gateway.now
        #expect(try client.receive(timeout: .seconds(3)) == nil)
        #expect((3000...3001).contains(gateway.now - before))
    }

    @Test func nobodyThereIsToldInTime() throws {
        let gateway = try MemoryGateway(credential)
        gateway.isSilent = true
        let client = try BlockingClient(socket: gateway, credential: credential)
        let before = gateway.now
        var error = #expect(throws: OuroborosError.self) { try client.connect() }
        #expect(error?.code == .unreachable)
        #expect((45_000...100_000).contains(gateway.now - before))
        error = #expect(throws: OuroborosError.self) { try client.connect(timeout: .seconds(5)) }
        #expect(error?.code == .unreachable)
        // It comes back.
        gateway.isSilent = false
        try client.connect()
        try client.send([1])
        #expect(gateway.payloads == [[1]])
    }

    @Test func whatWasSentAndNotAcknowledgedIsUnknown() throws {
        let (client, gateway) = try connected()
        try client.send([1])
        gateway.isSilent = true
        let error = #expect(throws: OuroborosError.self) { try client.send([2], timeout: .seconds(5)) }
        #expect(error?.code == .unknown)
        gateway.isSilent = false
        try client.send([3], timeout: .seconds(60))
        #expect(gateway.payloads.last == [3])
        #expect(gateway.payloads.contains([2]))
    }

    @Test func aWaitCanBeInterrupted() throws {
        let (client, _) = try connected()
        var asked = 0
        client.isInterrupted = {
            asked += 1
            return asked > 3
        }
        let error = #expect(throws: OuroborosError.self) {
            while true { _ = try client.receive(timeout: .seconds(1)) }
        }
        #expect(error?.code == .wrongState)
    }

    @Test func anEvolvingCredentialIsSavedFirst() throws {
        let root = Credential.evolving(device: Self.device, key: .random())
        #expect(throws: OuroborosError.self) {
            try BlockingClient(socket: try MemoryGateway(root), credential: root)
        }
        let gateway = try MemoryGateway(root)
        let store = MemoryStore()
        for round in 1...3 {
            let client = try BlockingClient(
                socket: gateway, credential: store.last ?? root, store: store)
            try client.connect()
            try client.send([UInt8(round)])
            // The second is short after a short one until something is heard in it: that it is not is saved, too.
            #expect(store.epochs == Array([1, 2, 2, 3].prefix([1, 3, 4][round - 1])))
        }
        #expect(gateway.payloads == [[1], [2], [3]])
    }

    /// One handshake carries a device through a day of readings, with the power off in between.
    @Test func aThousandSleepsAndOneHandshake() throws {
        let (first, gateway) = try connected()
        var client = first
        for number in 0..<1000 {
            try client.send(Array("\(number)".utf8))
            if number % 7 == 0 {
                // A command for the device, which it takes while it is awake.
                try gateway.post([UInt8(number % 256)])
                #expect(try client.receive(timeout: .seconds(1))?.payload == [UInt8(number % 256)])
            }
            let saved = try client.sleep()
            #expect(!client.isConnected)
            // What was in memory is gone: only the copy remains, written and read.
            let bytes = saved.withUnsafeBytes { Array($0) }
            gateway.pass(60_000)
            client = try BlockingClient(socket: gateway, credential: credential)
            try client.wake(SavedSession(bytes), slept: .seconds(60))
        }
        #expect(gateway.payloads == (0..<1000).map { Array("\($0)".utf8) })
        #expect(gateway.handshakes == 1)
    }

    @Test func aSessionSleepsOnlyWhenItIsQuiet() throws {
        let (client, gateway) = try connected()
        try client.send([1])
        gateway.isSilent = true
        #expect(throws: OuroborosError.self) { try client.send([2], timeout: .milliseconds(10)) }
        let error = #expect(throws: OuroborosError.self) { try client.sleep(timeout: .seconds(1)) }
        #expect(error?.code == .wrongState)
        gateway.isSilent = false
        _ = try client.sleep(timeout: .seconds(60))
    }

    @Test func aCopyOfAnotherDeviceIsRefused() throws {
        let (client, gateway) = try connected()
        try client.send([1])
        let saved = try client.sleep()
        let other = try BlockingClient(
            socket: gateway, credential: .fixed(device: DeviceID(number: 9), rootKey: .random()))
        let error = #expect(throws: OuroborosError.self) { try other.wake(saved, slept: .zero) }
        #expect(error?.code == .damaged)
    }

    /// By its address, and by a name that is looked up.
    @Test(.timeLimit(.minutes(3)), arguments: ["127.0.0.1", "localhost"])
    func itSpeaksWithAGatewayOverUDP(host: String) async throws {
        let credential = credential
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        try await OuroborosServer.withServer(
            at: address, registry: MemoryRegistry(credential)
        ) { server in
            let port = server.localAddress.port ?? 0
            let echo = Task {
                for await batch in server.batches {
                    batch.confirm()
                    for message in batch.messages {
                        _ = server.post(message.payload, to: message.device)
                    }
                }
            }
            // The client blocks its thread, which must not be one of the concurrency pool's.
            let echoes = try await withCheckedThrowingContinuation { continuation in
                DispatchQueue(label: "client").async {
                    continuation.resume(with: Result { try Self.talk(host, port, credential) })
                }
            }
            #expect(echoes == (0..<20).map { [UInt8($0)] })
            echo.cancel()
        }
    }

    private static func talk(
        _ host: String, _ port: Int, _ credential: Credential
    ) throws -> [[UInt8]] {
        let client = try BlockingClient(
            socket: try SystemSocket(host: host, port: port), credential: credential)
        try client.connect()
        var echoes: [[UInt8]] = []
        for number in UInt8(0)..<20 {
            try client.send([number])
            if let echo = try client.receive(timeout: .seconds(5)) { echoes.append(echo.payload) }
        }
        let saved = try client.sleep()
        try client.wake(saved, slept: .zero)
        client.close()
        return echoes
    }

    /// It is looked up again as long as connecting may take.
    @Test func aNameThatHasNoAddressIsTold() throws {
        let client = try BlockingClient(
            socket: try SystemSocket(host: "no-such-host.invalid", port: 1), credential: credential)
        let error = #expect(throws: OuroborosError.self) { try client.connect(timeout: .seconds(3)) }
        #expect(error?.code == .unreachable)
        #expect(error?.message == "cannot find the address of “no-such-host.invalid”")
    }
}
