import Foundation
import LibC
import NIOCore
import Ouroboros
import OuroborosNIO
import Subprocess
import TestSupport
import Testing

/// Gateways over one database that also have a fleet's key, and devices that come over TCP.
@Suite(.serialized, .timeLimit(.minutes(8))) struct FleetKeyRegistryTests {
    private static let derived = "00000000000000d1"

    @Test func devicesOfTheFleetsKeyAndOfTheRegistryComeToEveryGateway() async throws {
        try await PostgresCluster.with { cluster in
            let scratch = try Scratch()
            let row = FaultDevice(number: 0, hasOutbox: true)
            try await succeeds(["keygen", "--out", "fleet.key"], in: scratch)
            try await succeeds(
                [
                    "keygen", "--fleet-key-file", "fleet.key", "--device", Self.derived, "--out",
                    "derived.key",
                ], in: scratch)
            try await succeeds(["keygen", "--out", "own.key"], in: scratch)
            let fleet = try await FaultFleet(
                cluster, devices: [row],
                sinks: ["--fleet-key-file", "fleet.key", "--bind", "tcp://127.0.0.1:0"],
                gateways: 2, in: scratch)
            var places: [String] = []
            for gateway in fleet.gateways {
                places.append("tcp://127.0.0.1:\(try await gateway.port(of: "(TCP)"))")
            }
            func send(_ text: String, to place: String, key: String = "derived.key", _ more: String...)
                async throws -> Tool.Outcome
            {
                try await Tool.run(
                    [
                        "send", "--to", place, "--device", Self.derived, "--root-key-file", key, "--message",
                        text,
                    ] + more, in: scratch)
            }

            // A device without a row, and one whose key evolves, at one gateway and the other.
            for (number, place) in (places + fleet.addresses).enumerated() {
                let sent = try await send(
                    "derived \(number)", to: place, "--timeout", "30s", "--outbox", "box")
                #expect(sent.succeeded, "\(sent.errors)")
                try await succeeds(
                    [
                        "send", "--to", place, "--device", row.id, "--root-key-file", "root.key",
                        "--evolving",
                        "--state", "row", "--timeout", "30s", "--message", "row \(number)",
                    ], in: scratch)
            }

            // An entry of its own goes first: what the fleet's key began ends, and that key is refused.
            let tcp = try await EndpointName(parsing: places[0]).resolve()
            let key = try RootKey(hex: Array(scratch.read("derived.key").utf8))
            let connection = try await OuroborosClient.connect(
                to: tcp, credential: .fixed(device: try DeviceID(hex: Self.derived), rootKey: key))
            try await connection.send(Array("connected".utf8))
            let states = connection.stateChanges
            try await succeeds(
                [
                    "device", "add", "--registry", cluster.url, "--kek-file", "kek", "--device", Self.derived,
                    "--root-key-file", "own.key",
                ], in: scratch)
            for await state in states where state == .interrupted { break }
            await connection.closeAtOnce()
            for place in places {
                #expect(try await !send("refused", to: place, "--timeout", "1s").succeeded)
                let own = try await send("own", to: place, key: "own.key", "--timeout", "30s")
                #expect(own.succeeded, "\(own.errors)")
            }

            // Without it the fleet's key is the device's again.
            try await succeeds(
                ["device", "remove", "--registry", cluster.url, "--device", Self.derived], in: scratch)
            let again = try await send("again", to: places[1], "--timeout", "30s")
            #expect(again.succeeded, "\(again.errors)")

            for gateway in fleet.gateways {
                gateway.send(SIGTERM)
                #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
                #expect(!gateway.errors.all.contains { $0.contains(" error ") }, "\(gateway.errors.all)")
            }
            let spooled = try await Tool.run(["spool", "list", "--registry", cluster.url], in: scratch)
            let texts = objects(spooled.lines).compactMap { $0["text"] as? String }
            let expected =
                (0..<4).flatMap { ["derived \($0)", "row \($0)"] } + ["connected", "own", "own", "again"]
            #expect(texts.sorted() == expected.sorted())
            // What was counted: a device without a row has no counts, and none of this is an error.
            let show = ["device", "show", "--registry", cluster.url, "--device"]
            let shown = try await Tool.run(show + [row.id], in: scratch)
            #expect(shown.lines.contains("messages\t4"), "\(shown.output)")
            #expect(try await !Tool.run(show + [Self.derived], in: scratch).succeeded)
        }
    }

    private func succeeds(_ command: [String], in scratch: Scratch) async throws {
        let outcome = try await Tool.run(command, in: scratch)
        try #require(outcome.succeeded, "\(outcome.errors)")
    }
}
