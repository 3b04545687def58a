import Foundation
import LibC
import Ouroboros
import OuroborosNIO
import Subprocess
import TestSupport
import Testing

/// MQTT beside deliveries: TLS and passwords, who is there, messages to devices, Home Assistant.
@Suite(.serialized, .timeLimit(.minutes(6))) struct MQTTTests {
    @Test func overTLSWithAPassword() async throws {
        let site = try await Site()
        let scratch = site.scratch
        let certificates = try await Certificates(in: scratch)
        let made = try await Tool.run(
            "/usr/bin/mosquitto_passwd", ["-b", "-c", "passwords", "gateway", "s3cret"], in: scratch)
        try #require(made.succeeded, "\(made.errors)")
        try scratch.write("s3cret\n", to: "password")
        try scratch.write("wrong\n", to: "wrong")
        let broker = try Broker(in: scratch, certificates: certificates)
        try await broker.start()
        func sinks(_ password: String, ca: String = "ca.pem") -> [String] {
            [
                "--sink-mqtt", "mqtts://\(broker.address)", "--mqtt-ca-file", ca, "--mqtt-user",
                "gateway", "--mqtt-password-file", password, "--mqtt-cert-file", "client.pem",
                "--mqtt-key-file", "client.key", "--mqtt-payload", "json", "--mqtt-up", "home/{device}",
            ]
        }
        let watcher = try await broker.watcher(
            "-t", "home/#", "--cafile", "ca.pem", "--cert", "client.pem", "--key", "client.key", "-u",
            "gateway", "-P", "s3cret")
        let gateway = try await site.gateway(sinks("password"))
        let address = "127.0.0.1:\(try await site.port(of: "listening on", gateway))"
        let sent = try await Tool.run(site.client("send", to: address) + ["--message", "21.5"], in: scratch)
        #expect(sent.succeeded, "\(sent.errors)")
        let line = try await watcher.output.first(containing: "home/")
        let payload = objects([String(line.split(separator: "|").last ?? "")])
        #expect(payload.first?["text"] as? String == "21.5")
        #expect(payload.first?["device"] as? String == site.device)
        #expect(line.hasPrefix("home/\(site.device)|"))
        #expect(line.contains("session:") && line.contains("counter:0") && line.contains("time:20"))
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0))
        try await watcher.killed()

        for (arguments, words) in [
            (sinks("wrong"), "the broker refuses it"),
            (sinks("password", ca: "client.pem"), "certificate verify failed"),
        ] {
            let refused = try await site.gateway(arguments)
            try await refused.errors.first(containing: words)
            try await refused.killed()
            #expect(!refused.errors.all.joined().contains("wrong\n"))
        }
        try await broker.stop()
    }

    /// A limit that the broker announces, and one that it tells when it is passed.
    @Test(arguments: ["max_packet_size 600", "message_size_limit 500"])
    func whatIsTooLargeForTheBrokerStopsNothingElse(limit: String) async throws {
        let site = try await Site()
        let broker = try Broker(in: site.scratch, limit)
        try await broker.start()
        let watcher = try await broker.watcher("-t", "ouroboros/+/up")
        let gateway = try await site.gateway(["--sink-mqtt", broker.url])
        let address = "127.0.0.1:\(try await site.port(of: "listening on", gateway))"
        let texts = ["before", String(repeating: "x", count: 700), "after"]
        let sent = try await Tool.run(
            site.client("send", to: address), in: site.scratch, input: texts.joined(separator: "\n") + "\n")
        try #require(sent.succeeded, "\(sent.errors)")
        try await watcher.output.first(containing: "before")
        try await watcher.output.first(containing: "after")
        let warning = try await gateway.errors.first(containing: "ouroboros spool list --dead")
        #expect(warning.contains(site.device) && warning.contains("sink=mqtt"))
        let listed = try await Tool.run(["spool", "list", "--spool", "spool", "--dead"], in: site.scratch)
        #expect(objects(listed.lines).compactMap { $0["text"] as? String } == [texts[1]])
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
        try await watcher.killed()
        try await broker.stop()
    }

    @Test func whoIsThere() async throws {
        let site = try await Site()
        let broker = try Broker(in: site.scratch)
        try await broker.start()
        let topic = "ouroboros/\(site.device)/status"
        let watcher = try await broker.watcher(
            "-t", "ouroboros/+/status", "-t", "ouroboros/gateway/me/status")
        let arguments = [
            "--sink-mqtt", broker.url, "--mqtt-client-id", "me", "--sleeping-after", "1s", "--offline-after",
            "12s",
        ]
        var gateway = try await site.gateway(arguments)
        try await watcher.output.first(containing: "\(topic)|0|gateway:me|offline")
        try await site.connected(to: try await site.port(of: "listening on", gateway)) { connection in
            // The gateway looks now and then, and the device may be asleep again by then. Nor are its messages to come at
            // regular times: then it would be missed, and offline, as soon as it slept.
            var turn = 0
            try await eventually("it is online") {
                try await connection.send(Array("1".utf8))
                try await Task.sleep(for: .milliseconds([20, 60, 180, 540][turn % 4]))
                turn += 1
                return watcher.output.all.contains("\(topic)|0|gateway:me|online")
            }
            // Nor is it to be offline before the gateway looks.
            try await eventually("it sleeps") {
                try await connection.send(Array("1".utf8))
                try await Task.sleep(for: .seconds(2))
                return watcher.output.all.contains("\(topic)|0|gateway:me|sleeping")
            }
            // The gateway vanishes, and the broker says so.
            try await gateway.killed()
            try await watcher.output.first(containing: "ouroboros/gateway/me/status|0||offline")
        }
        // What it said of the device is corrected when it is back.
        let offline = { watcher.output.all.filter { $0 == "\(topic)|0|gateway:me|offline" }.count }
        let before = offline()
        gateway = try await site.gateway(arguments)
        try await eventually("the device is offline again") { offline() == before + 1 }
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0))
        try await watcher.killed()
        // It is all retained.
        let late = try await broker.watcher("-t", "ouroboros/#")
        try await late.output.first(containing: "\(topic)|1|gateway:me|offline")
        try await late.output.first(containing: "ouroboros/gateway/me/status|1||offline")
        try await late.killed()
        try await broker.stop()
    }

    /// A message that is sent once leaves the device where it was; one that misses its times is offline; one that is
    /// removed leaves nothing behind.
    @Test func whoIsMissed() async throws {
        let site = try await Site()
        let broker = try Broker(in: site.scratch)
        try await broker.start()
        let topic = "ouroboros/\(site.device)/status"
        let watcher = try await broker.watcher("-t", "ouroboros/+/status", "-t", "homeassistant/#")
        let gateway = try await site.gateway([
            "--sink-mqtt", broker.url, "--mqtt-client-id", "me", "--sleeping-after", "3s", "--home-assistant",
            "homeassistant",
        ])
        let address = "127.0.0.1:\(try await site.port(of: "listening on", gateway))"
        try await watcher.output.first(containing: "\(topic)|0|gateway:me|offline")
        let reading = #"{"temp in":1,"temp.in":2,"temp_in":3}"#
        let send = site.client("send", to: address) + ["--message", reading]
        #expect(try await Tool.run(send, in: site.scratch).succeeded)
        try await watcher.output.first(containing: "\(topic)|0|gateway:me|sleeping")
        try await eventually("three sensors") {
            watcher.output.all.filter { $0.hasPrefix("homeassistant/") }.count == 3
        }
        #expect(watcher.output.all.filter { $0.contains("|offline") }.count == 1)

        let sensor = Victim(
            site.client("sensor", to: address) + ["--interval", "1s", "--command", "echo '{\"celsius\":1}'"],
            in: site.scratch)
        await sensor.start()
        try await watcher.output.first(containing: "\"expire_after\":")
        try await sensor.killed()
        try await eventually("it is missed") {
            watcher.output.all.filter { $0.contains("|offline") }.count == 2
        }

        let remove = ["device", "remove", "--store", "gw.sqlite", "--device", site.device]
        #expect(try await Tool.run(remove, in: site.scratch).succeeded)
        try await eventually("its status is taken away") { watcher.output.all.contains("\(topic)|0||") }
        for name in ["temp_in-s", "temp_in-d", "temp_in", "celsius"] {
            let empty = "homeassistant/sensor/ouroboros_\(site.device)/\(name)/config|0||"
            try await eventually("\(name) is taken away") { watcher.output.all.contains(empty) }
        }
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
        // Nothing is retained but what the gateway says of itself.
        try await watcher.killed()
        let late = try await broker.watcher("-t", "#")
        try await late.output.first(containing: "ouroboros/gateway/me/status|1||offline")
        #expect(late.output.count == 1, "\(late.output.all)")
        try await late.killed()
        try await broker.stop()
    }

    /// They push each other out; they do so ever more slowly, and say why.
    @Test func twoGatewaysWithOneClientID() async throws {
        let site = try await Site()
        let broker = try Broker(in: site.scratch)
        try await broker.start()
        let arguments = ["--sink-mqtt", broker.url, "--mqtt-client-id", "same"]
        let first = try await site.gateway(arguments)
        try await first.errors.first(containing: "connected to mqtt://")
        let second = Victim(
            ["gateway", "--store", "gw.sqlite", "--spool", "other", "--bind", "127.0.0.1:0"] + arguments,
            in: site.scratch)
        await second.start()
        let text = "client id “same”"
        try await first.errors.first(containing: text)
        try await second.errors.first(containing: text)
        func connections() -> Int {
            [first, second].flatMap(\.errors.all).filter { $0.contains("connected to mqtt://") }.count
        }
        // Doubled pauses of half a second and more, at both.
        try await Task.sleep(for: .seconds(15))
        #expect(connections() <= 12)
        for gateway in [first, second] {
            #expect(gateway.errors.all.filter { $0.contains(text) }.count == 1)
            gateway.send(SIGTERM)
            #expect(try await gateway.ended() == .exited(0))
        }
        try await broker.stop()
    }

    @Test func aMessageToADeviceIsAcknowledgedOnceItIsQueued() async throws {
        let site = try await Site()
        let broker = try Broker(in: site.scratch, "log_type debug")
        try await broker.start()
        let flags = [
            "--sink-mqtt", broker.url, "--mqtt-client-id", "me", "--downlink", "queue.sqlite",
        ]
        let topic = "ouroboros/\(site.device)/down"
        var gateway = try await site.gateway(flags)
        try await gateway.errors.first(containing: "connected to mqtt://")
        let lock = try HeldLock(site.scratch.file("queue.sqlite"))
        try await broker.publish("held", to: topic)
        try await eventually("the gateway is sent it") {
            broker.log.contains { $0.contains("Sending PUBLISH to me ") && $0.contains(topic) }
        }
        try await gateway.killed()
        try lock.release()
        #expect(!broker.log.contains { $0.contains("Received PUBACK from me ") })
        // The broker keeps what comes meanwhile, too.
        try await broker.publish("away", to: topic)
        gateway = try await site.gateway(flags)
        try await site.connected(to: try await site.port(of: "listening on", gateway)) { connection in
            let texts = Locked<[String]>([])
            let reader = Task {
                for await message in connection.messages {
                    texts.withLock { $0.append(String(decoding: message.payload, as: UTF8.self)) }
                }
            }
            try await eventually("the device has both") {
                try await connection.send(Array("here".utf8))
                return texts.withLock { $0.sorted() } == ["away", "held"]
            }
            reader.cancel()
        }
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
        try await broker.stop()
    }

    @Test func messagesToDevicesAndHomeAssistant() async throws {
        let site = try await Site()
        let scratch = site.scratch
        let broker = try Broker(in: scratch)
        try await broker.start()
        let watcher = try await broker.watcher(
            "-t", "homeassistant/#", "-t", "answers", "-t", "ouroboros/+/up")
        let gateway = try await site.gateway([
            "--sink-mqtt", broker.url, "--home-assistant", "homeassistant",
            "--downlink", "queue.sqlite",
        ])
        func publish(_ text: String, to device: String) async throws {
            try await broker.publish(
                text, to: "ouroboros/\(device)/down", "-D", "publish", "response-topic", "answers", "-D",
                "publish", "correlation-data", "c7")
        }
        func answers() -> [[String: any Sendable]] {
            objects(
                watcher.output.all.filter { $0.hasPrefix("answers|") }
                    .compactMap { $0.split(separator: "|").last.map(String.init) })
        }
        try await gateway.errors.first(containing: "connected to mqtt://")
        try await publish("early", to: site.device)
        try await eventually("it is queued") { answers().contains { $0["state"] as? String == "queued" } }
        try await publish("x", to: "00000000000000ff")
        try await eventually("the device is not known") {
            answers().contains { ($0["reason"] as? String ?? "").contains("not known") }
        }
        try await publish(String(repeating: "x", count: 1201), to: site.device)
        try await eventually("it is too large") {
            answers().contains { ($0["reason"] as? String ?? "").contains("1200 bytes") }
        }
        try await site.connected(to: try await site.port(of: "listening on", gateway)) { connection in
            var messages = connection.messages.makeAsyncIterator()
            try await connection.send(Array(#"{"celsius": 21.5, "name": "x"}"#.utf8))
            #expect(await messages.next().map { String(decoding: $0.payload, as: UTF8.self) } == "early")
            try await publish("now", to: site.device)
            #expect(await messages.next().map { String(decoding: $0.payload, as: UTF8.self) } == "now")
            try await eventually("both are delivered") {
                answers().filter { $0["state"] as? String == "delivered" }.count == 2
            }
        }
        let config = "homeassistant/sensor/ouroboros_\(site.device)/celsius/config|"
        let line = try await watcher.output.first(containing: config)
        #expect(line.contains("\"name\":\"kitchen\""))
        #expect(watcher.output.all.filter { $0.hasPrefix("homeassistant/") }.count == 1)
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
        try await watcher.killed()
        try await broker.stop()
    }
}
