import LibC
import Ouroboros
import OuroborosStore
import OuroborosText

/// `send` with an outbox.
final class OutboxSend: Sendable {
    private let outbox: Outbox
    private let client: ClientOptions
    private let identity: ClientOptions.Identity
    private let message: String?
    private let receipts: Bool
    private struct State {
        /// Lines that no message can hold.
        var refused = 0
        /// Why reading ended before the end.
        var problem: (any Error)?
        var isTold = false
    }

    private let state = Locked(State())

    /// How many messages at once wait in memory for room there, while the outbox cannot be written.
    private static let piece = 100

    /// Without a message the lines of standard input are sent.
    init(
        outbox: Outbox, client: ClientOptions, identity: ClientOptions.Identity, message: String?,
        receipts: Bool
    ) {
        self.outbox = outbox
        self.client = client
        self.identity = identity
        self.message = message
        self.receipts = receipts
    }

    func run() async throws {
        let receipts = receipts
        let delivery = OutboxDelivery(
            outbox: outbox, client: client, identity: identity, logger: client.log.logger("ouroboros.send")
        ) { entries in
            if receipts {
                try? Output.write(entries.flatMap { $0.payload + [UInt8(ascii: "\n")] })
            }
        }
        var problem: (any Error)?
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await delivery.run() }
                group.addTask { [self] in
                    // What was queued goes out even if reading fails.
                    defer { delivery.sender.finish() }
                    do {
                        try await queue()
                    } catch {
                        state.withLock { $0.problem = error }
                    }
                }
                for try await _ in group {}
            }
        } catch {
            problem = error
        }
        try note(delivered: delivery.delivered)
        delivery.noteUnremoved()
        let (refused, reading) = state.withLock { ($0.refused, $0.problem) }
        // What delivery failed with ends reading, too.
        if let problem = reading is CancellationError ? problem : reading ?? problem {
            throw problem
        }
        if refused > 0 {
            throw OuroborosError(
                .tooLarge,
                "\(refused) messages were above the limit of \(Outbox.mostMessageBytes) bytes: split them")
        }
    }

    private func note(delivered: Int) throws {
        // There may be room by now for what was not delivered.
        if outbox.unsaved > 0 { _ = try? outbox.appendOrHold([]) }
        let (waiting, unsaved) = (try outbox.summary().messages, outbox.unsaved)
        let refused = state.withLock(\.refused)
        var parts = ["\(delivered) delivered"]
        if waiting > 0 { parts.append("\(waiting) waiting in the outbox for the next call") }
        if unsaved > 0 { parts.append("\(unsaved) lost, as the outbox could not be written") }
        if refused > 0 { parts.append("\(refused) refused") }
        Output.note("ouroboros: \(parts.joined(separator: ", "))")
    }

    private func queue() async throws {
        if let message {
            return try await append([Array(message.utf8)])
        }
        var reader = LineReader()
        while let lines = try await reader.nextLines() {
            let fitting = lines.filter { $0.count <= Outbox.mostMessageBytes }
            state.withLock { $0.refused += lines.count - fitting.count }
            try await append(fitting.map(\.bytes))
        }
    }

    private func append(_ payloads: [[UInt8]]) async throws {
        do {
            noteDropped(try outbox.append(payloads))
        } catch let error as OuroborosError where error.code == .busy {
            noteHeld(error)
            for start in stride(from: 0, to: payloads.count, by: Self.piece) {
                let piece = Array(payloads[start..<min(start + Self.piece, payloads.count)])
                // What is in memory goes out first: nothing is dropped, and nothing more is read meanwhile.
                while !outbox.mayHold(piece) {
                    try await Task.sleep(for: .milliseconds(20))
                }
                noteDropped(try outbox.appendOrHold(piece).dropped)
            }
        }
    }

    private func noteDropped(_ count: Int) {
        guard count > 0 else { return }
        Output.note("ouroboros: the outbox is full: the \(count) oldest messages were dropped")
    }

    private func noteHeld(_ error: OuroborosError) {
        let isTold = state.withLock { state in
            defer { state.isTold = true }
            return state.isTold
        }
        guard !isTold else { return }
        Output.note(
            "ouroboros: the outbox cannot be written, so messages go out from memory, and are lost if this ends before: "
                + error.message)
    }
}
