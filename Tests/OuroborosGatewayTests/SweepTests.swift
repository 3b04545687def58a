import CoreMetrics
import InMemoryLogging
import LibC
import Logging
import Ouroboros
import OuroborosNIO
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosDownlink

/// What fails once in the downlink is told, and tried again.
@Suite(.timeLimit(.minutes(2))) struct SweepTests {
    private struct Queue: DownlinkStore {
        enum Call: Hashable { case expire, take, finish }

        let queue: DownlinkQueue
        let trouble: @Sendable (Call) throws -> Void

        var isShared: Bool { false }

        func add(
            _ payload: [UInt8], for device: DeviceID, expiresAt: Int64, now: Int64
        ) throws -> DownlinkEntry {
            try queue.add(payload, for: device, expiresAt: expiresAt, now: now)
        }

        func waitingDevices() throws -> Set<DeviceID> { try queue.waitingDevices() }

        func take(for device: DeviceID, limit: Int, now: Int64) throws -> [DownlinkEntry] {
            try trouble(.take)
            return try queue.take(for: device, limit: limit, now: now)
        }

        func giveBack(_ id: Int64) throws { try queue.giveBack(id) }

        func finish(_ id: Int64, as state: DownlinkState, reason: String?, now: Int64) throws -> Bool {
            try trouble(.finish)
            return try queue.finish(id, as: state, reason: reason, now: now)
        }

        func expire(now: Int64) throws -> [Int64: DownlinkState] {
            try trouble(.expire)
            return try queue.expire(now: now)
        }

        func firstExpiry() throws -> Int64? { try queue.firstExpiry() }
        func entry(_ id: Int64) throws -> DownlinkEntry? { try queue.entry(id) }
        func pending(among ids: [Int64]) throws -> Set<Int64> { try queue.pending(among: ids) }
        func load() throws -> SpoolLoad { try queue.load() }
        func notices() -> AsyncStream<DownlinkNotice> { queue.notices() }
    }

    let device = DeviceID(number: 0xD1)
    private let log = InMemoryLogHandler()

    private func told(_ text: String) -> Int {
        log.entries.filter { $0.level == .error && $0.message.description.contains(text) }.count
    }

    @Test func eachFailsOnceAndMessagesArrive() async throws {
        let scratch = try Scratch()
        let calls = Locked<[Queue.Call: Int]>([:])
        let queue = Queue(queue: try DownlinkQueue(path: scratch.file("queue"), now: 0)) { call in
            let count = calls.withLock { calls in
                calls[call, default: 0] += 1
                return calls[call] ?? 0
            }
            if count == 1 { throw OuroborosError(.storage, "\(call) has failed") }
        }
        let (device, log) = (device, log)
        let credential = Credential.fixed(device: device, rootKey: .random())
        let loopback = try await HostAndPort(parsing: "127.0.0.1:0").resolve()
        try await OuroborosServer.withServer(at: loopback, registry: MemoryRegistry(credential)) { server in
            let downlink = try await Downlink(
                queue: queue, server: server, settings: DownlinkSettings(queue: "queue"),
                metrics: DownlinkMetrics(factory: NOOPMetricsHandler.instance),
                logger: Logger(label: "test") { _ in log }, isKnown: { _ in true })
            let running = Task { try await downlink.run() }
            let reading = Task { for await batch in server.batches { batch.confirm() } }
            let connection = try await OuroborosClient.connect(
                to: server.localAddress, credential: credential)
            let received = Locked<[[UInt8]]>([])
            let receiving = Task {
                for await message in connection.messages { received.withLock { $0.append(message.payload) } }
            }
            defer { for task in [reading, receiving] { task.cancel() } }
            for payload: [UInt8] in [[1], [2]] {
                _ = try await downlink.submit(payload, to: device, timeToLive: nil)
                try await eventually("the device has \(payload)") { received.withLock(\.last) == payload }
            }
            // The second one's fate is written, though that of the first could not be.
            try await eventually("the second is delivered") {
                try queue.entry(2)?.state == .delivered
            }
            // One that grows old has the queue read.
            _ = try await downlink.submit([3], to: DeviceID(number: 2), timeToLive: .milliseconds(100))
            try await eventually("the third is too old") { try queue.entry(3)?.state == .failed }
            #expect(told("take has failed") == 1)
            #expect(told("finish has failed") == 1)
            #expect(told("expire has failed") == 1)
            await connection.close()
            downlink.stop()
            try await bounded("the end of the downlink", by: .seconds(30)) { try await running.value }
        }
    }
}
