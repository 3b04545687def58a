import Foundation
import LibC
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// Commands whose standard streams are closed, silent, left open, or read by nobody.
@Suite(.timeLimit(.minutes(6))) struct CommandStreamTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() async throws {
        scratch = try Scratch()
        try await Tool.provision(device, in: scratch)
    }

    private func send(to address: String, _ more: String...) -> [String] {
        ["send", "--to", address, "--device", device, "--root-key-file", "root.key"] + more
    }

    /// Runs `script` in a shell, in which "$0" "$@" is the command.
    private func shell(_ script: String, _ arguments: [String]) async throws -> Tool.Outcome {
        try await Tool.run("/bin/sh", ["-c", script, Tool.path] + arguments, in: scratch)
    }

    @Test func aGatewayIsGivenUpThoughInputStaysOpen() async throws {
        let (lines, input) = AsyncStream.makeStream(of: String.self)
        defer { input.finish() }
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sender = Victim(send(to: gateway.address, "--timeout", "1s"), in: scratch, input: lines)
            await sender.start()
            input.yield("a")
            #expect(try await gateway.texts(1) == ["a"])
            gateway.terminate(.kill)
            try await gateway.errors.waitForEnd()
            input.yield("b")
            #expect(try await sender.ended() == .exited(1))
            #expect(
                sender.errors.all.contains { $0.contains("has stopped answering") }, "\(sender.errors.all)")
        }
    }

    @Test func silenceBetweenLinesIsNobodysFault() async throws {
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sent = try await shell(
                "(echo a; sleep 2; echo b) | \"$0\" \"$@\"", send(to: gateway.address, "--timeout", "1s"))
            #expect(sent.succeeded, "\(sent.errors)")
            #expect(sent.errors.contains("2 of 2 delivered"))
        }
    }

    @Test func linesMayEndAsWindowsEndsThem() async throws {
        // As much as an outbox takes.
        let long = String(repeating: "x", count: 1192)
        let input = "a\r\n\r\nb\rc\r\n\(long)\r\nlast\r\n"
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            for more in [[], ["--outbox", "box"]] {
                let sent = try await Tool.run(send(to: gateway.address) + more, in: scratch, input: input)
                #expect(sent.succeeded, "\(sent.errors)")
            }
            let texts = ["a", "", "b\rc", long, "last"]
            #expect(try await gateway.texts(10) == texts + texts)
        }
    }

    @Test func closedStreamsAreToldAndNotTakenForFiles() async throws {
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            for more in [[], ["--outbox", "box"]] {
                let lines = try await shell("exec \"$0\" \"$@\" <&-", send(to: gateway.address) + more)
                #expect(lines.status == .exited(1))
                #expect(lines.errors.contains("cannot read standard input"), "\(lines.errors)")
            }
            let message = try await shell(
                "exec \"$0\" \"$@\" <&- >&- 2>&-", send(to: gateway.address, "--message", "hi"))
            #expect(message.succeeded)
            #expect(try await gateway.texts(1) == ["hi"])
        }
        let arguments = ["gateway", "--store", "gw.sqlite", "--bind", "127.0.0.1:0"]
        let gateway = try await shell("exec \"$0\" \"$@\" >&-", arguments)
        #expect(gateway.status == .exited(1))
        #expect(gateway.errors.contains("standard output is closed"), "\(gateway.errors)")
        let list = try await shell("exec \"$0\" \"$@\" >&-", ["device", "list", "--store", "gw.sqlite"])
        #expect(list.status == .exited(1))
        #expect(list.errors.contains("cannot write to standard output"), "\(list.errors)")
    }

    @Test func aReaderThatHasHadEnough() async throws {
        let unread = "{ sleep 1; \"$0\" \"$@\"; echo \"status $?\" >&2; } | true; sleep 2"
        let list = try await shell(unread, ["device", "list", "--store", "gw.sqlite"])
        #expect(list.errors == "status \(128 + SIGPIPE)\n")
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let script =
                "{ sleep 1; printf 'a\\nb\\nc\\n' | \"$0\" \"$@\"; echo \"status $?\" >&2; } | true; sleep 3"
            let sent = try await shell(script, send(to: gateway.address, "--receipts"))
            #expect(sent.errors == "ouroboros: 3 of 3 delivered\nstatus 0\n")
        }
    }

    @Test func receiptsThatCannotBeWrittenAreNoMessagesThatFailed() async throws {
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sent = try await shell(
                "printf 'a\\nb\\n' | \"$0\" \"$@\" >/dev/full", send(to: gateway.address, "--receipts"))
            #expect(sent.status == .exited(1))
            #expect(sent.errors.contains("2 of 2 delivered"), "\(sent.errors)")
            #expect(sent.errors.contains("cannot write to standard output"), "\(sent.errors)")
        }
    }

    /// As the first process of a container hears of it.
    @Test(.enabled(if: geteuid() == 0), arguments: [Signal.terminate, .interrupt])
    func theFirstProcessOfANamespaceEndsAtASignal(signal: Signal) async throws {
        let (lines, input) = AsyncStream.makeStream(of: String.self)
        defer { input.finish() }
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let outer = Victim(
                ["--pid", "--fork", "--kill-child", Tool.path] + send(to: gateway.address),
                executable: "/usr/bin/unshare", in: scratch, input: lines)
            await outer.start()
            input.yield("a")
            #expect(try await gateway.texts(1) == ["a"])
            let children = try String(
                contentsOfFile: outer.entry("task/\(outer.number)/children"), encoding: .utf8)
            let inner = try #require(pid_t(children.trimmingCharacters(in: .whitespaces)))
            kill(inner, signal.rawValue)
            #expect(try await outer.ended() == .exited(128 + signal.rawValue))
        }
    }

    @Test func aMachineWithOneThreadToWaitOn() async throws {
        let (lines, input) = AsyncStream.makeStream(of: String.self)
        defer { input.finish() }
        let port = OwnAddress.nextPort()
        let sender = Victim(
            send(to: "localhost:\(port)", "--outbox", "box", "--timeout", "1s", "--receipts"), in: scratch,
            input: lines, environment: ["NIO_SINGLETON_BLOCKING_POOL_THREAD_COUNT": "1"])
        await sender.start()
        input.yield("a")
        // Its first try fails, while it reads on.
        try await sender.errors.first(containing: "messages wait in the outbox")
        let gateway = Victim(
            ["gateway", "--store", "gw.sqlite", "--bind", "127.0.0.1:\(port)"], in: scratch)
        await gateway.start()
        try await sender.output.first(containing: "a")
        gateway.send(SIGTERM)
        _ = try await gateway.ended()
    }
}
