import LibC

/// What started the process and wants to hear how it is: systemd, as sd_notify(3) says. Without one nothing is told.
package struct ServiceManager: Sendable {
    private let address: String?
    /// Open from the start: one that has no descriptor left still says that it lives.
    private let socket: ManagerSocket?
    /// Silence for this long counts as a hang; nil when nobody watches.
    let watchdog: Duration?

    package init(environment: [String: String] = [:]) {
        address = environment["NOTIFY_SOCKET"]
        socket = address.flatMap { _ in ManagerSocket() }
        let isOurs = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
        let microseconds = environment["WATCHDOG_USEC"].flatMap(Int64.init) ?? 0
        watchdog = address != nil && isOurs && microseconds > 0 ? .microseconds(microseconds) : nil
    }

    func ready(_ status: String) { tell("READY=1\nSTATUS=\(status)") }
    func stopping() { tell("STOPPING=1\nSTATUS=shutting down") }
    func alive() { tell("WATCHDOG=1") }
    func status(_ status: String) { tell("STATUS=\(status)") }

    /// A manager that does not listen is nobody's loss.
    private func tell(_ message: String) {
        guard let address, let socket, let to = Self.name(of: address) else { return }
        let bytes = Array(message.utf8)
        withUnsafePointer(to: to.name) { name in
            name.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = sendto(
                    socket.descriptor, bytes, bytes.count,
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), $0, to.length)
            }
        }
    }

    /// A path, or a name of the abstract namespace, which begins with @ here and with 0 there.
    static func name(of address: String) -> (name: sockaddr_un, length: socklen_t)? {
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(address.utf8)
        guard let first = bytes.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"),
            bytes.count < MemoryLayout.size(ofValue: name.sun_path)
        else { return nil }
        if first == UInt8(ascii: "@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: bytes) }
        let head = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        return (name, socklen_t(head + bytes.count))
    }
}

private final class ManagerSocket: Sendable {
    let descriptor: Int32

    init?() {
        descriptor = socket(AF_UNIX, SocketKind.datagram | SocketKind.closeOnExec, 0)
        guard descriptor >= 0 else { return nil }
    }

    deinit {
        close(descriptor)
    }
}
