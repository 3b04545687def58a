import Foundation
import LibC
import TestSupport
import Testing

/// Gateways over one database, with the same sinks.
struct FaultFleet: Sendable {
    let scratch: Scratch
    let cluster: PostgresCluster
    let gateways: [Victim]
    let addresses: [String]

    init(
        _ cluster: PostgresCluster, devices: [FaultDevice], sinks: [String], gateways count: Int,
        in scratch: Scratch
    ) async throws {
        // A sender whose gateway does not answer may end before it has read what is written to it.
        signal(SIGPIPE, SIG_IGN)
        self.cluster = cluster
        self.scratch = scratch
        for name in ["kek", "root.key", "secret"] {
            try #require(try await Tool.run(["keygen", "--out", name], in: scratch).succeeded)
        }
        for device in devices {
            let added = try await Tool.run(
                [
                    "device", "add", "--registry", cluster.url, "--kek-file", "kek", "--device", device.id,
                    "--root-key-file", "root.key", "--name", device.name,
                ] + (device.hasOutbox ? ["--evolving"] : []), in: scratch)
            try #require(added.succeeded, "\(added.errors)")
        }
        var (gateways, addresses): ([Victim], [String]) = ([], [])
        for number in 1...count {
            let gateway = try await Self.start(number, cluster, sinks, in: scratch)
            gateways.append(gateway)
            addresses.append("127.0.0.1:\(try await gateway.port(of: "listening on"))")
        }
        (self.gateways, self.addresses) = (gateways, addresses)
    }

    /// The gateway of that number, once it listens.
    static func start(
        _ number: Int, _ cluster: PostgresCluster, _ sinks: [String], in scratch: Scratch
    ) async throws -> Victim {
        let gateway = Victim(
            [
                "gateway", "--registry", cluster.url, "--kek-file", "kek", "--fleet-secret-file",
                "secret", "--gateway-number", "\(number)", "--bind", "127.0.0.1:0",
            ] + sinks, in: scratch)
        await gateway.start()
        _ = try await gateway.port(of: "listening on")
        return gateway
    }

    /// How often a gateway has taken the sink.
    func claims(of gateway: Int) -> Int {
        gateways[gateway].errors.all.filter { $0.contains("this gateway runs the sink") }.count
    }

    var allClaims: Int { gateways.indices.map(claims).reduce(0, +) }
}

/// A device that sends numbered texts in small calls of `send`, and goes to the next gateway when one does not answer.
final class FaultDevice: Sendable {
    private struct State {
        var next = 0
        var gateway: Int
        var acknowledged: Set<String> = []
    }

    let id: String
    let name: String
    let hasOutbox: Bool
    private let patience: String
    private let state: Locked<State>

    init(number: Int, name: String = "", hasOutbox: Bool, patience: String = "2s") {
        self.name = name
        self.patience = patience
        id = "00000000000000\(String(0x10 + number, radix: 16))"
        self.hasOutbox = hasOutbox
        state = Locked(State(gateway: number % 2))
    }

    /// Texts whose delivery the tool has reported.
    var acknowledged: Set<String> { state.withLock(\.acknowledged) }

    func go(to gateway: Int) {
        state.withLock { $0.gateway = gateway }
    }

    private func arguments(_ command: [String], _ fleet: FaultFleet) -> [String] {
        let gateway = state.withLock(\.gateway)
        return command + [
            "--to", fleet.addresses[gateway], "--device", id, "--root-key-file", "root.key", "--timeout",
            patience,
        ] + (hasOutbox ? ["--evolving", "--state", "\(id).sqlite", "--outbox", "\(id).sqlite"] : [])
    }

    private func texts(_ count: Int) -> [String] {
        let first = state.withLock { state in
            defer { state.next += count }
            return state.next
        }
        return (first..<first + count).map { "\(id)-\($0)" }
    }

    /// A call of `send` that goes on over one session with a gateway, which is there on return.
    struct Talk: Sendable {
        fileprivate let device: FaultDevice
        fileprivate let sender: Victim
        fileprivate let input: AsyncStream<String>.Continuation

        func say(_ count: Int) {
            for text in device.texts(count) { input.yield(text) }
        }

        func end() async throws {
            input.finish()
            try await sender.ended()
            device.state.withLock { $0.acknowledged.formUnion(sender.output.all) }
        }
    }

    func talk(to gateway: Int, of fleet: FaultFleet) async throws -> Talk {
        go(to: gateway)
        let (lines, input) = AsyncStream.makeStream(of: String.self)
        let sender = Victim(arguments(["send", "--receipts"], fleet), in: fleet.scratch, input: lines)
        await sender.start()
        let talk = Talk(device: self, sender: sender, input: input)
        talk.say(1)
        _ = try await sender.output.atLeast(1)
        return talk
    }

    /// Sends some; gives those that were acknowledged.
    @discardableResult
    func send(_ count: Int, to fleet: FaultFleet) async throws -> [String] {
        let texts = texts(count)
        let sent = try await Tool.run(
            arguments(["send", "--receipts"], fleet), in: fleet.scratch,
            input: texts.joined(separator: "\n") + "\n")
        state.withLock { state in
            state.acknowledged.formUnion(sent.lines)
            if !sent.succeeded { state.gateway = (state.gateway + 1) % fleet.gateways.count }
        }
        return sent.lines
    }

    /// Sends until the task is cancelled.
    func run(_ fleet: FaultFleet) async throws {
        while !Task.isCancelled {
            try await send(10, to: fleet)
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    /// What waits in the outbox goes out.
    func flush(_ fleet: FaultFleet) async throws {
        guard hasOutbox else { return }
        let waiting = try await Tool.run(
            ["outbox", "show", "--messages", "--outbox", "\(id).sqlite"], in: fleet.scratch)
        try #require(waiting.succeeded, "\(waiting.errors)")
        let texts = objects(waiting.lines).compactMap { $0["text"] as? String }
        try await eventually("the outbox is empty", within: .seconds(180)) {
            let flushed = try await Tool.run(
                arguments(["outbox", "flush"], fleet), in: fleet.scratch)
            if !flushed.succeeded { state.withLock { $0.gateway = ($0.gateway + 1) % fleet.gateways.count } }
            return flushed.succeeded
        }
        state.withLock { $0.acknowledged.formUnion(texts) }
    }
}

/// A message as `Broker.watcher` prints it: topic, retained or not, user properties, payload.
struct Arrival: Sendable {
    let device: String
    let place: (box: String, seq: String)?
    let text: String

    init?(_ line: String) {
        let parts = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4 else { return nil }
        let properties = Dictionary(
            parts[2].split(separator: " ").compactMap { property in
                let pair = property.split(separator: ":", maxSplits: 1).map(String.init)
                return pair.count == 2 ? (pair[0], pair[1]) : nil
            }, uniquingKeysWith: { first, _ in first })
        let levels = parts[0].split(separator: "/")
        guard levels.count == 3 else { return nil }
        device = String(levels[1])
        place = properties["box"].flatMap { box in properties["seq"].map { (box, $0) } }
        text = parts[3]
    }
}
