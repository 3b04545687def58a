import Ouroboros
import OuroborosStore

extension Downlink {
    /// Takes a message for one who hears of it more than once: that it is queued, and then its fate.
    package func carryOut(
        _ payload: [UInt8], to device: DeviceID, timeToLive: Duration?
    ) async -> @Sendable (_ tell: @Sendable ([UInt8]) async -> Void) async -> Void {
        do {
            guard let id = try await submit(payload, to: device, timeToLive: timeToLive) else {
                return { await $0(DownlinkAnswer.refusal(DownlinkAnswer.unknown(device))) }
            }
            return { [self] tell in await follow(id, of: device, tell) }
        } catch {
            let reason = "\(error)"
            return { await $0(DownlinkAnswer.refusal(reason)) }
        }
    }

    private func follow(
        _ id: Int64, of device: DeviceID, _ tell: @Sendable ([UInt8]) async -> Void
    ) async {
        do {
            guard let first = try await answer(id, of: device) else { return }
            await tell(DownlinkAnswer.body(for: first))
            guard !first.state.isFinal else { return }
            await outcome(of: id, within: DownlinkSettings.longestTimeToLive)
            guard let last = try entry(id, of: device), last.state.isFinal else { return }
            await tell(DownlinkAnswer.body(for: last))
        } catch {
            await tell(DownlinkAnswer.refusal("\(error)"))
        }
    }
}
