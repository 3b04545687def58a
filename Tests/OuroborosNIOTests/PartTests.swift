import LibC
import NIOCore
import NIOPosix
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosNIO

@Suite struct PartTests {
    private final class Node: TimerNode {
        var deadline: UInt64 = 0
        var heapIndex = -1
    }

    @Test func theHeapGivesTheSoonestFirst() {
        var generator = SplitMix(state: 1)
        var heap = TimerHeap<Node>()
        let nodes = (0..<200).map { _ in Node() }
        for _ in 0..<5000 {
            let node = nodes[Int(generator.next() % 200)]
            if generator.next() % 4 == 0 {
                heap.remove(node)
            } else {
                heap.set(node, to: generator.next() % 1000)
            }
            let soonest = nodes.filter { $0.heapIndex >= 0 }.map(\.deadline).min()
            #expect(heap.first?.deadline == soonest)
        }
        #expect(heap.count == nodes.count { $0.heapIndex >= 0 })
    }

    @Test(arguments: ["127.0.0.1", "::1", "2001:db8::2"])
    func anAddressComesBack(host: String) throws {
        let address = try SocketAddress(ipAddress: host, port: 5700)
        #expect(PeerAddress(address).socketAddress == address)
        let other = try SocketAddress(ipAddress: host, port: 5701)
        #expect(PeerAddress(address) != PeerAddress(other))
    }

    @Test func hostAndPortAreRead() throws {
        #expect(try HostAndPort(parsing: "127.0.0.1:5700") == HostAndPort(host: "127.0.0.1", port: 5700))
        #expect(try HostAndPort(parsing: "[::1]:1") == HostAndPort(host: "::1", port: 1))
        #expect(try HostAndPort(parsing: "gateway.example:5700").description == "gateway.example:5700")
        for text in ["", "127.0.0.1", ":5700", "::1:5700", "host:", "host:70000", "host:-1", "[]:1"] {
            #expect(throws: OuroborosError.self) { try HostAndPort(parsing: text) }
        }
    }

    @Test func aNameIsLookedUp() async throws {
        let address = try await HostAndPort(parsing: "localhost:5700").resolve()
        #expect(address.port == 5700)
        let error = await #expect(throws: OuroborosError.self) {
            try await HostAndPort(parsing: "no-such-host.invalid:5700").resolve()
        }
        #expect(error?.code == .invalidAddress)
    }

    private final class Receiver: DatagramReceiver {
        let isLost = Flag()

        func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {}
        func readComplete() {}
        func socketLost(_ error: (any Error)?) { isLost.set() }
    }

    @Test(.timeLimit(.minutes(3))) func aSocketThatIsLostIsOpenedAnew() async throws {
        let socket = DatagramSocket(
            on: MultiThreadedEventLoopGroup.singleton.next(), localAddress: loopback, receiveBatch: 4)
        let receiver = Receiver()
        _ = try await socket.open(for: receiver).get()
        let port = try await socket.loop.submit { socket.localAddress.port }.get()
        let first = try #require(try await socket.loop.submit { socket.channel }.get())
        try await first.close()
        try await eventually("the socket is lost") { receiver.isLost.isSet }
        try await eventually("another is opened") {
            try await socket.loop.submit { socket.channel != nil }.get()
        }
        let second = try #require(try await socket.loop.submit { socket.channel }.get())
        #expect(second !== first)
        #expect(second.localAddress?.port == port)
        try await socket.loop.flatSubmit { socket.close() }.get()
        #expect(!second.isActive)
    }

    @Test func aSocketThatIsClosedWhileItOpensStaysClosed() async throws {
        let socket = DatagramSocket(
            on: MultiThreadedEventLoopGroup.singleton.next(), localAddress: loopback, receiveBatch: 4)
        let receiver = Receiver()
        let opened = socket.loop.flatSubmit {
            let opened = socket.open(for: receiver)
            _ = socket.close()
            return opened
        }
        let error = await #expect(throws: OuroborosError.self) { try await opened.get() }
        #expect(error?.code == .closed)
        #expect(try await socket.loop.submit { socket.channel == nil }.get())
        #expect(!receiver.isLost.isSet)
    }

    @Test func anInboxEndsForACancelledReader() async {
        let inbox = Inbox<Int>()
        let task = Task { await inbox.next() }
        task.cancel()
        #expect(await task.value == nil)
        inbox.append(1)
        inbox.finish()
        #expect(await inbox.next() == 1)
        #expect(await inbox.next() == nil)
    }

    @Test func aReaderThatIsCancelledEndsNoOther() async {
        let inbox = ServerInbox()
        let reader = Task { await inbox.next() }
        for _ in 0..<100 {
            let other = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return await inbox.next()
            }
            #expect(await other.value == nil)
        }
        let message = Message(sessionID: 1, counter: 0, payload: [1])
        inbox.append([ReceivedMessage(device: DeviceID(number: 1), message: message, worker: 0, link: 1)])
        #expect(await reader.value?.map(\.payload) == [[1]])
    }

    @Test func aReaderHearsOfAllHoweverSlowItIs() async {
        let broadcast = Broadcast<Int>()
        let changes = broadcast.subscribe()
        for number in 0..<1000 { broadcast.send(number) }
        broadcast.finish()
        #expect(await changes.reduce(into: [Int]()) { $0.append($1) } == Array(0..<1000))
    }

    @Test func nothingComesBetweenTheFirstAndTheNext() async {
        let broadcast = Broadcast<Int>()
        let state = Locked(0)
        let writer = Task {
            for number in 1...20_000 {
                broadcast.send(number) { state.withLock { $0 = number } }
            }
            broadcast.finish()
        }
        for _ in 0..<1000 {
            let changes = broadcast.subscribe { state.withLock(\.self) }
            let seen = await changes.prefix(3).reduce(into: [Int]()) { $0.append($1) }
            #expect(seen == Array((seen.first ?? 0)..<(seen.first ?? 0) + seen.count))
        }
        await writer.value
    }
}

/// A small seeded generator, so that a failure comes again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
