import LibC

/// An IP address (4 or 16 bytes) and a port.
public struct Endpoint: Sendable, Hashable {
    public let address: [UInt8]
    public let port: UInt16

    public init(address: [UInt8], port: UInt16) {
        self.address = address
        self.port = port
    }
}

extension Endpoint: CustomStringConvertible {
    public var description: String {
        let isIPv4 = address.count == 4
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard isIPv4 || address.count == 16,
            inet_ntop(isIPv4 ? AF_INET : AF_INET6, address, &text, socklen_t(text.count)) != nil
        else { return "?:\(port)" }
        let host = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return isIPv4 ? "\(host):\(port)" : "[\(host)]:\(port)"
    }
}
