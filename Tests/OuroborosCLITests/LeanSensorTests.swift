import Foundation
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// `sensor --lean`: fixed credentials in a program of its own, with a state in this one.
@Suite(.timeLimit(.minutes(6))) struct LeanSensorTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() throws {
        scratch = try Scratch()
    }

    private func sensor(_ gateway: RunningGateway, _ more: String...) -> [String] {
        [
            "sensor", "--lean", "--to", gateway.address, "--device", device, "--root-key-file", "root.key",
        ] + more
    }

    @Test func readingsOfItsOwnAndOfACommand() async throws {
        try await Tool.provision(device, in: scratch)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let own = try await Tool.run(
                sensor(gateway, "--interval", "10ms", "--count", "3"), in: scratch)
            #expect(own.errors == "ouroboros: 3 of 3 delivered\n")
            #expect(own.succeeded)
            let texts = try await gateway.texts(3)
            #expect(texts.count == 3 && texts.allSatisfy { $0.contains("\"source\":") })
            let command = try await Tool.run(
                sensor(gateway, "--count", "1", "--command", "echo 'a  b'"), in: scratch)
            #expect(command.succeeded, "\(command.errors)")
            #expect(try await gateway.texts(4).dropFirst(3) == ["a  b"])
        }
    }

    @Test func itIsAnotherProgramAndEndsAtASignal() async throws {
        try await Tool.provision(device, in: scratch)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sensor = Victim(sensor(gateway, "--interval", "20ms"), in: scratch)
            await sensor.start()
            _ = try await gateway.messages(3)
            let program = try FileManager.default.destinationOfSymbolicLink(atPath: sensor.entry("exe"))
            #expect(program == Tool.built("ouroboros-lean"))
            sensor.send(SIGTERM)
            #expect(try await sensor.ended() == .exited(0))
            #expect(sensor.errors.all.contains { $0.contains(" delivered") }, "\(sensor.errors.all)")
            try await gateway.errors.first(containing: "disconnected")
        }
    }

    @Test func aStateStaysWithTheCommand() async throws {
        try await Tool.provision(device, ["--evolving"], in: scratch)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            for _ in 1...2 {
                let sent = try await Tool.run(
                    sensor(gateway, "--evolving", "--state", "kitchen.state", "--count", "1"), in: scratch)
                #expect(sent.succeeded, "\(sent.errors)")
            }
            #expect(try await gateway.texts(2).count == 2)
        }
    }

    @Test func whatItCannotDoIsSaid() async throws {
        try await Tool.provision(device, in: scratch)
        let to = ["--device", device, "--root-key-file", "root.key", "--count", "1"]
        let stream = try await Tool.run(["sensor", "--lean", "--to", "tcp://127.0.0.1:1"] + to, in: scratch)
        #expect(stream.errors.contains("--lean speaks UDP alone"))
        #expect(stream.status == .exited(1))
        let failing = try await Tool.run(
            ["sensor", "--lean", "--to", "127.0.0.1:1", "--command", "exit 3"] + to, in: scratch)
        #expect(failing.errors.contains("the command failed: it ended with status 3"))
        let alone = try await Tool.run(Tool.built("ouroboros-lean"), [], in: scratch)
        #expect(alone.status == .exited(64))
        #expect(alone.errors.contains("ouroboros sensor --lean"))
    }
}
