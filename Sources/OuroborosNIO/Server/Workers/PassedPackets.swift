import LibC
import NIOCore
import Ouroboros

/// Packets from any event loop to another, bounded: what finds it full is lost, as on any path.
final class PassedPackets<Note: Sendable>: Sendable {
    // @unchecked: a `PeerAddress` is bytes.
    struct Passed: @unchecked Sendable {
        var bytes: [UInt8]
        let address: PeerAddress
        let note: Note
    }

    private struct State {
        var packets: [Passed] = []
        var overflowed: UInt64 = 0
    }

    private let loop: any EventLoop
    private let state = Locked(State())
    private static var most: Int { 4096 }

    init(to loop: any EventLoop) {
        self.loop = loop
    }

    /// `receive` runs on the loop once packets are there; it takes them with ``take()``.
    func put(
        _ packet: UnsafeRawBufferPointer, _ address: PeerAddress, _ note: Note,
        _ receive: @escaping @Sendable () -> Void
    ) {
        let passed = Passed(bytes: Array(packet), address: address, note: note)
        let isFirst = state.withLock { state in
            guard state.packets.count < Self.most else {
                state.overflowed += 1
                return false
            }
            state.packets.append(passed)
            return state.packets.count == 1
        }
        if isFirst {
            loop.execute(receive)
        }
    }

    func take() -> [Passed] {
        state.withLock { state in
            defer { state.packets = [] }
            return state.packets
        }
    }

    var overflowed: UInt64 { state.withLock(\.overflowed) }
}
