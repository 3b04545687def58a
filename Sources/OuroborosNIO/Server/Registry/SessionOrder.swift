import Logging
import Ouroboros

/// Which session of a device is the newest, of several gateways and workers: each that is confirmed has the next number
/// (PROTOCOL.md, Appendix B 28 to 30).
extension ServerEngine {
    /// As long as a session that is replaced has on one gateway (section 3).
    private static let drainTime: UInt64 = 60_000

    /// Takes the next number for a session of a fixed credential, before anything of it is handed on; false if another was
    /// confirmed since its HELLO.
    func takeNumber(
        for first: ConfirmingPacket, of device: AcceptedDevice, at acceptor: Acceptor,
        _ then: @escaping (_ isNewest: Bool) -> Void
    ) {
        let metadata: Logger.Metadata = [
            "device": "\(device.credential.deviceID)", "session": "\(first.sessionID)",
        ]
        // One that is forgotten meanwhile takes its pending sessions with it.
        registry.confirm(device.credential.deviceID, from: first.number) { [self, weak device] result in
            switch result {
            case .success(true): break
            case .success(false):
                count(.unknownSession)
                logger?.debug("a first packet came late: the device has a newer session", metadata: metadata)
            case .failure(let error):
                statistics.registryFailures += 1
                logger?.error(
                    "the number of a session could not be saved, so it is none: \(error)", metadata: metadata)
            }
            let isNewest = (try? result.get()) ?? false
            if !isNewest, let device {
                // Its first packet is spent; others that were made from its number would fail as it did.
                acceptor.dropPending(of: device, before: first.nextNumber)
            }
            then(isNewest)
            finishTurn()
        }
    }

    /// Workers and gateways that have an older session of the device let it drain.
    func told(of sessionID: UInt32, _ device: DeviceID, number: UInt64) {
        let session = ConfirmedSession(device: device, sessionID: sessionID, number: number)
        hub.confirmed(session, by: worker)
        registry.shared?.announce(session)
    }

    /// A session of the device was confirmed elsewhere.
    func heard(of session: ConfirmedSession) {
        guard !isEnded else { return }
        let newest = newestNumber(of: session.device)
        guard let newest, session.number <= newest else {
            retire(session.device, before: session.number)
            finishTurn()
            return
        }
        // It was told late, or the registry was restored: that knows which.
        if session.number < newest, registry.shared != nil {
            compare([session.device])
        }
    }

    /// What was made from a lower number has a minute to end.
    func retire(_ device: DeviceID, before number: UInt64) {
        if let peer = devices.peers[device] {
            acceptor.dropPending(of: peer.accepted, before: number)
        }
        if let device = streams.devices[device] {
            streams.acceptor.dropPending(of: device.accepted, before: number)
        }
        let due = now + Self.drainTime
        for peer in links(of: device) where peer.link != nil {
            agenda.retire(peer, at: due)
        }
    }

    /// Of the device's sessions here.
    func newestNumber(of device: DeviceID) -> UInt64? {
        links(of: device).filter { $0.link != nil }.map(\.number).max()
    }
}
