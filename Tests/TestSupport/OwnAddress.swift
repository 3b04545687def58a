import LibC
import Synchronization

/// Addresses for what has to be known before somebody listens there, or is found again after it stopped listening: on
/// loopback, of this process's own, with ports below those that the system gives away. Nobody else takes them.
package enum OwnAddress {
    /// Process numbers have 22 bits at most.
    package static let host: String = {
        let process = getpid()
        return "127.\(128 | process >> 16 & 63).\(process >> 8 & 255).\(process & 255)"
    }()

    private static let last = Atomic(20_000)

    /// Another one each time.
    package static func nextPort() -> Int {
        last.add(1, ordering: .relaxed).newValue
    }

    /// HOST:PORT.
    package static func next() -> String { "\(host):\(nextPort())" }
}
