import Logging
import Ouroboros

/// What is different over streams: each has one session, and a lost one is followed by another.
extension ClientEngine {
    /// Where sessions did not last there is a wait, and it runs from here.
    func streamWanted() -> UInt64 {
        let now = now
        guard let link = state.link, case let due = link.connectsAt(now: now), due > now else { return now }
        do {
            try link.connect(now: now)
        } catch {
            logger?.debug("connecting: \(error)")
        }
        logger?.debug("the next stream is opened in \(due - now) ms, as sessions did not last")
        return due
    }

    func streamOpened() {
        do {
            try state.link?.connect(now: now)
            pump()
        } catch {
            fail(error)
        }
    }

    func streamLost(_ error: (any Error)?) {
        logger?.info("the stream was lost: \(error.map { "\($0)" } ?? "the other side ended it")")
        abandonStream(error)
        pump()
    }

    /// The stream broke: what is in flight is *unknown*, what is queued goes over the next one.
    func abandonStream(_ error: (any Error)?) {
        guard let streams, let link = state.link else { return }
        let hadSession = link.isOpen
        streams.endStream()
        link.streamEnded()
        do {
            _ = try drain(link, now)
        } catch {
            fail(error)
            return
        }
        streamState.broke()
        if state.isClosing {
            end(nil)
            return
        }
        if hadSession {
            report(.interrupted)
        }
        noteMissed()
        streams.connectLater()
    }

    /// After each turn: a session that was closed ends its stream, and what waits begins another.
    func turnStream(_ streams: StreamCarrier, _ link: Link) {
        if !link.isOpen, !link.isClosed, let reason = streamState.takeClosed() {
            streams.endStream()
            link.streamEnded()
            if reason == .rekey {
                streams.connect()
            }
        }
        // A message waits, and there is no stream to come.
        if streams.isIdle, !link.isClosed, !state.isClosing, sends.hasWaiting || link.pending > 0 {
            streamState.isAfterShutdown ? streams.connectLater() : streams.connect()
            noteMissed()
        }
    }

    private func noteMissed() {
        guard state.isConnected else { return }
        let now = now
        streamState.missed(now: now)
        // Nothing else may happen until then.
        arm(now)
    }

    func streamIsUp() {
        guard let streams else { return }
        streams.succeeded()
        if streamState.established() {
            report(.reachable)
        }
    }
}
