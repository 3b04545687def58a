import LibC
import Ouroboros

/// What a ``BlockingClient`` sends through and waits on: the system's UDP socket, or a test's own.
public protocol BlockingSocket: AnyObject {
    /// Milliseconds that never run backwards.
    var now: UInt64 { get }
    /// Sends a packet, or loses it.
    func send(_ packet: UnsafeRawBufferPointer)
    /// Waits for a packet until `deadline`, and gives its size; nil when none came, or when a signal did.
    func receive(into buffer: UnsafeMutableRawBufferPointer, until deadline: UInt64) throws(OuroborosError)
        -> Int?
}

/// A UDP socket that is connected to one server, so that the system drops what others send.
public final class SystemSocket: BlockingSocket {
    private let descriptor: Int32

    /// Looks the host up, and opens the socket.
    public init(host: String, port: Int) throws(OuroborosError) {
        var hints = addrinfo()
        hints.ai_socktype = SocketKind.datagram
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &list) == 0, let list else {
            throw OuroborosError(.invalidAddress, "cannot find the address of “\(host)”")
        }
        defer { freeaddrinfo(list) }
        let address = list.pointee
        descriptor = socket(address.ai_family, SocketKind.datagram | SocketKind.closeOnExec, 0)
        guard descriptor >= 0, connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 else {
            let cause = errno
            if descriptor >= 0 { close(descriptor) }
            throw OuroborosError(
                .transport, "opening a socket to \(host) port \(port): \(String(cString: strerror(cause)))")
        }
    }

    deinit {
        close(descriptor)
    }

    public var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }

    public func send(_ packet: UnsafeRawBufferPointer) {
        // A path that is away for a while is no error: the engine sends again.
        _ = systemSend(descriptor, packet.baseAddress, packet.count)
    }

    public func receive(
        into buffer: UnsafeMutableRawBufferPointer, until deadline: UInt64
    ) throws(OuroborosError) -> Int? {
        let now = now
        let wait = deadline > now ? Int32(clamping: deadline - now) : 0
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let ready = poll(&entry, 1, wait)
        if ready == 0 || (ready < 0 && errno == EINTR) {
            return nil
        }
        guard ready > 0 else {
            throw OuroborosError(.transport, "waiting for a packet: \(String(cString: strerror(errno)))")
        }
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        // Such as “connection refused”, which an unprotected packet can bring about: nothing came.
        return count > 0 ? count : nil
    }
}

// The method has the system call's name.
private func systemSend(_ socket: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    send(socket, bytes, count, 0)
}
