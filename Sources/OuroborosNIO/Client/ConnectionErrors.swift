import NIOCore
import Ouroboros

extension OuroborosError {
    static func socket(_ error: any Error, _ activity: String) -> OuroborosError {
        OuroborosError(.transport, "\(activity): \(error)")
    }

    static func noAnswer(
        from server: SocketAddress, within timeout: Duration?, _ cause: (any Error)? = nil
    ) -> OuroborosError {
        let time =
            (timeout.map { "\($0)" } ?? "45 seconds or more, and five tries")
            + (cause.map { " (\($0))" } ?? "")
        return OuroborosError(
            .unreachable,
            "no answer from \(server.readable) within \(time): it is down or out of reach, does not know this "
                + "device, or has another key for it")
    }
}
