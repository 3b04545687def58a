import Foundation
import LibC
import Subprocess
import TestSupport
import Testing

/// `sensor --command`, in each of its forms.
@Suite(.timeLimit(.minutes(6))) struct SensorCommandTests {
    enum Form: String, CaseIterable {
        case plain, outbox, lean

        var arguments: [String] {
            switch self {
            case .plain: []
            case .outbox: ["--outbox", "box"]
            case .lean: ["--lean"]
            }
        }
    }

    let scratch: Scratch
    private let device = "0102030405060708"

    init() async throws {
        scratch = try Scratch()
        try await Tool.provision(device, in: scratch)
    }

    private func sensor(_ form: Form, to address: String, _ more: String...) -> [String] {
        ["sensor", "--to", address, "--device", device, "--root-key-file", "root.key"] + form.arguments + more
    }

    /// A command that counts its calls in a file, and prints the number.
    private func counting(then more: String = "") -> String {
        "n=$(cat n 2>/dev/null || echo 0); n=$((n+1)); echo $n >n; \(more) echo reading$n"
    }

    @Test(arguments: Form.allCases) func theFirstReadingIsSent(_ form: Form) async throws {
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sensor = try await Tool.run(
                sensor(
                    form, to: gateway.address, "--interval", "10ms", "--count", "3", "--command", counting()),
                in: scratch)
            #expect(sensor.succeeded, "\(sensor.errors)")
            #expect(try await gateway.texts(3) == ["reading1", "reading2", "reading3"])
            #expect(try scratch.read("n") == "3\n")
        }
    }

    @Test(arguments: Form.allCases) func aCommandThatHangsIsEndedAndTold(_ form: Form) async throws {
        // It ignores SIGTERM, and what it started holds its output.
        let hang = "if [ $n = 2 ]; then trap '' TERM; sleep 1000 & echo $! >started; wait; fi;"
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sensor = Victim(
                sensor(
                    form, to: gateway.address, "--interval", "10ms", "--command-timeout", "1s", "--command",
                    counting(then: hang)), in: scratch)
            await sensor.start()
            #expect(try await gateway.texts(3).prefix(3) == ["reading1", "reading3", "reading4"])
            try await sensor.errors.first(containing: "took longer than 1.0 seconds (--command-timeout)")
            try await expectGone()
            sensor.send(SIGTERM)
            #expect(try await sensor.ended() == .exited(0))
        }
    }

    @Test(arguments: Form.allCases) func aSensorThatStopsEndsItsCommand(_ form: Form) async throws {
        let hang = "if [ $n = 2 ]; then sleep 1000 & echo $! >started; wait; fi;"
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sensor = Victim(
                sensor(form, to: gateway.address, "--interval", "10ms", "--command", counting(then: hang)),
                in: scratch)
            await sensor.start()
            try await eventually("the command hangs") { scratch.exists("started") }
            sensor.send(SIGTERM)
            #expect(try await sensor.ended() == .exited(0), "\(sensor.errors.all)")
            try await expectGone()
        }
    }

    @Test func aCommandThatFailsIsToldOnce() async throws {
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let failing = "[ $n -gt 1 ] && [ $n -lt 5 ] && exit 7;"
            let sensor = Victim(
                sensor(
                    .plain, to: gateway.address, "--interval", "10ms", "--command", counting(then: failing)),
                in: scratch)
            await sensor.start()
            #expect(try await gateway.texts(2).prefix(2) == ["reading1", "reading5"])
            sensor.send(SIGTERM)
            _ = try await sensor.ended()
            #expect(
                sensor.errors.all.filter { $0.contains("the command failed: it ended with status 7") }.count
                    == 1)
        }
    }

    /// What the background leaves open is not waited for, and signals come as a command expects them.
    @Test func whatACommandLeavesBehind() async throws {
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let command = "sleep 30 & yes | head -n 1"
            let sensor = try await Tool.run(
                sensor(.plain, to: gateway.address, "--count", "1", "--command", command), in: scratch,
                within: .seconds(25))
            #expect(sensor.succeeded, "\(sensor.errors)")
            #expect(try await gateway.texts(1) == ["y"])
        }
    }

    private func expectGone() async throws {
        let started = try #require(pid_t(scratch.read("started").trimmingCharacters(in: .newlines)))
        try await eventually("what the command started ends") {
            // A zombie that nobody waits for has ended, too.
            let state = try? String(contentsOfFile: "/proc/\(started)/stat", encoding: .utf8)
            return state.map { $0.contains(") Z ") } ?? true
        }
    }
}
