import Ouroboros
import OuroborosStore
import OuroborosText
import Synchronization

/// `send` with an outbox.
final class OutboxSend: Sendable {
    private let outbox: Outbox
    private let client: ClientOptions
    private let identity: ClientOptions.Identity
    private let message: String?
    private let receipts: Bool
    /// Lines that no message can hold.
    private let refused = Mutex(0)

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
                    try await queue()
                }
                for try await _ in group {}
            }
        } catch {
            problem = error
        }
        let refused = refused.withLock(\.self)
        let waiting = try outbox.summary().messages
        var parts = ["\(delivery.delivered) delivered"]
        if waiting > 0 { parts.append("\(waiting) waiting in the outbox for the next call") }
        if refused > 0 { parts.append("\(refused) refused") }
        Output.note("ouroboros: \(parts.joined(separator: ", "))")
        delivery.noteUnremoved()
        if let problem {
            throw problem
        }
        if refused > 0 {
            throw OuroborosError(
                .tooLarge,
                "\(refused) messages were above the limit of \(Outbox.mostMessageBytes) bytes: split them")
        }
    }

    private func queue() async throws {
        if let message {
            return try append([Array(message.utf8)])
        }
        var reader = LineReader()
        while let lines = try await reader.nextLines() {
            let fitting = lines.filter { $0.count <= Outbox.mostMessageBytes }
            refused.withLock { $0 += lines.count - fitting.count }
            try append(fitting.map(\.bytes))
        }
    }

    private func append(_ payloads: [[UInt8]]) throws {
        let dropped = try outbox.append(payloads)
        if dropped > 0 {
            Output.note("ouroboros: the outbox is full: the \(dropped) oldest messages were dropped")
        }
    }
}
