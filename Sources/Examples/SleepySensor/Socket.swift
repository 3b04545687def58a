import Glibc
import Ouroboros

/// A connected UDP socket: the system lets in nothing but the gateway's packets.
final class Socket {
    private let descriptor: Int32
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1280, alignment: 16)

    init(host: String, port: String) throws {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, port, &hints, &list) == 0, let first = list?.pointee else {
            throw OuroborosError(.invalidAddress, "cannot find the address of “\(host)”")
        }
        defer { freeaddrinfo(list) }
        descriptor = socket(first.ai_family, first.ai_socktype, first.ai_protocol)
        guard descriptor >= 0, Self.connect(descriptor, first) else {
            throw OuroborosError(.transport, "no UDP socket: \(String(cString: strerror(errno)))")
        }
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    /// What is lost is sent again by the engine.
    func send(_ packet: UnsafeRawBufferPointer) {
        _ = write(descriptor, packet.baseAddress, packet.count)
    }

    func waitForPacket(milliseconds: UInt64) throws -> Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, Int32(clamping: milliseconds)) > 0
    }

    func receive(_ body: (UnsafeMutableRawBufferPointer) -> Void) throws {
        let count = read(descriptor, buffer.baseAddress, buffer.count)
        // A gateway that is not there yet refuses; the engine tries again.
        guard count > 0 else { return }
        body(UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
    }

    private static func connect(_ descriptor: Int32, _ address: addrinfo) -> Bool {
        Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0
    }
}

/// Milliseconds that never run backwards.
enum Clock {
    static var now: UInt64 { milliseconds(CLOCK_MONOTONIC) }
    /// The time of day goes on while the device is off.
    static var wall: UInt64 { milliseconds(CLOCK_REALTIME) }

    private static func milliseconds(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }
}
