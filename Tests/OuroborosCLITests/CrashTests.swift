import Foundation
import LibC
import OuroborosTesting
import Subprocess
import TestSupport
import Testing

/// kill -9 of clients and gateways at random moments, with evolving credentials.
///
/// `OURO_KILLS` is how many: `make check` and `make soak` set it, and run this alone, as it takes the machine.
/// `OURO_SEED` replays a run's choices: who dies, and when.
@Suite(.serialized, .enabled(if: setting("OURO_KILLS") != nil)) struct CrashTests {
    private static let pairs = 10

    @Test(.timeLimit(.minutes(60))) func nothingIsLostAndThePairComesBack() async throws {
        // A client that was killed does not read what is written to it.
        signal(SIGPIPE, SIG_IGN)
        let kills = Int(setting("OURO_KILLS") ?? 50)
        let seed = setting("OURO_SEED") ?? UInt64.random(in: 1...999_999)
        let tallies = try await withThrowingTaskGroup(of: CrashPair.Tally.self) { group in
            for number in 0..<Self.pairs {
                let share = kills / Self.pairs + (number < kills % Self.pairs ? 1 : 0)
                let pair = try CrashPair(
                    number: number, seed: seed &* 31 &+ UInt64(number), hasOutbox: number.isMultiple(of: 2))
                group.addTask { try await pair.run(kills: share) }
            }
            var tallies: [CrashPair.Tally] = []
            for try await tally in group { tallies.append(tally) }
            return tallies
        }
        var sum = CrashPair.Tally()
        for tally in tallies {
            sum.add(tally)
        }
        for problem in sum.problems {
            Issue.record("seed \(seed): \(problem)")
        }
        #expect(sum.clients + sum.gateways == kills)
        #expect(sum.acknowledged > 0)
        print(
            "kills: \(sum.clients) clients and \(sum.gateways) gateways in \(Self.pairs) pairs, "
                + "\(sum.acknowledged) messages acknowledged, all of them handed on, \(sum.duplicates) repeated "
                + "(outbox and spool: \(sum.outboxDuplicates)), seed \(seed)")
    }
}

/// A device and its gateway, each killed again and again.
final class CrashPair {
    struct Tally: Sendable {
        var clients = 0
        var gateways = 0
        var acknowledged = 0
        /// Messages that were handed on more than once, in different sessions.
        var duplicates = 0
        var outboxDuplicates = 0
        var problems: [String] = []

        mutating func add(_ other: Tally) {
            clients += other.clients
            gateways += other.gateways
            acknowledged += other.acknowledged
            duplicates += other.duplicates
            outboxDuplicates += other.outboxDuplicates
            problems += other.problems
        }
    }

    private enum Role { case client, gateway }

    private let scratch: Scratch
    private let number: Int
    private let hasOutbox: Bool
    private let address: String
    private var random: SeededGenerator
    private let texts: Texts
    private var tally = Tally()
    private var clients: [Victim] = []
    private var gateways: [Victim] = []
    private let device = "0102030405060708"

    /// How long a pair may take to come back: more than the protocol's longest time-outs on a path that works.
    private static let patience = Duration.seconds(60)

    init(number: Int, seed: UInt64, hasOutbox: Bool) throws {
        scratch = try Scratch()
        self.number = number
        self.hasOutbox = hasOutbox
        random = SeededGenerator(seed: seed)
        texts = Texts(prefix: "p\(number)-", seed: seed ^ 0xFEED)
        address = OwnAddress.next()
    }

    func run(kills: Int) async throws -> Tally {
        try await Tool.provision(device, ["--evolving"], in: scratch)
        try await startGateway()
        await startClient()
        _ = await comesBack(from: 0)
        while tally.clients + tally.gateways < kills, tally.problems.isEmpty {
            try await killOne(mayKillBoth: kills - tally.clients - tally.gateways > 1)
        }
        try await finish()
        await judge()
        return tally
    }

    // MARK: Lives

    private func startGateway() async throws {
        let gateway = Victim(
            ["gateway", "--store", "gw.sqlite", "--bind", address] + (hasOutbox ? ["--spool", "spool"] : []),
            in: scratch)
        await gateway.start()
        gateways.append(gateway)
    }

    private func startClient() async {
        let client = Victim(
            [
                "send", "--to", address, "--device", device, "--root-key-file", "root.key", "--evolving",
                "--state", "dev", "--receipts",
            ] + (hasOutbox ? ["--outbox", "dev"] : []), in: scratch, input: texts.stream())
        await client.start()
        clients.append(client)
    }

    private func killOne(mayKillBoth: Bool) async throws {
        let both = mayKillBoth && Int.random(in: 0..<5, using: &random) == 0
        let first: Role = Bool.random(using: &random) ? .client : .gateway
        let victims: [Role] = both ? [.client, .gateway] : [first]
        // Now and then while the last one killed is still starting or shaking hands.
        let isPatient = Int.random(in: 0..<3, using: &random) > 0
        try await Task.sleep(for: .milliseconds(Int.random(in: 0..<300, using: &random)))
        for victim in victims {
            switch victim {
            case .client:
                try await clients[clients.count - 1].killed()
                tally.clients += 1
            case .gateway:
                try await gateways[gateways.count - 1].killed()
                tally.gateways += 1
            }
        }
        if victims.contains(.gateway) {
            try await startGateway()
        }
        let before = victims.contains(.client) ? 0 : clients[clients.count - 1].output.count
        if victims.contains(.client) {
            await startClient()
        }
        if isPatient, await !comesBack(from: before) {
            let errors = clients[clients.count - 1].errors.all + gateways[gateways.count - 1].errors.all
            tally.problems.append(
                "pair \(number) does not come back after kill \(tally.clients + tally.gateways) of "
                    + "\(victims): \(errors.suffix(6))")
        }
    }

    /// True once the client has heard of a message that was delivered, after those it had heard of before.
    private func comesBack(from before: Int) async -> Bool {
        let end = ContinuousClock.now + Self.patience
        let client = clients[clients.count - 1]
        while client.output.count <= before {
            guard ContinuousClock.now < end, !client.isEnded else { return false }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return true
    }

    /// The last client ends by itself, the last gateway when it is told to.
    private func finish() async throws {
        texts.finish()
        let status = try await clients[clients.count - 1].ended()
        if hasOutbox, status != .exited(0) {
            tally.problems.append(
                "pair \(number): the last client: \(clients[clients.count - 1].errors.all.suffix(3))")
        }
        gateways[gateways.count - 1].send(SIGTERM)
        let end = try await gateways[gateways.count - 1].ended()
        if end != .exited(0) {
            tally.problems.append(
                "pair \(number): the last gateway: \(gateways[gateways.count - 1].errors.all.suffix(3))")
        }
    }

    // MARK: Judgement

    private func judge() async {
        let receipts = clients.flatMap(\.output.all).filter { $0.hasPrefix("p\(number)-") }
        tally.acknowledged = receipts.count
        let printed = Self.messages(gateways.flatMap(\.output.all))
        var handedOn = printed
        if hasOutbox {
            let list = try? await Tool.run(["spool", "list", "--spool", "spool"], in: scratch)
            handedOn = Self.messages(list?.lines ?? [])
            let show = try? await Tool.run(["outbox", "show", "--outbox", "dev"], in: scratch)
            if show?.lines.contains("messages\t0") != true {
                tally.problems.append(
                    "pair \(number): messages are left in the outbox: \(show?.output ?? "")")
            }
        }
        let lost = Set(receipts).subtracting(handedOn.map(\.text))
        if !lost.isEmpty {
            tally.problems.append(
                "pair \(number): \(lost.count) acknowledged and not handed on: \(lost.sorted().prefix(5))")
        }
        let inSessions = Set(printed.map { "\($0.session) \($0.text)" })
        if inSessions.count != printed.count {
            tally.problems.append("pair \(number): a message was handed on twice within a session")
        }
        let repeated = handedOn.count - Set(handedOn.map(\.text)).count
        tally.duplicates = repeated
        if hasOutbox {
            tally.outboxDuplicates = repeated
            if repeated > 0 { tally.problems.append("pair \(number): \(repeated) twice in the spool") }
        }
    }

    /// Of a gateway that is killed while it writes the last line may be cut; it was not acknowledged.
    private static func messages(_ lines: [String]) -> [(session: Int, text: String)] {
        lines.compactMap { line in
            guard
                let object = (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any],
                let session = object["session"] as? Int, let text = object["text"] as? String
            else { return nil }
            return (session, text)
        }
    }
}

/// The lines that a pair's clients send: each once, a few at a time.
private final class Texts: Sendable {
    private let prefix: String
    private let state: Locked<(next: Int, random: SeededGenerator, isFinished: Bool)>

    init(prefix: String, seed: UInt64) {
        self.prefix = prefix
        state = Locked((0, SeededGenerator(seed: seed), false))
    }

    func finish() {
        state.withLock { $0.isFinished = true }
    }

    func stream() -> AsyncStream<String> {
        AsyncStream { [self] in
            let (number, pause) = state.withLock { state -> (Int?, Int) in
                guard !state.isFinished else { return (nil, 0) }
                state.next += 1
                return (state.next, Int.random(in: 0..<12, using: &state.random))
            }
            // Bursts, and pauses in which all is acknowledged.
            try? await Task.sleep(for: .milliseconds(pause < 8 ? 1 : pause * 3))
            return number.map { "\(prefix)\($0)" }
        }
    }
}
