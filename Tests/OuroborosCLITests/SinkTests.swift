import Foundation
import HTTPTypes
import LibC
import Subprocess
import TestSupport
import Testing

/// A gateway's sinks, with a real broker and a real HTTP server behind them.
@Suite(.serialized, .timeLimit(.minutes(6))) struct SinkTests {
    @Test func whatWasAcknowledgedReachesEverySink() async throws {
        let site = try await Site()
        let scratch = site.scratch
        let broker = try Broker(in: scratch)
        try await broker.start()
        let collector = Collector()
        let address = OwnAddress.next()
        try await collector.serving { url in
            let sinks = [
                "--sink-stdout", "--sink-file", "out.jsonl", "--sink-http", url, "--sink-mqtt", broker.url,
            ]
            // One that stays subscribed while it is away.
            let watcher = try await broker.watcher("-c", "-x", "600", "-t", "ouroboros/+/up")
            let box = ["--outbox", "box"]
            func send(_ prefix: String) async throws {
                let lines = (1...20).map { "\(prefix)\($0)\n" }.joined()
                let sent = try await Tool.run(
                    site.client("send", to: address) + box, in: scratch, input: lines)
                try #require(sent.succeeded, "\(sent.errors)")
            }
            var gateways = [try await site.gateway(at: address, sinks)]
            try await send("a")
            try await gateways[0].killed()
            try await broker.stop()
            // The broker is away, and the others go on.
            gateways.append(try await site.gateway(at: address, sinks))
            try await send("b")
            try await eventually("HTTP goes on while the broker is away") { collector.texts.contains("b20") }
            try await broker.start()

            // The gateway is killed while messages come.
            let many = (1...400).map { "c\($0)" }
            let (lines, feed) = AsyncStream.makeStream(of: String.self)
            let sender = Victim(
                site.client("send", to: address) + box + ["--receipts"], in: scratch, input: lines)
            await sender.start()
            for line in many { feed.yield(line) }
            feed.finish()
            try await eventually("some are acknowledged") { sender.output.count >= 50 || sender.isEnded }
            try await gateways[1].killed()
            try await sender.killed()
            gateways.append(try await site.gateway(at: address, sinks))
            let flushed = try await Tool.run(site.client("outbox", "flush", to: address) + box, in: scratch)
            #expect(flushed.succeeded, "\(flushed.errors)")

            let acknowledged = Set((1...20).flatMap { ["a\($0)", "b\($0)"] } + sender.output.all + ["a1"])
            #expect(acknowledged.count >= 90)
            let listed = try await Tool.run(["spool", "list", "--spool", "spool"], in: scratch)
            let stored = Set(objects(listed.lines).compactMap { $0["text"] as? String })
            #expect(acknowledged.isSubset(of: stored), "the last 1000 stay in the spool")
            let printed = {
                Set(objects(gateways.flatMap(\.output.all)).compactMap { $0["text"] as? String })
            }
            let written = {
                Set(
                    objects(try scratch.read("out.jsonl").split(separator: "\n").map(String.init))
                        .compactMap { $0["text"] as? String })
            }
            let published = {
                Set(watcher.output.all.compactMap { $0.split(separator: "|").last.map(String.init) })
            }
            try await eventually("HTTP has all") { stored.isSubset(of: collector.texts) }
            try await eventually("the file has all") { try stored.isSubset(of: written()) }
            try await eventually("MQTT has all") { stored.isSubset(of: published()) }
            try await eventually("standard output has all") { stored.isSubset(of: printed()) }

            // What repeats can be told apart: each message has one place in one box.
            for object in collector.taken {
                #expect((object["box"] as? Int ?? 0) > 0 && object["seq"] as? Int != nil)
            }
            let places = Set(
                collector.taken.map { "\($0["box"] ?? "") \($0["seq"] ?? "") \($0["text"] ?? "")" })
            #expect(places.count == stored.count)
            #expect(watcher.output.all.allSatisfy { $0.contains("box:") && $0.contains("seq:") })
            gateways[2].send(SIGTERM)
            #expect(try await gateways[2].ended() == .exited(0), "\(gateways[2].errors.all)")
            try await watcher.killed()
        }
        try await broker.stop()
    }

    @Test func aFullSpoolMakesDevicesWait() async throws {
        let site = try await Site()
        let collector = Collector()
        collector.answer(then: .init(status: .serviceUnavailable, retryAfter: "0"))
        try await collector.serving { url in
            let gateway = try await site.gateway([
                "--sink-http", url, "--spool-messages", "10", "--queue-per-device", "4", "--metrics",
                "127.0.0.1:0",
            ])
            let address = "127.0.0.1:\(try await site.port(of: "listening on", gateway))"
            let (lines, feed) = AsyncStream.makeStream(of: String.self)
            for number in 1...60 { feed.yield("m\(number)") }
            feed.finish()
            let sender = Victim(
                site.client("send", to: address) + ["--receipts"], in: site.scratch, input: lines)
            await sender.start()
            try await eventually("the spool is full") {
                try await site.sample("ouroboros_spool_full", of: gateway) == 1
            }
            #expect(try await site.sample("ouroboros_spool_messages", of: gateway).map { $0 <= 10 } == true)
            #expect(sender.output.count <= 10)
            #expect(!sender.isEnded)
            try await gateway.errors.first(containing: "the spool is full")
            try await eventually("the collector's refusal is counted") {
                try await site.sample("ouroboros_sink_failures_total{sink=\"http\"}", of: gateway) ?? 0 > 0
            }
            collector.answer()
            #expect(try await sender.ended() == .exited(0), "\(sender.errors.all)")
            #expect(Set(sender.output.all) == Set((1...60).map { "m\($0)" }))
            try await eventually("all are taken") { collector.texts.count == 60 }
            try await eventually("all are counted") {
                try await site.sample("ouroboros_sink_lag_messages{sink=\"http\"}", of: gateway) == 0
            }
            try await eventually("there is room again") {
                try await site.sample("ouroboros_spool_full", of: gateway) == 0
            }
            try await gateway.killed()
        }
    }

    @Test func workersShareOneSpool() async throws {
        let site = try await Site()
        let devices = (1...8).map { "00000000000000a\($0)" }
        for device in devices {
            let added = try await Tool.run(
                [
                    "device", "add", "--store", "gw.sqlite", "--device", device, "--root-key-file",
                    "root.key",
                ], in: site.scratch)
            try #require(added.succeeded, "\(added.errors)")
        }
        let collector = Collector()
        let address = OwnAddress.next()
        let texts = (1...50).map { "m\($0)" }
        try await collector.serving { url in
            let arguments = ["--workers", "2", "--sink-http", url, "--http-batch", "20"]
            var gateway = try await site.gateway(at: address, arguments)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for device in devices {
                    group.addTask { try await send(texts, of: device, to: address, site) }
                }
                try await eventually("some have arrived") { collector.texts.count >= 20 }
                try await gateway.killed()
                gateway = try await site.gateway(at: address, arguments)
                try await group.waitForAll()
            }
            struct Place: Hashable {
                let device: String
                let box: Int
                let seq: Int
            }
            let arrived = {
                Dictionary(
                    collector.taken.compactMap { object -> (Place, String)? in
                        guard let device = object["device"] as? String, let box = object["box"] as? Int,
                            let seq = object["seq"] as? Int, let text = object["text"] as? String
                        else { return nil }
                        return (Place(device: device, box: box, seq: seq), text)
                    }, uniquingKeysWith: { first, _ in first })
            }
            try await eventually("all have arrived") { arrived().count >= devices.count * texts.count }
            for device in devices {
                #expect(arrived().filter { $0.key.device == device }.map(\.value).sorted() == texts.sorted())
            }
            gateway.send(SIGTERM)
            #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
        }
    }

    /// From an outbox, until it is empty.
    private func send(_ texts: [String], of device: String, to address: String, _ site: Site) async throws {
        let client = [
            "--to", address, "--device", device, "--root-key-file", "root.key", "--outbox", device,
            "--timeout",
            "5s",
        ]
        var sent = try await Tool.run(
            ["send"] + client, in: site.scratch, input: texts.joined(separator: "\n") + "\n")
        try await eventually("the outbox of \(device) is empty", within: .seconds(60)) {
            if !sent.succeeded {
                sent = try await Tool.run(["outbox", "flush"] + client, in: site.scratch)
            }
            return sent.succeeded
        }
    }

    @Test func whatHTTPAnswersIsHeeded() async throws {
        let site = try await Site()
        let certificates = try await Certificates(in: site.scratch)
        try site.scratch.write("s3cret\n", to: "token")
        let collector = Collector()
        collector.answer(
            [.init(status: .tooManyRequests, retryAfter: "1"), .init()], then: .init(status: .forbidden))
        try await collector.serving(certificates: certificates) { url in
            let gateway = try await site.gateway([
                "--sink-http", url, "--http-ca-file", "ca.pem", "--http-token-file", "token",
            ])
            let address = "127.0.0.1:\(try await site.port(of: "listening on", gateway))"
            func send(_ text: String) async throws {
                let sent = try await Tool.run(
                    site.client("send", to: address) + ["--message", text], in: site.scratch)
                #expect(sent.succeeded, "\(sent.errors)")
            }
            try await send("first")
            try await eventually("it is sent again") { collector.requests.count == 2 }
            let (one, two) = (collector.requests[0], collector.requests[1])
            #expect(two.time - one.time >= .seconds(1))
            #expect(one.headers["idempotency-key"] != nil)
            #expect(one.headers["idempotency-key"] == two.headers["idempotency-key"])
            #expect(one.lines == two.lines && one.lines.count == 1)
            #expect(one.headers["authorization"] == "Bearer s3cret")
            #expect(one.headers["content-type"] == "application/x-ndjson")
            // What somebody has to mend is no loss: it is told, and tried again slowly.
            try await send("second")
            let refusal = try await gateway.errors.first(containing: "answers 403")
            #expect(refusal.contains("error"))
            // What is no refusal is tried again within this time, twice.
            try await Task.sleep(for: .seconds(3))
            #expect(collector.requests.count == 3)
            #expect(collector.requests[2].headers["idempotency-key"] != one.headers["idempotency-key"])
            #expect(!gateway.errors.all.joined().contains("s3cret"))
            gateway.send(SIGTERM)
            #expect(try await gateway.ended() == .exited(0))
            // A server that nobody vouches for gets nothing, and one that others vouch for neither.
            let elsewhere = try Scratch()
            _ = try await Certificates(in: elsewhere)
            try site.scratch.write(elsewhere.read("ca.pem"), to: "other.pem")
            for authority in [[], ["--http-ca-file", "other.pem"]] {
                let other = try await site.gateway(["--sink-http", url] + authority)
                try await other.errors.first(containing: "certificate problem")
                #expect(collector.requests.count == 3)
                try await other.killed()
            }
        }
    }

    @Test func whatIsRefusedForGoodStopsNobodyElse() async throws {
        let site = try await Site()
        let collector = Collector()
        collector.refuse { lines in
            if lines.contains(where: { $0.contains("poison") }) { return .badRequest }
            return lines.count > 3 ? .contentTooLarge : nil
        }
        try await collector.serving { url in
            let gateway = try await site.gateway(["--sink-http", url, "--metrics", "127.0.0.1:0"])
            let address = "127.0.0.1:\(try await site.port(of: "listening on", gateway))"
            let texts = (1...10).map { "a\($0)" } + ["poison"] + (1...10).map { "b\($0)" }
            let sent = try await Tool.run(
                site.client("send", to: address), in: site.scratch,
                input: texts.joined(separator: "\n") + "\n")
            try #require(sent.succeeded, "\(sent.errors)")
            let good = Set(texts).subtracting(["poison"])
            try await eventually("all others arrive") { collector.texts == good }
            let warning = try await gateway.errors.first(containing: "ouroboros spool list --dead")
            #expect(warning.contains("answers 400") && warning.contains(site.device))
            #expect(warning.contains("sink=http"))
            func dead() async throws -> [[String: any Sendable]] {
                let listed = try await Tool.run(
                    ["spool", "list", "--spool", "spool", "--dead"], in: site.scratch)
                try #require(listed.succeeded, "\(listed.errors)")
                return objects(listed.lines)
            }
            let letter = try #require(try await dead().first)
            #expect(letter["text"] as? String == "poison" && letter["sink"] as? String == "http")
            #expect((letter["reason"] as? String ?? "").contains("answers 400"))
            try await eventually("it is counted") {
                try await site.sample("ouroboros_sink_dead_letters{sink=\"http\"}", of: gateway) == 1
            }
            #expect(
                try await site.sample("ouroboros_sink_refused_total{sink=\"http\"}", of: gateway) == 1)
            collector.refuse { _ in nil }
            let retried = try await Tool.run(["spool", "retry", "--spool", "spool"], in: site.scratch)
            #expect(retried.succeeded && retried.errors.contains("1 messages are tried again"))
            try await eventually("it arrives") { collector.texts == Set(texts) }
            try await eventually("it is set aside no more") { try await dead().isEmpty }
            gateway.send(SIGTERM)
            #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
        }
    }

    /// A full disk, or a kill, has left half a line where standard output is appended to.
    @Test(arguments: [[], ["--spool", "spool", "--sink-stdout"]])
    func aLineBeginsOnItsOwn(arguments: [String]) async throws {
        let site = try await Site()
        try site.scratch.write("{\"text\":\"whole\"}\n{\"text\":\"to", to: "lines")
        let command = [Tool.path, "gateway", "--store", "gw.sqlite", "--bind", "127.0.0.1:0"] + arguments
        let gateway = Victim(
            ["-c", "exec \(command.joined(separator: " ")) >>lines"], executable: "/bin/sh", in: site.scratch)
        await gateway.start()
        let address = "127.0.0.1:\(try await site.port(of: "listening on", gateway))"
        for text in ["a", "b"] {
            let sent = try await Tool.run(
                site.client("send", to: address) + ["--message", text], in: site.scratch)
            #expect(sent.succeeded, "\(sent.errors)")
        }
        try await eventually("both have lines of their own") {
            let lines = try site.scratch.read("lines").split(separator: "\n").map(String.init)
            return lines.count == 4
                && objects(lines).compactMap { $0["text"] as? String } == ["whole", "a", "b"]
        }
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
    }

    @Test func proxiesOfTheEnvironmentAreNotUsed() async throws {
        let site = try await Site()
        let collector = Collector()
        try await collector.serving { url in
            let gateway = Victim(
                [
                    "http_proxy=http://127.0.0.1:1", "all_proxy=http://127.0.0.1:1", "no_proxy=", Tool.path,
                    "gateway", "--store", "gw.sqlite", "--spool", "spool", "--bind", "127.0.0.1:0",
                    "--sink-http", url,
                ], executable: "/usr/bin/env", in: site.scratch)
            await gateway.start()
            let address = "127.0.0.1:\(try await site.port(of: "listening on", gateway))"
            let sent = try await Tool.run(
                site.client("send", to: address) + ["--message", "x"], in: site.scratch)
            #expect(sent.succeeded, "\(sent.errors)")
            try await eventually("the message is there") { collector.texts == ["x"] }
            try await gateway.killed()
        }
    }
}
