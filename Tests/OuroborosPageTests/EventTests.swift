import Hummingbird
import NIOCore
import NIOPosix
import Testing

@testable import OuroborosPage

/// Server-sent events: what changed, to a few, and to nobody who does not take them.
@Suite(.timeLimit(.minutes(1))) struct EventTests {
    private struct Event: Equatable {
        let name: String
        let data: String
    }

    private func events(_ text: String) -> [Event] {
        text.split(separator: "\n\n").compactMap { block in
            let lines = block.split(separator: "\n")
            guard let name = lines.first(where: { $0.hasPrefix("event: ") }) else { return nil }
            let data = lines.filter { $0.hasPrefix("data: ") }.map { $0.dropFirst(6) }
            // A browser passes over it.
            guard data.count > 1 || data.first?.isEmpty == false else { return nil }
            return Event(name: String(name.dropFirst(7)), data: data.joined(separator: "\n"))
        }
    }

    private func listen(
        _ page: Page, _ path: String = "/events", until text: String,
        _ body: @Sendable () async throws -> Void
    ) async throws -> [Event] {
        events(try await page.events(path, until: text, body))
    }

    @Test func aMessage() async throws {
        let facts = Facts([device(1, name: "one")])
        let all = try await listen(try Page(facts), until: " 4321 messages in all") {
            facts.set { $0.messages = 4321 }
        }
        let traffic = all.filter { $0.name == "traffic" }
        #expect(try #require(traffic.first).data.contains(" 0 messages in all"))
        #expect(try #require(traffic.last).data.contains(" 4321 messages in all"))
        // What did not change came once.
        for part in ["status", "rows", "drops", "pages"] {
            #expect(all.count { $0.name == part } == 1, "\(part)")
        }
    }

    @Test func whatAQueryAsksFor() async throws {
        let facts = Facts([device(1, name: "one"), device(2, name: "two", .offline)])
        let all = try await listen(
            try Page(facts), "/events?state=offline", until: "0 online, 0 sleeping, 2 offline"
        ) {
            facts.set(devices: [device(1, name: "one", .offline), device(2, name: "two", .offline)])
        }
        let rows = all.filter { $0.name == "rows" }.map(\.data)
        #expect(rows.count == 2 && !rows[0].contains("one") && rows[1].contains("one"))
        #expect(all.filter { $0.name == "status" }.last?.data == "0 online, 0 sleeping, 2 offline")
    }

    @Test func whatIsEmptyAgain() async throws {
        let facts = Facts([])
        facts.set(devices: (1...51).map { device($0) }, notice: "not all")
        let all = try await listen(try Page(facts), until: "<p hidden></p>") {
            facts.set(devices: [])
        }
        for part in ["rows", "pages"] {
            let data = all.filter { $0.name == part }.map(\.data)
            #expect(data.count == 2 && data.last == "\n", "\(part)")
        }
        #expect(all.filter { $0.name == "notice" }.map(\.data) == ["<p>not all</p>", "<p hidden></p>"])
    }

    @Test func aDevice() async throws {
        let facts = Facts([device(1, name: "one")])
        let all = try await listen(
            try Page(facts), "/devices/\(device(1).id)/events", until: "data: sleeping"
        ) {
            facts.set(devices: [device(1, name: "one", .sleeping)])
        }
        #expect(all.filter { $0.name == "status" }.map(\.data) == ["online", "sleeping"])
    }

    @Test func aDeviceThatGoesEndsItsEvents() async throws {
        let facts = Facts([device(1)])
        let page = try Page(facts)
        let asked = try page.ask("/devices/\(device(1).id)/events")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await page.feed.run() }
            try await asked.wait(for: "event: ")
            facts.set(devices: [])
            // It returns, though the feed goes on.
            #expect(try await asked.answer.value.status == .ok)
            group.cancelAll()
        }
    }

    @Test func notTooMany() async throws {
        let page = try Page(Facts()) { $0.listeners = 2 }
        let listeners = [try page.ask("/events"), try page.ask("/events")]
        for listener in listeners { try await listener.wait(for: "event: ") }
        let third = try await page.get("/events")
        #expect(third.status == .serviceUnavailable)
        #expect(String(buffer: third.body).contains("2 listen already"))
        page.feed.end()
        for listener in listeners { #expect(try await listener.answer.value.status == .ok) }
    }

    /// Its place is another's once it takes nothing for the time of patience.
    @Test func aListenerThatDoesNotRead() async throws {
        let id = device(1).id
        let facts = Facts([device(1)])
        let page = try Page(facts) {
            $0.listeners = 1
            $0.period = .milliseconds(2)
            $0.patience = .milliseconds(300)
        }
        try await page.served { port in
            let stuck = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelOption(.autoRead, value: false)
                .channelOption(.socketOption(.so_rcvbuf), value: 4096)
                .connect(host: "127.0.0.1", port: port).get()
            try await stuck.writeAndFlush(
                ByteBuffer(string: "GET /devices/\(id)/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            ).get()
            // It has the place before anything looks at the devices.
            while facts.asked == 0 { try await Task.sleep(for: .milliseconds(5)) }
            #expect(page.feed.listen() == nil)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await page.feed.run() }
                group.addTask {
                    // Each state is another 200 KB, which fill what the kernel keeps for a connection.
                    for turn in 0... {
                        let bytes = [UInt8](repeating: UInt8(0x61 + turn % 26), count: 200_000)
                        let message = PageMessage(receivedAt: 0, size: bytes.count, beginning: bytes)
                        facts.set(messages: [id: [message]])
                        guard (try? await Task.sleep(for: .milliseconds(2))) != nil else { return }
                    }
                }
                while page.feed.listen() == nil { try await Task.sleep(for: .milliseconds(50)) }
                group.cancelAll()
            }
            try await stuck.close().get()
        }
    }
}
