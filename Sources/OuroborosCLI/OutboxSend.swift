import Ouroboros
import OuroborosStore

/// `send` with an outbox.
struct OutboxSend {
    let outbox: Outbox
    let client: ClientOptions
    let identity: ClientOptions.Identity
    /// Nil: the lines of standard input.
    let message: String?
    let receipts: Bool

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
        var refused = 0
        do {
            refused = try await withThrowingTaskGroup(of: Int.self) { group in
                group.addTask {
                    try await delivery.run()
                    return 0
                }
                group.addTask {
                    // What was queued goes out even if reading fails.
                    defer { delivery.sender.finish() }
                    return try await queue()
                }
                return try await group.reduce(0, +)
            }
        } catch {
            problem = error
        }
        let waiting = try outbox.summary().messages
        var parts = ["\(delivery.delivered) delivered"]
        if waiting > 0 { parts.append("\(waiting) waiting in the outbox for the next call") }
        if refused > 0 { parts.append("\(refused) refused") }
        Output.note("ouroboros: \(parts.joined(separator: ", "))")
        if let problem {
            throw problem
        }
        if refused > 0 {
            throw OuroborosError(
                .tooLarge,
                "\(refused) messages were above the limit of \(Outbox.mostMessageBytes) bytes: split them")
        }
    }

    /// Gives how many lines no message can hold.
    private func queue() async throws -> Int {
        if let message {
            try append([Array(message.utf8)])
            return 0
        }
        var reader = LineReader()
        var refused = 0
        while let lines = try await reader.nextLines() {
            let fitting = lines.filter { $0.count <= Outbox.mostMessageBytes }
            refused += lines.count - fitting.count
            try append(fitting.map(\.bytes))
        }
        return refused
    }

    private func append(_ payloads: [[UInt8]]) throws {
        let dropped = try outbox.append(payloads)
        if dropped > 0 {
            Output.note("ouroboros: the outbox is full: the \(dropped) oldest messages were dropped")
        }
    }
}
