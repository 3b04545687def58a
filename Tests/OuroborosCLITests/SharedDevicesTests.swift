import Foundation
import FoundationNetworking
import NIOCore
import Ouroboros
import OuroborosNIO
import Subprocess
import TestSupport
import Testing

/// What gateways that share a registry tell of its devices, on their pages and over MQTT.
@Suite(.serialized, .timeLimit(.minutes(6))) struct SharedDevicesTests {
    private let scratch: Scratch
    private let attic = FaultDevice(number: 0, name: "Attic", hasOutbox: false)
    private let cellar = FaultDevice(number: 1, name: "Cellar", hasOutbox: false)

    init() throws {
        scratch = try Scratch()
    }

    /// Is connected to a gateway, the first if no other is named, while `body` runs.
    private func connected(
        _ device: FaultDevice, to fleet: FaultFleet, _ gateway: Int = 0,
        _ body: (OuroborosConnection) async throws -> Void
    ) async throws {
        let port = try HostAndPort(parsing: fleet.addresses[gateway]).port
        try await scratch.connected(device.id, to: "\(port)", body)
    }

    private func eventuallyShows(
        _ parts: [String], _ gateway: Victim, _ path: String = "", status: Int = 200,
        file: String = #fileID, line: Int = #line
    ) async throws {
        try await eventually("\(path) shows \(parts)", file: file, line: line) {
            let (response, text) = try await gateway.get(path)
            return response.statusCode == status && parts.allSatisfy(text.contains)
        }
    }

    @Test func thePageShowsTheFleetAndSaysWhatItCannotShow() async throws {
        try await PostgresCluster.with { cluster in
            let fleet = try await FaultFleet(
                cluster, devices: [attic, cellar], sinks: ["--metrics", "127.0.0.1:0"], gateways: 2,
                in: scratch)
            let (here, elsewhere) = (fleet.gateways[0], fleet.gateways[1])
            try await eventuallyShows(["<h1>Ouroboros gateway 1</h1>", "0 online, 0 sleeping, 2 away"], here)
            try await connected(attic, to: fleet) { connection in
                try await connection.send(Array("21.5".utf8))
                try await eventuallyShows(["1 online, 0 sleeping, 1 away", "Attic", "Cellar"], here)
                // The registry knows that it was heard, and not where.
                try await eventually("the other gateway knows when it was heard", within: .seconds(60)) {
                    let text = try await elsewhere.get("devices/\(attic.id)").1
                    return text.contains("away</dd>") && !text.contains("<dd>never</dd>")
                }
                try await eventuallyShows(
                    ["<title>Cellar · Ouroboros gateway 2</title>", "<dd>never</dd>"], elsewhere,
                    "devices/\(cellar.id)")

                try await cluster.stop()
                let notice = "The registry does not answer: only devices that are connected here are shown."
                try await eventuallyShows(
                    ["<p>\(notice)</p>", "1 online, 0 sleeping, 0 away", "<bdi>Attic</bdi>"], here)
                #expect(try await !here.get("").1.contains("Cellar"))
                try await eventuallyShows([notice, "0 online, 0 sleeping, 0 away"], elsewhere)
                try await eventuallyShows([notice], here, "devices/\(cellar.id)", status: 503)
                try await cluster.start()
                try await eventuallyShows(
                    ["<p hidden></p>", "1 online, 0 sleeping, 1 away", "Cellar"], here)
                try await eventuallyShows(["<p hidden></p>", "Cellar"], here, "devices/\(cellar.id)")
            }
            for gateway in fleet.gateways {
                gateway.send(SIGTERM)
                #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
            }
        }
    }

    @Test func theBrokerHearsNamesAndWhoNeverCame() async throws {
        try await PostgresCluster.with { cluster in
            let broker = try Broker(in: scratch)
            try await broker.start()
            let watcher = try await broker.watcher("-t", "ouroboros/+/status", "-t", "homeassistant/#")
            let fleet = try await FaultFleet(
                cluster, devices: [attic, cellar],
                sinks: [
                    "--sink-mqtt", broker.url, "--home-assistant", "homeassistant", "--sleeping-after", "10s",
                    "--offline-after", "10s",
                ], gateways: 2, in: scratch)
            let statuses = { (device: FaultDevice) in
                watcher.output.all.filter { $0.hasPrefix("ouroboros/\(device.id)/status|") }
                    .compactMap { $0.split(separator: "|").last.map(String.init) }
            }
            try await eventually("those who never came are offline", within: .seconds(60)) {
                statuses(attic).last == "offline" && statuses(cellar).last == "offline"
            }
            try await connected(attic, to: fleet) { connection in
                try await connection.send(Array(#"{"celsius": 21.5}"#.utf8))
                try await eventually("it is online") { statuses(attic).last == "online" }
                let config = "homeassistant/sensor/ouroboros_\(attic.id)/celsius/config|"
                let line = try await watcher.output.first(containing: config)
                #expect(line.contains("\"name\":\"Attic\""))
                // The other gateway has looked when it says of another that it came and that it went, and has
                // nothing to say of this one.
                try await connected(cellar, to: fleet, 1) { other in
                    try await other.send(Array("1".utf8))
                    try await eventually("the other device is online") { statuses(cellar).last == "online" }
                }
                try await eventually("the other device is offline") {
                    try await connection.send(Array("1".utf8))
                    try await Task.sleep(for: .milliseconds(500))
                    return statuses(cellar).last == "offline"
                }
                #expect(statuses(attic).suffix(2) == ["offline", "online"])
            }
            try await eventually("it is offline again") { statuses(attic).last == "offline" }
            for gateway in fleet.gateways { try await gateway.killed() }
            try await watcher.killed()
            try await broker.stop()
        }
    }
}
