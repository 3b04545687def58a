import Logging
import Ouroboros
import OuroborosStore

extension Downlink {
    /// Takes a message for one who hears of it more than once: that it is queued, and then its fate. A queue that cannot
    /// be written now is waited for, though not for each of many messages.
    package func carryOut(
        _ payload: [UInt8], to device: DeviceID, timeToLive: Duration?
    ) async -> @Sendable (_ tell: @Sendable ([UInt8]) async -> Void) async -> Void {
        do {
            guard
                let queued = try await patiently({
                    try await submit(payload, to: device, timeToLive: timeToLive)
                })
            else {
                let reason = DownlinkAnswer.unknown(device)
                return refused(device, reason, DownlinkAnswer.refusal(reason))
            }
            return { [self] tell in await follow(queued, tell) }
        } catch {
            return refused(device, "\(error)", DownlinkAnswer.refusal(error))
        }
    }

    private func patiently<Value>(_ body: () async throws -> Value) async throws -> Value {
        let end = ContinuousClock.now + Self.commandPatience
        while true {
            do {
                let value = try await body()
                waitedInVain = false
                return value
            } catch let error as OuroborosError where error.code.passes {
                guard !waitedInVain, .now < end, !Task.isCancelled else {
                    waitedInVain = true
                    throw error
                }
                try await Task.sleep(for: Self.retryPeriod)
            }
        }
    }

    /// One who wants no answer does not hear it, so the log has it too.
    private nonisolated func refused(
        _ device: DeviceID, _ reason: String, _ answer: [UInt8]
    ) -> @Sendable (_ tell: @Sendable ([UInt8]) async -> Void) async -> Void {
        logger.warning(
            "a message to a device is not taken: \(reason)", metadata: ["device": "\(device)"])
        return { await $0(answer) }
    }

    private func follow(_ queued: DownlinkEntry, _ tell: @Sendable ([UInt8]) async -> Void) async {
        do {
            let first = try await answer(queued)
            await tell(DownlinkAnswer.body(for: first))
            guard !first.state.isFinal else { return }
            await outcome(of: queued.id, within: DownlinkSettings.longestTimeToLive)
            guard let last = try await entry(queued.id, of: queued.device), last.state.isFinal else { return }
            await tell(DownlinkAnswer.body(for: last))
        } catch {
            logger.warning(
                "what became of a message to a device cannot be read: \(error)",
                metadata: ["device": "\(queued.device)", "id": "\(queued.id)"])
        }
    }
}
