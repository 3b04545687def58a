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
        #expect(board.changes(now: [a: .online], absent: [a, b]) == [a: .online, b: .offline])
        #expect(board.changes(now: [a: .online], absent: [a, b]) == [:])
        #expect(board.changes(now: [a: .sleeping], absent: [a, b]) == [a: .sleeping])
        #expect(board.changes(now: [:], absent: [a, b]) == [a: .offline])
        #expect(board.changes(now: [:], absent: [a, b]) == [:])
    }

    @Test func whatWasSaidBeforeARestartIsCorrected() {
        var board = StatusBoard(gateway: "me")
        board.note(a, .online, by: "me")
        #expect(board.changes(now: [:], absent: []) == [a: .offline])
    }

    @Test func anotherGatewaysDevicesAreItsOwn() {
        var board = StatusBoard(gateway: "me")
        board.note(a, .online, by: "other")
        #expect(board.changes(now: [:], absent: [a]) == [:])
        board.note(b, .online, by: nil)
        #expect(board.changes(now: [:], absent: [b]) == [:])
        // It came here, and the other says that it left there.
        #expect(board.changes(now: [a: .online], absent: [a]) == [:])
        board.note(a, .offline, by: "other")
        #expect(board.changes(now: [a: .online], absent: [a]) == [a: .online])
        board.note(a, .online, by: "me")
        #expect(board.changes(now: [:], absent: [a]) == [a: .offline])
    }

    @Test func aStatusThatIsNoneIsForgotten() {
        var board = StatusBoard(gateway: "me")
        board.note(a, .online, by: "me")
        board.note(a, nil, by: nil)
        #expect(board.changes(now: [:], absent: [a]) == [a: .offline])
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
        #expect(config["value_template"] as? String == "{{ value_json['celsius'] }}")
        #expect((config["device"] as? [String: Any])?["name"] as? String == "kitchen")
        let many = (0..<200).map { message(#"{"n\#($0)": 1, "celsius": 2}"#) }
        #expect(discovery.publications(for: many, names: [device: "kitchen"]).count == 63)
        #expect(discovery.devices(toAnnounceIn: many).isEmpty)
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
        broker.passwordFile = "/etc/hostname"
        #expect(throws: OuroborosError.self) { try broker.check() }
        for text in ["ftp://x", "http://", "https://u:p@x/", "nothing"] {
            #expect(throws: OuroborosError.self, "\(text)") { try HTTPSinkSettings(url: text) }
        }
    }
}
