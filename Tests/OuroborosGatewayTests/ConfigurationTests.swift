import Ouroboros
import OuroborosNIO
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosGateway

/// What a configuration may not say; what wins over what is tested with the command.
@Suite struct ConfigurationTests {
    private func refusal(_ flags: [GatewayKey: String]) async throws -> String {
        let error = await #expect(throws: OuroborosError.self) {
            _ = try GatewaySettings(try await GatewaySources(flags: flags))
        }
        let problem = try #require(error)
        #expect(problem.code == .invalidConfiguration)
        return problem.message
    }

    @Test func nobodysDevices() async throws {
        #expect(try await refusal([:]).contains("whose devices?"))
    }

    @Test(
        arguments: [
            (.bind, "nowhere", "HOST:PORT"), (.reach, "3", "from 4 to 64"), (.places, "many", "whole number"),
            (.rekeyAge, "soon", "24h"),
            (.rekeyAge, "999ms", "1000ms or more"), (.idleTimeout, "99ms", "100ms or more"),
            (.echo, "perhaps", "true or false"), (.logLevel, "loud", "warning"),
            (.gatewayNumber, "256", "from 1 to 255"), (.peer, "8", "NUMBER=HOST:PORT"),
            (.fleetSecretFile, "a,b,c", "one path, or two"), (.fleetSecretFile, "a,", "one path, or two"),
            (.sinkMQTT, "ftp://x", "mqtt"), (.mqttUp, "up", "{device}"),
        ] as [(GatewayKey, String, String)])
    func aValueThatIsNoneIsToldWithItsKey(key: GatewayKey, value: String, hint: String) async throws {
        let flags: [GatewayKey: String] = [
            .store: "gw.sqlite", .spool: "spool.sqlite", .sinkMQTT: "mqtt://a:1",
        ]
        let message = try await refusal(flags.merging([key: value]) { _, new in new })
        #expect(message.hasPrefix("“\(key.rawValue)” (flag --\(key.rawValue)) is “\(value)”"), "\(message)")
        #expect(message.contains(hint), "\(message)")
    }

    /// The first is in use, the second is taken, too, while it is replaced.
    @Test func aFleetHasOneSecretOrTwo() async throws {
        let scratch = try Scratch()
        let keys = ["old", "new"].map { _ in SecretKey.random() }
        for (name, key) in zip(["old", "new"], keys) {
            let hex = key.withUnsafeBytes { Hex.string(of: $0) }
            try PrivateFile.write(Array((hex + "\n").utf8), toNew: scratch.file(name))
        }
        for names in [["old"], ["old", "new"], ["new", "old"]] {
            let value = names.map(scratch.file).joined(separator: ",")
            let settings = try GatewaySettings(
                try await GatewaySources(
                    flags: [.store: "gw.sqlite", .gatewayNumber: "3", .fleetSecretFile: value]))
            let fleet = try await settings.fleet?.configuration()
            let wanted = names.map { $0 == "old" ? keys[0] : keys[1] }
            #expect([fleet?.secret, fleet?.secondSecret].compactMap(\.self) == wanted)
        }
        let twice = try GatewaySettings(
            try await GatewaySources(
                flags: [
                    .store: "gw.sqlite", .gatewayNumber: "3",
                    .fleetSecretFile: [scratch.file("old"), scratch.file("old")].joined(separator: ","),
                ]))
        let error = await #expect(throws: OuroborosError.self) { try await twice.fleet?.configuration() }
        #expect(error?.message.contains("the same secret") == true)
    }

    @Test func whatMeansNothingAlone() async throws {
        let message = try await refusal([.store: "gw.sqlite", .fileKeep: "3"])
        #expect(message.contains("means nothing without “sink-file”"), "\(message)")
        let spool = try await refusal([.store: "gw.sqlite", .sinkFile: "out.jsonl"])
        #expect(spool.contains("sinks read the spool"), "\(spool)")
    }

    @Test func aDescriptionSaysWhereAValueComesFrom() async throws {
        let sources = try await GatewaySources(
            flags: [.store: "gw.sqlite", .reach: "8"], environment: ["OUROBOROS_GATEWAY_PLACES": "11"])
        let lines = try GatewaySettings(sources).description.split(separator: "\n")
        #expect(lines.contains("reach: 8  # flag --reach"))
        #expect(lines.contains("places: 11  # environment OUROBOROS_GATEWAY_PLACES"))
        #expect(lines.contains("queue: 8192  # default"))
    }
}
