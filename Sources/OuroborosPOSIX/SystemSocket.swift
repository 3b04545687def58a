import LibC
import Ouroboros

/// UDP sockets, one for each address family, to one server. Its name is tried with all its addresses, and looked up anew
/// whenever a HELLO stays unanswered and each five minutes; what comes from elsewhere is dropped.
public final class SystemSocket: BlockingSocket {
    private let host: String
    private let port: Int
    private var route: ServerRoute<[UInt8]>
    private var look: BackgroundLookUp?
    /// By family.
    private var descriptors: [Int32: Int32] = [:]
    private var from: [UInt8] = []
    public private(set) var problem: String?

    /// Nothing is looked up yet: a name that has no address now is looked up again.
    public init(host: String, port: Int) throws(OuroborosError) {
        guard !host.isEmpty, (0...65_535).contains(port) else {
            throw OuroborosError(.invalidAddress, "“\(host)” port \(port) is no address")
        }
        self.host = host
        self.port = port
        route = ServerRoute(now: Self.now)
        goOn()
    }

    deinit {
        for descriptor in descriptors.values {
            close(descriptor)
        }
    }

    public var now: UInt64 { Self.now }

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }

    // MARK: Out

    public func send(_ packet: UnsafeRawBufferPointer) {
        let id = Packet.sessionID(of: packet)
        let address =
            id == 0 ? route.hello(Array(packet), now: now) : route.address(ofSession: id)
        if let address {
            send(packet, to: address)
        }
        goOn()
    }

    private func send(_ packet: UnsafeRawBufferPointer, to address: [UInt8]) {
        guard let socket = descriptor(for: address) else { return }
        address.withUnsafeBytes { bytes in
            // A path that is away for a while is no error: the engine sends again.
            _ = sendto(
                socket, packet.baseAddress, packet.count, 0,
                bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
    }

    private func descriptor(for address: [UInt8]) -> Int32? {
        let family = Self.family(of: address)
        if let known = descriptors[family] {
            return known
        }
        let made = socket(family, SocketKind.datagram | SocketKind.closeOnExec, 0)
        guard made >= 0 else {
            problem = "opening a socket to \(host) port \(port): \(String(cString: strerror(errno)))"
            return nil
        }
        descriptors[family] = made
        return made
    }

    private static func family(of address: [UInt8]) -> Int32 {
        address.count == MemoryLayout<sockaddr_in>.size ? AF_INET : AF_INET6
    }

    // MARK: In

    public func receive(
        into buffer: UnsafeMutableRawBufferPointer, until deadline: UInt64
    ) throws(OuroborosError) -> Int? {
        while true {
            goOn()
            let now = now
            let due = min(deadline, route.deadline ?? .max)
            var entries = descriptors.values.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            if let look {
                entries.append(pollfd(fd: look.descriptor, events: Int16(POLLIN), revents: 0))
            }
            let ready = poll(&entries, nfds_t(entries.count), due > now ? Int32(clamping: due - now) : 0)
            if ready < 0 {
                guard errno == EINTR else {
                    throw OuroborosError(
                        .transport, "waiting for a packet: \(String(cString: strerror(errno)))")
                }
                return nil
            }
            for entry in entries where entry.revents != 0 && entry.fd != look?.descriptor {
                if let count = take(into: buffer, from: entry.fd) {
                    return count
                }
            }
            guard ready > 0 || self.now < deadline else { return nil }
        }
    }

    /// Nil when nothing came that is the server's.
    private func take(into buffer: UnsafeMutableRawBufferPointer, from socket: Int32) -> Int? {
        var address = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let count = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(socket, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT), $0, &size)
            }
        }
        guard count > 0 else { return nil }
        let source = withUnsafeBytes(of: &address) { Array($0[..<min(Int(size), $0.count)]) }
        guard route.accepted.contains(source) else { return nil }
        from = source
        return count
    }

    public func took(sessionID: UInt32, held: [UInt32], isShakingHands: Bool) {
        guard !route.expects(sessionID, from: from) else { return }
        problem = nil
        route.took(sessionID, from: from, held: held, isShakingHands: isShakingHands)
    }

    // MARK: The way

    private func goOn() {
        if let look, let found = look.result() {
            self.look = nil
            if found.isEmpty {
                route.failed(now: now)
                problem = "cannot find the address of “\(host)”"
            } else {
                route.found(found, now: now)
                problem = nil
            }
        }
        if look == nil, route.beginLookUp(now: now) {
            look = BackgroundLookUp(host, port: port)
            if look == nil {
                route.failed(now: now)
            }
        }
        while let (packet, address) = route.next(now: now) {
            packet.withUnsafeBytes { send($0, to: address) }
        }
    }
}
