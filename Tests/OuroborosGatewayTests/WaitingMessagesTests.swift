import CoreMetrics
import NIOCore
import Ouroboros
import OuroborosNIO
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosDownlink

/// Messages that wait for devices that are away cost nothing until a device comes, or their time is over.
@Suite(.timeLimit(.minutes(2))) struct WaitingMessagesTests {
    private let device = DeviceID(number: 5000)
    private let credential: Credential
    private let queue = MemoryQueue()
    /// In milliseconds since 1970.
    private static let nextCentury: Int64 = 4_102_444_800_000

    init() {
        credential = .fixed(device: device, rootKey: .random())
    }

    /// Runs `body` with a server that knows one device, and what sends to it.
    private func withDownlink(
        sleepingAfter: Duration = .seconds(120),
        _ body: @Sendable @escaping (Downlink, OuroborosServer) async throws -> Void
    ) async throws {
        var settings = DownlinkSettings(queue: "memory")
        settings.sleepingAfter = sleepingAfter
        let place = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        try await OuroborosServer.withServer(at: place, registry: MemoryRegistry(credential)) {
            [settings, queue] server in
            let downlink = try await Downlink(
                queue: queue, server: server, settings: settings,
                metrics: DownlinkMetrics(factory: NOOPMetricsHandler.instance), logger: quiet,
                isKnown: { _ in true })
            let run = Task { try await downlink.run() }
            let reader = Task { for await batch in server.batches { batch.confirm() } }
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body(downlink, server)) } catch { outcome = .failure(error) }
            downlink.stop()
            try await run.value
            reader.cancel()
            try outcome.get()
        }
    }

    private func connect(to server: OuroborosServer) async throws -> OuroborosConnection {
        try await OuroborosClient.connect(to: server.localAddress, credential: credential)
    }

    @Test func tenThousandThatWaitAreReadOnce() async throws {
        for number in 1...10_000 {
            _ = try queue.add(
                Array("\(number)".utf8), for: DeviceID(number: UInt64(number)), expiresAt: Self.nextCentury,
                now: 0)
        }
        let (queue, device) = (queue, device)
        try await withDownlink { _, server in
            try await eventually("the queue was read") { queue.asked.lists > 0 }
            let connection = try await connect(to: server)
            let message = await connection.messages.first { _ in true }
            #expect(message.map { String(decoding: $0.payload, as: UTF8.self) } == "5000")
            await connection.close()
        }
        // Nobody looked for what waits for the others, and the queue was read once, however long that took.
        #expect(Set(queue.asked.takes) == [device])
        #expect(queue.asked.lists <= 2 && queue.asked.expiries <= 3)
    }

    /// One that was silent for long, and that only says that it is there.
    @Test func aDeviceThatWakesWithoutAMessageIsSentWhatWaits() async throws {
        try await withDownlink(sleepingAfter: .milliseconds(50)) { [device, queue] downlink, server in
            let connection = try await connect(to: server)
            _ = try await connection.ping()
            try await eventually("it counts as asleep") {
                try await server.silence(of: device).map { $0 >= .milliseconds(50) } ?? false
            }
            let queued = try #require(
                try await downlink.submit([7], to: device, timeToLive: .seconds(600)))
            let pings = Task { while !Task.isCancelled { _ = try? await connection.ping() } }
            #expect(await connection.messages.first { _ in true }?.payload == [7])
            pings.cancel()
            try await eventually("its outcome is known") { try queue.entry(queued.id)?.state == .delivered }
            await connection.close()
        }
    }

    @Test func aMessageWhoseTimeIsOverHasFailed() async throws {
        try await withDownlink { [device, queue] downlink, _ in
            // The first to end is not the first that came.
            _ = try await downlink.submit([1], to: device, timeToLive: .seconds(600))
            let short = try #require(
                try await downlink.submit([2], to: device, timeToLive: .milliseconds(300)))
            try await eventually("it has failed", within: .seconds(8)) {
                try queue.entry(short.id)?.state == .failed
            }
        }
    }

    @Test func whileTheQueueIsAwayItIsTriedAgain() async throws {
        let (queue, device) = (queue, device)
        _ = try queue.add([9], for: device, expiresAt: Self.nextCentury, now: 0)
        try await withDownlink { _, server in
            queue.refuse(true)
            let connection = try await connect(to: server)
            try await eventually("it was tried") { queue.asked.refused > 0 }
            queue.refuse(false)
            #expect(await connection.messages.first { _ in true }?.payload == [9])
            await connection.close()
        }
    }
}
