import NIOCore
import Ouroboros

extension OuroborosError {
    static func socket(_ error: any Error, _ activity: String) -> OuroborosError {
        OuroborosError(.transport, "\(activity): \(error)")
    }

    static func noAnswer(
        from server: ServerPlace, within timeout: Duration?, _ cause: (any Error)? = nil
    ) -> OuroborosError {
        if let cause = cause as? OuroborosError, cause.code == .invalidAddress {
            return OuroborosError(
                .invalidAddress,
                cause.message + ", tried " + (timeout.map { "for \($0)" } ?? "again and again"))
        }
        let time =
            (timeout.map { "\($0)" } ?? "45 seconds or more, and five tries")
            + (cause.map { " (\($0))" } ?? "")
        return OuroborosError(
            .unreachable,
            "no answer from \(server.description) within \(time): it is down or out of reach, does not know this "
                + "device, or has another key for it")
    }
}
