import LibC
import NIOCore

/// Which of a server's sockets a packet came to and, where the socket has all of the machine's addresses, to which of
/// them: a byte of its device's address, so that the answer leaves from there. It is the same for all workers.
final class ServerWays: Sendable {
    struct Way: Hashable {
        let socket: Int
        let local: SocketAddress?
    }

    private struct State {
        var ways: [Way] = []
        var numbers: [Way: UInt8] = [:]
    }

    /// The numbers below are the sockets themselves.
    static let mostSockets = 64
    private static let most = 256 - mostSockets
    private let state = Locked(State())

    /// Beyond 192 addresses the system chooses where answers leave from.
    func number(of way: Way) -> UInt8 {
        guard way.local != nil else { return UInt8(way.socket) }
        return state.withLock { state in
            if let number = state.numbers[way] {
                return number
            }
            guard state.ways.count < Self.most else { return UInt8(way.socket) }
            let number = UInt8(Self.mostSockets + state.ways.count)
            state.ways.append(way)
            state.numbers[way] = number
            return number
        }
    }

    /// Nil for a number that was not given.
    func way(_ number: UInt8) -> Way? {
        guard number >= Self.mostSockets else { return Way(socket: Int(number), local: nil) }
        return state.withLock { state in
            let index = Int(number) - Self.mostSockets
            return state.ways.indices.contains(index) ? state.ways[index] : nil
        }
    }
}
