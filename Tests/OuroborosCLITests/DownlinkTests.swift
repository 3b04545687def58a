import Foundation
import GRDB
import LibC
import Ouroboros
import OuroborosNIO
import Subprocess
import TestSupport
import Testing

/// Messages to devices, over HTTP.
@Suite(.serialized, .timeLimit(.minutes(6))) struct DownlinkTests {
    private func start(_ site: Site, _ more: String...) async throws -> (Victim, DownlinkCaller) {
        let gateway = try await site.gateway(
            DownlinkCaller.flags(queue: "queue.sqlite", in: site.scratch) + more)
        return (gateway, try await DownlinkCaller(gateway))
    }

    @Test func whatIsRefused() async throws {
        let site = try await Site()
        let (gateway, endpoint) = try await start(site, "--downlink-per-device", "1")
        let path = "\(site.device)/messages"
        for token in [nil, "wrong", "s3cre", "s3crets", ""] {
            let (status, answer) = try await DownlinkCaller(base: endpoint.base, token: token).call(
                path, body: "x")
            #expect(status == 401)
            #expect(answer["state"] as? String == "failed")
        }
        let refusals: [(path: String, body: String, status: Int, words: String)] = [
            ("00000000000000ff/messages", "x", 404, "not known"),
            ("kitchen/messages", "x", 400, "16 hexadecimal"),
            (path, String(repeating: "x", count: 1201), 413, "at most 1200 bytes"),
            (path + "?ttl=soon", "x", 400, "whole seconds"), (path + "?ttl=0", "x", 400, "whole seconds"),
            (path + "?ttl=999999999999999999999", "x", 400, "whole seconds"),
        ]
        for refusal in refusals {
            let (status, answer) = try await endpoint.call(refusal.path, body: refusal.body)
            #expect(status == refusal.status, "\(refusal.path)")
            #expect((answer["reason"] as? String ?? "").contains(refusal.words), "\(answer)")
        }
        #expect(try await endpoint.call(path + "/99", method: "GET").status == 404)
        #expect(try await endpoint.call(path + "/x", method: "GET").status == 400)
        #expect(try await endpoint.call(path, body: "x").status == 202)
        let (status, answer) = try await endpoint.call(path, body: "x")
        #expect(status == 429)
        #expect((answer["reason"] as? String ?? "").contains("too many messages wait for device"))
        #expect(!gateway.errors.all.joined().contains("s3cret"))
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0))
    }

    @Test func connectedSleepingAndAbsent() async throws {
        let site = try await Site()
        let (gateway, endpoint) = try await start(site, "--sleeping-after", "1s")
        let path = "\(site.device)/messages"
        let early = try await endpoint.call(path, body: "early")
        #expect(early.status == 202)
        #expect(early.answer["state"] as? String == "queued")
        let id = try #require(early.answer["id"] as? Int)
        try await site.connected(to: try await site.port(of: "listening on", gateway)) { connection in
            var messages = connection.messages.makeAsyncIterator()
            func next() async -> String? {
                await messages.next().map { String(decoding: $0.payload, as: UTF8.self) }
            }
            // On a busy machine it counts as asleep until it is heard.
            async let first = next()
            try await eventually("its fate is told") {
                try await connection.send(Array("I am here".utf8))
                return try await endpoint.state(of: id, at: site.device) == "delivered"
            }
            #expect(await first == "early")
            // It is delivered while the caller waits, if the machine is quick enough not to let it sleep.
            async let received = {
                var texts: [String] = []
                while texts.last != "sleepy", let text = await next() { texts.append(text) }
                return texts
            }()
            var count = 0
            try await eventually("a message is delivered at once") {
                try await connection.send(Array("I am here".utf8))
                count += 1
                let now = try await endpoint.call(path, body: "\(count)")
                return now.status == 200 && now.answer["state"] as? String == "delivered"
            }
            // Silent for longer than that, it counts as asleep: nothing is sent before it is heard.
            try await Task.sleep(for: .milliseconds(1200))
            let asleep = try await endpoint.call(path, body: "sleepy")
            #expect(asleep.status == 202)
            #expect(asleep.answer["state"] as? String == "queued")
            try await connection.send(Array("awake".utf8))
            let texts = await received
            #expect(texts.sorted() == (1...count).map { "\($0)" }.sorted() + ["sleepy"])
        }
        // Nobody is there within the time to live.
        let late = try await endpoint.call(path + "?ttl=1", body: "late")
        #expect(late.status == 202)
        try await eventually("it fails") {
            let fate = try await endpoint.call("\(path)/\(late.answer["id"] ?? 0)", method: "GET")
            return fate.answer["state"] as? String == "failed"
        }
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0))
    }

    @Test func theQueueOutlivesTheGateway() async throws {
        let site = try await Site()
        var (gateway, endpoint) = try await start(site)
        let path = "\(site.device)/messages"
        #expect(try await endpoint.call(path, body: "one").status == 202)
        #expect(try await endpoint.call(path, body: "two").status == 202)
        try await gateway.killed()
        (gateway, endpoint) = try await start(site)
        try await site.connected(to: try await site.port(of: "listening on", gateway)) { connection in
            var texts: [String] = []
            for await message in connection.messages.prefix(2) {
                texts.append(String(decoding: message.payload, as: UTF8.self))
            }
            #expect(Set(texts) == ["one", "two"])
        }
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0))
    }

    /// The device takes nothing: what is sent is not acknowledged, and what comes after it is not sent.
    @Test func whatIsNotAcknowledgedIsUnknownAndWhatIsNotSentFails() async throws {
        let site = try await Site()
        let (gateway, endpoint) = try await start(site)
        let path = "\(site.device)/messages"
        let way = try await StallingWay(to: try await gateway.port(of: "listening on"), in: site.scratch)
        try await site.connected(to: way.port) { connection in
            try await connection.send(Array("I am here".utf8))
            way.stall()
            let unknown = try await endpoint.call(path + "?ttl=1", body: "unknown")
            #expect(unknown.status == 504)
            #expect(unknown.answer["state"] as? String == "unknown")
            #expect((unknown.answer["reason"] as? String ?? "").contains("may have arrived"))

            // As many as are under way at once, and one more.
            let first = try #require(unknown.answer["id"] as? Int) + 1
            async let others = withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<8 {
                    group.addTask { try await endpoint.call(path, body: "\(number)").status }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            try await eventually("they are queued") {
                try await endpoint.call("\(path)/\(first + 7)", method: "GET").status == 200
            }
            let failed = try await endpoint.call(path + "?ttl=1", body: "failed")
            #expect(failed.status == 502)
            #expect(failed.answer["state"] as? String == "failed")
            #expect((failed.answer["reason"] as? String ?? "").contains("time to live"))

            way.goOn()
            var texts: [String] = []
            for await message in connection.messages.prefix(9) {
                texts.append(String(decoding: message.payload, as: UTF8.self))
            }
            // It did arrive.
            #expect(texts.sorted() == (0..<8).map { "\($0)" } + ["unknown"])
            #expect(try await others.allSatisfy { $0 == 200 || $0 == 202 })
            try await eventually("the others are delivered") {
                for id in first..<first + 8 {
                    let fate = try await endpoint.call("\(path)/\(id)", method: "GET")
                    guard fate.answer["state"] as? String == "delivered" else { return false }
                }
                return true
            }
        }
        try await way.end()
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0))
    }

    @Test func aStoreThatFails() async throws {
        let site = try await Site()
        let (gateway, endpoint) = try await start(site)
        let path = "\(site.device)/messages"
        let store = try DatabaseQueue(path: site.scratch.file("gw.sqlite"))
        try await store.write { try $0.execute(sql: "ALTER TABLE device RENAME TO gone") }
        let refused = try await endpoint.call(path, body: "x")
        #expect(refused.status == 503)
        #expect(refused.answer["state"] as? String == "failed")
        #expect((refused.answer["reason"] as? String ?? "").contains("gw.sqlite"))
        try await store.write { try $0.execute(sql: "ALTER TABLE gone RENAME TO device") }
        #expect(try await endpoint.call(path, body: "x").status == 202)
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0))
    }
}
