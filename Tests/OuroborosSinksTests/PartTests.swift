import Foundation
import Ouroboros
import Testing

@testable import OuroborosSinks
@testable import OuroborosStore

@Suite struct TopicTests {
    let device = DeviceID(number: 0xA1)

    @Test func thereAndBack() throws {
        let template = try TopicTemplate("home/{device}/up")
        #expect(template.topic(of: device) == "home/00000000000000a1/up")
        #expect(template.filter == "home/+/up")
        #expect(template.device(of: "home/00000000000000A1/up") == device)
        for other in [
            "home/00000000000000a1", "home/a1/up", "work/00000000000000a1/up", "home/00000000000000a1/up/x",
            "",
        ] {
            #expect(template.device(of: other) == nil, "\(other)")
        }
    }

    @Test(arguments: [
        "", "home/up", "home/x{device}/up", "{device}/{device}", "home/+/{device}", "home/{device}/#",
        "home/{name}/{device}", "home/{device}/\u{0}", String(repeating: "x", count: 1100) + "/{device}",
    ]) func whatIsNone(text: String) {
        #expect(throws: OuroborosError.self) { try TopicTemplate(text) }
    }
}

@Suite struct PauseTests {
    @Test func theyDoubleUpToALimit() {
        var backoff = Backoff.ofSinks
        for expected in [0.5, 1, 2, 4, 4, 4] {
            let pause = backoff.next(upTo: .seconds(4)) / .seconds(1)
            #expect((expected...expected * 1.5).contains(pause), "\(pause)")
        }
        backoff.reset()
        #expect(backoff.next(upTo: .seconds(4)) <= .milliseconds(750))
    }

    @Test func whatTheOtherSideSaysCounts() {
        var backoff = Backoff.ofSinks
        func next(after failure: SinkFailure) -> Duration {
            backoff.next(upTo: .seconds(4), atLeast: failure.leastPause)
        }
        #expect(next(after: SinkFailure("x", retryAfter: .seconds(20))) >= .seconds(20))
        #expect(next(after: SinkFailure("x", retryAfter: .seconds(1_000_000))) <= .seconds(5400))
        #expect(next(after: SinkFailure("x", .afterRepair)) >= .seconds(30))
        #expect(next(after: SinkFailure("x", retryAfter: .seconds(0))) >= .milliseconds(500))
    }

    @Test func retryAfter() {
        let now = Date(timeIntervalSince1970: 1_445_412_480)  // 2015-10-21 07:28:00
        #expect(RetryAfter.duration("120", now: now) == .seconds(120))
        #expect(RetryAfter.duration("Wed, 21 Oct 2015 07:29:00 GMT", now: now) == .seconds(60))
        #expect(RetryAfter.duration("Wed, 21 Oct 2015 07:27:00 GMT", now: now) == .seconds(0))
        for value in [nil, "", "-1", "soon", "99999999999999999999"] {
            #expect(RetryAfter.duration(value, now: now) == nil)
        }
    }
}

@Suite struct StatusBoardTests {
    let a = DeviceID(number: 1)
    let b = DeviceID(number: 2)

    @Test func changesAloneArePublished() {
        var board = StatusBoard(gateway: "me")
        #expect(
            board.changes(now: [a: .online], gone: [a: .offline, b: .offline]) == [a: .online, b: .offline])
        #expect(board.changes(now: [a: .online], gone: [a: .offline, b: .offline]) == [:])
        #expect(board.changes(now: [a: .sleeping], gone: [a: .offline, b: .offline]) == [a: .sleeping])
        #expect(board.changes(now: [:], gone: [a: .offline, b: .offline]) == [a: .offline])
        #expect(board.changes(now: [:], gone: [a: .offline, b: .offline]) == [:])
    }

    @Test func whatWasSaidBeforeARestartIsCorrected() {
        var board = StatusBoard(gateway: "me")
        board.note(a, .online, by: "me")
        #expect(board.changes(now: [:], gone: [:]) == [a: .offline])
    }

    @Test func anotherGatewaysDevicesAreItsOwn() {
        var board = StatusBoard(gateway: "me")
        board.note(a, .online, by: "other")
        #expect(board.changes(now: [:], gone: [a: .offline]) == [:])
        board.note(b, .online, by: nil)
        #expect(board.changes(now: [:], gone: [b: .offline]) == [:])
        // It came here, and the other says that it left there.
        #expect(board.changes(now: [a: .online], gone: [a: .offline]) == [:])
        board.note(a, .offline, by: "other")
        #expect(board.changes(now: [a: .online], gone: [a: .offline]) == [a: .online])
        board.note(a, .online, by: "me")
        #expect(board.changes(now: [:], gone: [a: .offline]) == [a: .offline])
    }

    /// One that said goodbye is expected; of another gateway's nothing is said.
    @Test func theyGoAndAreMissed() {
        var board = StatusBoard(gateway: "me")
        board.note(b, .online, by: "other")
        #expect(board.changes(now: [a: .online], gone: [b: .sleeping]) == [a: .online])
        #expect(board.own == [a])
        #expect(board.changes(now: [:], gone: [a: .sleeping, b: .offline]) == [a: .sleeping])
        #expect(board.changes(now: [:], gone: [a: .sleeping]) == [:])
        #expect(board.changes(now: [:], gone: [a: .offline]) == [a: .offline])
        board.forget(a)
        #expect(board.changes(now: [:], gone: [:]) == [:])
        #expect(board.own == [])
    }

    @Test func aStatusThatIsNoneIsForgotten() {
        var board = StatusBoard(gateway: "me")
        board.note(a, .online, by: "me")
        board.note(a, nil, by: nil)
        #expect(board.changes(now: [:], gone: [a: .offline]) == [a: .offline])
    }
}

@Suite struct DiscoveryTests {
    @Test(arguments: [
        (#"{"celsius": 21.5, "load": 1}"#, ["celsius", "load"]),
        (#"  {"a": 1, "b": "x", "c": true, "d": null, "e": {"f": 1}, "g": [1]}"#, ["a"]),
        (#"{"quote'": 1, "sl/ash": 1, "b{r": 1, "": 1, "ok name": -1e3}"#, ["ok name"]),
        ("[1, 2]", []), ("21.5", []), ("", []), ("{", []), (#"{"a": 1} x"#, []), ("{\u{0}", []),
    ]) func readings(payload: String, names: [String]) {
        #expect(Discovery.readings(in: Array(payload.utf8)) == names)
    }

    private func message(_ payload: String) -> SpooledMessage {
        SpooledMessage(
            id: 1, receivedAt: 0, device: DeviceID(number: 1), sessionID: 1, counter: 0, position: nil,
            payload: Array(payload.utf8))
    }

    @Test func aDeviceThatMakesUpNamesIsBounded() throws {
        let settings = MQTTSettings(
            broker: try MQTTBroker(url: "mqtt://h"), clientID: "me", up: try TopicTemplate("o/{device}/up"),
            status: try TopicTemplate("o/{device}/status"), gatewayTopic: "g")
        var discovery = Discovery(prefix: "homeassistant", settings: settings)
        let celsius = [message(#"{"celsius": 1}"#)]
        let device = celsius[0].device
        // Whoever's name is not known yet is announced later.
        #expect(discovery.devices(toAnnounceIn: celsius) == [device])
        #expect(discovery.publications(for: celsius, names: [:]).isEmpty)
        #expect(discovery.devices(toAnnounceIn: celsius) == [device])
        let first = discovery.publications(for: celsius, names: [device: "kitchen"])
        #expect(discovery.devices(toAnnounceIn: celsius).isEmpty)
        #expect(first.map(\.topic) == ["homeassistant/sensor/ouroboros_0000000000000001/celsius/config"])
        #expect(first.map(\.isRetained) == [true])
        let config = try #require(
            try JSONSerialization.jsonObject(with: Data(first[0].payload)) as? [String: Any])
        #expect(config["state_topic"] as? String == "o/0000000000000001/up")
        #expect(
            config["value_template"] as? String
                == "{% if value_json is mapping and value_json['celsius'] is number %}{{ value_json['celsius'] }}{% endif %}"
        )
        #expect(config["unit_of_measurement"] as? String == "°C")
        #expect(config["device_class"] as? String == "temperature")
        #expect(config["expire_after"] == nil)
        let availability = try #require(config["availability"] as? [[String: String]])
        #expect(availability.map { $0["topic"] } == ["o/0000000000000001/status", "g"])
        #expect(config["availability_mode"] as? String == "all")
        #expect((config["device"] as? [String: Any])?["name"] as? String == "kitchen")
        let many = (0..<200).map { message(#"{"n\#($0)": 1, "celsius": 2}"#) }
        #expect(discovery.publications(for: many, names: [device: "kitchen"]).count == 63)
        #expect(discovery.devices(toAnnounceIn: many).isEmpty)
        // Once its rhythm is known, and when that changes, all are announced anew.
        for (expiry, count) in [(nil, 0), (30, 64), (30, 0), (20, 0), (15, 64), (59, 64)] as [(Int?, Int)] {
            discovery.note(expiry: expiry, of: device)
            let again = discovery.publications(for: many + many, names: [device: "kitchen"])
            #expect(again.count == count)
            let text = String(decoding: again.first?.payload ?? [], as: UTF8.self)
            #expect(count == 0 || text.contains("\"expire_after\":\(expiry ?? 0),"), "\(text)")
        }
        #expect(discovery.device(announcedAt: first[0].topic) == device)
        for topic in ["homeassistant/sensor/other/x/config", "o/0000000000000001/status", "homeassistant"] {
            #expect(discovery.device(announcedAt: topic) == nil)
        }
    }

    /// What stands for `_` in a topic is told, so that no two names are one.
    @Test func namesStayApart() {
        let alphabet: [Character] = ["a", "s", "u", "d", " ", ".", "_", "-"]
        var names = [""]
        var all: [String: String] = [:]
        for _ in 1...5 {
            names = names.flatMap { name in alphabet.map { name + String($0) } }
            for name in names {
                let object = Discovery.object(name)
                #expect(all.updateValue(name, forKey: object) == nil, "\(name) and \(all[object] ?? "")")
                #expect(!object.contains { " .".contains($0) })
            }
        }
        #expect(Discovery.object("temp_in") == "temp_in")
        #expect(Discovery.object("temp in") == "temp_in-s")
        #expect(Discovery.object("temp.in") == "temp_in-d")
    }

    @Test(
        arguments: [
            ("celsius", "°C", "temperature"), ("cellar_celsius", "°C", "temperature"),
            ("Air Humidity", "%", "humidity"),
            ("battery_percent", "%", "battery"), ("battery volts", "V", "voltage"), ("percent", "%", nil),
            ("memory_available_kb", "kB", "data_size"), ("temperature", nil, nil), ("load", nil, nil),
        ] as [(String, String?, String?)]) func unitsThatNamesTell(
            name: String, unit: String?, deviceClass: String?
        )
    {
        let kind = ReadingKind(of: name)
        #expect(kind.unit == unit && kind.deviceClass == deviceClass && !kind.isTotal)
        #expect(ReadingKind(of: "meter_kwh").isTotal)
    }
}

@Suite struct BrokerTests {
    @Test func addresses() throws {
        let plain = try MQTTBroker(url: "mqtt://broker.local")
        #expect(plain.host == "broker.local" && plain.port == 1883 && !plain.isTLS)
        let secure = try MQTTBroker(url: "mqtts://[::1]:8884")
        #expect(secure.host == "::1" && secure.port == 8884 && secure.isTLS)
        for text in [
            "broker", "http://x", "mqtt://", "mqtt://u:p@x", "mqtt://x/topic", "mqtt://x:0", "mqtt://x:70000",
        ] {
            #expect(throws: OuroborosError.self, "\(text)") { try MQTTBroker(url: text) }
        }
    }

    @Test func whatDoesNotGoTogether() throws {
        var broker = try MQTTBroker(url: "mqtt://x")
        broker.authorities = "/etc/hostname"
        #expect(throws: OuroborosError.self) { try broker.check() }
        broker = try MQTTBroker(url: "mqtts://x")
        broker.certificate = "/etc/hostname"
        #expect(throws: OuroborosError.self) { try broker.check() }
        broker = try MQTTBroker(url: "mqtts://x")
        broker.authorities = "/none"
        #expect(throws: OuroborosError.self) { try broker.check() }
        broker = try MQTTBroker(url: "mqtt://x")
        broker.password = .file("/etc/hostname")
        #expect(throws: OuroborosError.self) { try broker.check() }
        for text in ["ftp://x", "http://", "https://u:p@x/", "nothing"] {
            #expect(throws: OuroborosError.self, "\(text)") { try HTTPSinkSettings(url: text) }
        }
    }
}
