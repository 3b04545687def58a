import LibC
import NIOCore
import Ouroboros

/// A client's connection. Sessions come and go under it; it ends when it is closed.
public final class OuroborosConnection: Sendable {
    private let engine: ClientEngine

    init(_ engine: ClientEngine) {
        self.engine = engine
    }

    deinit {
        _ = engine.close(atOnce: true)
    }

    var ended: EventLoopFuture<Void> { engine.whenOver }

    // MARK: Sending

    /// Sends a message and returns when it was delivered, or, unreliable, when it went out.
    ///
    /// It throws an `OuroborosError` that tells *failed* (never sent) from *unknown* (it may have arrived) and *stalled* (the
    /// same, and it is probably larger than the path carries).
    /// A task that is cancelled takes a message back that was not sent yet.
    public func send(
        _ payload: some Sequence<UInt8>, delivery: Delivery = .reliable, timeToLive: Duration? = nil
    ) async throws {
        try await send(
            OutgoingMessage(Array(payload), delivery: delivery, timeToLive: timeToLive?.engineTime))
    }

    private func send(_ message: OutgoingMessage) async throws {
        let ticket = SendTicket(message)
        engine.submit(ticket)
        try await outcome(of: ticket)
    }

    /// Hands a message over and returns once it has a place: it is on its way then, after those before it.
    public func enqueue(
        _ payload: some Sequence<UInt8>, delivery: Delivery = .reliable, timeToLive: Duration? = nil
    ) async throws -> PendingMessage {
        try await enqueue(
            OutgoingMessage(Array(payload), delivery: delivery, timeToLive: timeToLive?.engineTime))
    }

    /// The same for a message that is made already, one of an outbox for example.
    public func enqueue(_ message: OutgoingMessage) async throws -> PendingMessage {
        let ticket = SendTicket(message)
        engine.submit(ticket)
        try await withTaskCancellationHandler {
            try await ticket.accepted()
        } onCancel: {
            engine.cancel(ticket)
        }
        return PendingMessage { [engine] in
            try await withTaskCancellationHandler {
                try await ticket.outcome()
            } onCancel: {
                engine.cancel(ticket)
            }
        }
    }

    /// A message of an outbox that was *unknown* will not be sent again: it holds up nothing higher of its box any more.
    public func giveUp(_ position: OutboxPosition) async {
        _ = try? await engine.giveUp(position).get()
    }

    /// Sends messages many to a packet; they arrive one by one. It returns when all were delivered.
    public func sendBatch(
        _ payloads: some Sequence<[UInt8]>, delivery: Delivery = .reliable
    ) async throws {
        let limit = maximumMessage
        var tickets: [SendTicket] = []
        var batch = Batch(limit: limit)
        for payload in payloads {
            if batch.append(payload) { continue }
            if !batch.isEmpty {
                tickets.append(SendTicket(OutgoingMessage(batch: batch, delivery: delivery)))
                batch = Batch(limit: limit)
            }
            if batch.append(payload) { continue }
            guard payload.count <= limit else {
                throw OuroborosError.tooLarge(payload.count, limit: limit)
            }
            // It fills a packet alone.
            tickets.append(SendTicket(OutgoingMessage(payload, delivery: delivery)))
        }
        if !batch.isEmpty {
            tickets.append(SendTicket(OutgoingMessage(batch: batch, delivery: delivery)))
        }
        engine.submit(tickets)
        var failure: (any Error)?
        for ticket in tickets {
            do {
                try await outcome(of: ticket)
            } catch {
                failure = failure ?? error
            }
        }
        if let failure {
            throw failure
        }
    }

    private func outcome(of ticket: SendTicket) async throws {
        try await withTaskCancellationHandler {
            try await ticket.outcome()
        } onCancel: {
            engine.cancel(ticket)
        }
    }

    /// The largest message that the other side takes.
    public var maximumMessage: Int { engine.facts.withLock(\.maximumMessage) }

    // MARK: Receiving

    /// Messages as they come. A slow reader makes the other side wait.
    public var messages: Messages { Messages(engine: engine) }

    /// With ``ClientConfiguration/Acknowledgement/whenConfirmed``: the message is safe.
    public func confirm(_ message: Message) {
        engine.confirm(message)
    }

    public struct Messages: AsyncSequence, Sendable {
        public typealias Element = Message
        public typealias Failure = Never

        let engine: ClientEngine

        public func makeAsyncIterator() -> Iterator {
            Iterator(engine: engine)
        }

        public struct Iterator: AsyncIteratorProtocol {
            let engine: ClientEngine

            public mutating func next() async -> Message? {
                await next(isolation: nil)
            }

            public mutating func next(isolation actor: isolated (any Actor)?) async -> Message? {
                guard let message = await engine.inbox.next() else { return nil }
                if engine.acknowledgesWhenTaken {
                    engine.confirm(message)
                }
                return message
            }
        }
    }

    // MARK: The rest

    /// What becomes of the connection, beginning with how it is now. All that a reader has not read is kept for it.
    public var stateChanges: AsyncStream<ConnectionState> {
        engine.states.subscribe { state }
    }

    public var state: ConnectionState { engine.facts.withLock(\.state) }

    /// The time of one round trip.
    public func ping(timeout: Duration = .seconds(10)) async throws -> Duration {
        let ticket = PingTicket()
        return try await withTaskCancellationHandler {
            try await engine.ping(ticket, timeout: timeout).get()
        } onCancel: {
            engine.cancel(ticket)
        }
    }

    /// Replaces the session by a fresh one; messages under way are not disturbed.
    public func rekey() async throws {
        try await engine.rekey().get()
    }

    public func statistics() async throws -> Statistics {
        try await engine.statistics().get()
    }

    /// Sends what is queued, says goodbye, and returns when the connection is over; at once if the task is
    /// cancelled.
    public func close() async {
        await withTaskCancellationHandler {
            _ = try? await engine.close(atOnce: false).get()
        } onCancel: {
            _ = engine.close(atOnce: true)
        }
    }

    /// Ends the connection now: what is queued fails, what is under way stays unknown.
    public func closeAtOnce() async {
        _ = try? await engine.close(atOnce: true).get()
    }
}

/// A message that is on its way.
public struct PendingMessage: Sendable {
    private let outcome: @Sendable () async throws -> Void

    init(_ outcome: @escaping @Sendable () async throws -> Void) {
        self.outcome = outcome
    }

    /// Returns when it was delivered, or, unreliable, when it went out; to be awaited at most once.
    public func delivered() async throws {
        try await outcome()
    }
}

extension Duration {
    /// The engine's milliseconds: at least 1, as 0 has a meaning of its own.
    var engineTime: UInt32 {
        let (seconds, attoseconds) = components
        let milliseconds = Double(seconds) * 1000 + Double(attoseconds) / 1e15
        return UInt32(min(max(milliseconds, 1), Double(Int32.max)))
    }
}
