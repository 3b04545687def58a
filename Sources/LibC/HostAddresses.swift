/// The addresses of a host, each as the bytes of its `sockaddr`.
public enum HostAddresses {
    /// A client tries so many of a name's.
    public static let most = 8

    /// Looks a name up, or reads an address; this blocks, for half a minute if no name server answers. The families take
    /// turns, the one that the system prefers first (RFC 8305, 4). Empty when there is none.
    public static func lookUp(_ host: String, port: Int) -> [[UInt8]] {
        var hints = addrinfo()
        hints.ai_socktype = SocketKind.datagram
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &list) == 0, let list else { return [] }
        defer { freeaddrinfo(list) }
        var found: [(family: Int32, address: [UInt8])] = []
        for entry in sequence(first: list, next: \.pointee.ai_next).map(\.pointee)
        where entry.ai_family == AF_INET || entry.ai_family == AF_INET6 {
            let bytes = UnsafeRawBufferPointer(start: entry.ai_addr, count: Int(entry.ai_addrlen))
            found.append((entry.ai_family, Array(bytes)))
        }
        var preferred = found.filter { $0.family == found[0].family }[...]
        var other = found.filter { $0.family != found[0].family }[...]
        var all: [[UInt8]] = []
        while all.count < most, !preferred.isEmpty || !other.isEmpty {
            all += [preferred.popFirst(), other.popFirst()].compactMap { $0?.address }
        }
        return Array(all.prefix(most))
    }
}
