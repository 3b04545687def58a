import LibC
import NIOCore
import Ouroboros
import OuroborosNIO
import TestSupport
import Testing

/// Who has something for a device hears when it is awake.
@Suite(.timeLimit(.minutes(1))) struct HeardTests {
    let credential = Credential.fixed(device: device, rootKey: .random())

    @Test(arguments: Way.allCases) func onceForEachTimeItWasAskedFor(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential), echoes: false) { server, _ in
            let told = Told()
            server.tellHeard { told.add($0) }
            #expect(try await server.heard(of: [device], within: .seconds(600)).isEmpty)
            let connection = try await OuroborosClient.connect(
                to: server.endpoints[0], credential: credential)
            try await eventually("its session is told") { told.all == [device] }
            _ = try await connection.ping()
            _ = try await connection.ping()
            #expect(told.all == [device])
            // It is awake: its next packet, a PING, is told all the same.
            let heard = try await server.heard(of: [device, DeviceID(number: 9)], within: .seconds(600))
            #expect(Array(heard.keys) == [device])
            _ = try await connection.ping()
            try await eventually("its PING is told") { told.all == [device, device] }
            // Nobody wants to know any more.
            #expect(try await server.heard(of: [device], within: .zero).isEmpty)
            server.tellOnly { [] }
            // One that was under way may have come before that.
            _ = try await connection.ping()
            let before = told.all.count
            _ = try await connection.ping()
            #expect(told.all.count == before)
            await connection.close()
        }
    }

    private final class Told: Sendable {
        private let devices = Locked<[DeviceID]>([])

        var all: [DeviceID] { devices.withLock(\.self) }

        func add(_ device: DeviceID) {
            devices.withLock { $0.append(device) }
        }
    }
}
