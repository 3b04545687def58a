import CoreMetrics
import LibC
import Logging
import NIOCore
import Ouroboros

/// What a client's link tells, and what becomes of it.
extension ClientEngine {
    func drain(_ link: Link, _ now: UInt64) throws -> Bool {
        var any = false
        while let event = try link.nextEvent() {
            any = true
            try handle(event, link, now)
        }
        if !state.isConnected, link.isOpen, let sessionID = link.sessionIDs.first {
            welcomed(sessionID, link, now)
        }
        return any
    }

    /// WELCOME has come: messages may be given from now on, and the first one confirms the session.
    private func welcomed(_ sessionID: UInt32, _ link: Link, _ now: UInt64) {
        state.established(now: now)
        firstPacket.welcomed(now: now)
        note(sessionID, link)
        connected.succeed()
    }

    private func note(_ sessionID: UInt32, _ link: Link) {
        logger?[metadataKey: "session"] = "\(sessionID)"
        let isNews = facts.withLock { facts in
            facts.maximumMessage = link.maximumMessage()
            return facts.state != .connected(sessionID: sessionID)
        }
        if isNews {
            report(.connected(sessionID: sessionID))
        }
    }

    private func handle(_ event: LinkEvent, _ link: Link, _ now: UInt64) throws {
        switch event {
        case .message(let message):
            queued += message.isLastOfPacket ? 1 : 0
            state.used(now: now)
            inbox.append(message)
        case .delivered(let id):
            roundTrip.recordMilliseconds(link.roundTripMilliseconds)
            finish(id, .success(()), now)
        case .sent(let id): finish(id, .success(()), now)
        case .unknown(let id, let isStalled): finish(id, .failure(.unknown(isStalled: isStalled)), now)
        case .stalled(let id, let size):
            logger?.warning("\(OuroborosError.stalledText(size))")
            states.send(.messageStalled(size: size, position: sends.position(of: id)))
        case .failed(let id): finish(id, .failure(.neverSent), now)
        case .epochMoved(let credential):
            // Nothing goes out before this is durable.
            try store?.save(credential)
            link.epochSaved()
            logger?.debug("moved to epoch \(credential.epoch)")
        case .pong(let milliseconds): pings.answered(milliseconds, now: loop.now)
        case .established, .closed, .dead, .alive: changed(event, link)
        }
    }

    private func finish(_ id: MessageID, _ result: Result<Void, OuroborosError>, _ now: UInt64) {
        state.used(now: now)
        sends.finish(id, result)
    }

    private func changed(_ event: LinkEvent, _ link: Link) {
        switch event {
        case .established(let sessionID):
            streamIsUp()
            note(sessionID, link)
        case .closed(let reason, let byPeer, let missing):
            streamState.sessionClosed(reason)
            // A stream that broke has been told already.
            guard streams?.isWritable ?? true || byPeer || state.isClosing else { break }
            report(.sessionClosed(reason, byServer: byPeer, missing: missing))
        case .alive:
            report(.reachable)
        case .dead:
            report(.unreachable)
            if !state.isConnected {
                end(.noAnswer(from: server, within: nil, carrier.lastError))
            }
        default: break
        }
    }

    func report(_ state: ConnectionState) {
        logger?.debug("\(state)")
        states.send(state) { facts.withLock { $0.state = state } }
    }

    func fail(_ error: any Error) {
        let failure =
            (error as? OuroborosError) ?? OuroborosError(.storage, "saving the credential: \(error)")
        logger?.error("the connection ends: \(failure)")
        end(failure)
    }
}
