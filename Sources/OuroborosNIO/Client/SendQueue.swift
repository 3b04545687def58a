import DequeModule
import Ouroboros

/// The messages of one link that have no outcome yet. Those that the engine has no place for wait here, each
/// with the task that sends it. It lives on the event loop, with its link.
struct SendQueue {
    private var waiting: Deque<SendTicket> = []
    private var engaged: [MessageID: SendTicket] = [:]

    /// Messages for which the engine had no place.
    var hasWaiting: Bool { !waiting.isEmpty }

    mutating func append(_ ticket: SendTicket) {
        waiting.append(ticket)
    }

    /// Gives the engine what it has places for; true if that was something.
    mutating func admit(to link: Link, now: UInt64) -> Bool {
        var admitted = false
        while let ticket = waiting.first {
            if !ticket.isFinished {
                do throws(OuroborosError) {
                    engaged[try link.send(ticket.message, now: now)] = ticket
                    admitted = true
                    ticket.accept()
                } catch {
                    if error.code == .noPlace {
                        break
                    }
                    ticket.finish(.failure(error.code == .closed ? .closedBeforeSending : error))
                }
            }
            waiting.removeFirst()
        }
        return admitted
    }

    mutating func finish(_ id: MessageID, _ result: Result<Void, OuroborosError>) {
        engaged.removeValue(forKey: id)?.finish(result)
    }

    func position(of id: MessageID) -> OutboxPosition? { engaged[id]?.message.position }

    func holds(_ ticket: SendTicket) -> Bool {
        waiting.contains { $0 === ticket } || engaged.values.contains { $0 === ticket }
    }

    /// The task does not wait any more: what was not sent is taken back, the rest goes on.
    mutating func cancel(_ ticket: SendTicket, link: Link?) {
        if let (id, _) = engaged.first(where: { $0.value === ticket }) {
            let withdrawn = link?.withdraw(id) ?? false
            ticket.finish(.failure(withdrawn ? .cancelledBeforeSending : .cancelledAfterSending))
        } else {
            ticket.finish(.failure(.cancelledBeforeSending))
            waiting.removeAll { $0 === ticket }
        }
    }

    /// The link is gone.
    mutating func finishAll() {
        for ticket in waiting {
            ticket.finish(.failure(.closedBeforeSending))
        }
        for ticket in engaged.values {
            ticket.finish(.failure(.unknown(isStalled: false)))
        }
        waiting.removeAll()
        engaged.removeAll()
    }
}

extension OuroborosError {
    static let closedBeforeSending = OuroborosError(
        .failed, "the connection was closed before the message was sent")
    static let cancelledBeforeSending = OuroborosError(
        .failed, "the message was taken back before it was sent")
    static let cancelledAfterSending = OuroborosError(
        .unknown, "sending was cancelled after the message went out: it may have arrived")
    static let neverSent = OuroborosError(
        .failed, "the message was never sent: it waited too long, or the connection was closed first")
    static func stalledText(_ size: Int) -> String {
        "a message of \(size) bytes does not get through, though others do: it is probably larger than the path "
            + "carries. Send smaller ones"
    }
    static let connectionClosed = OuroborosError(.closed, "the connection is closed")
}
