import CNIOLinux
import LibC
import NIOCore
import Ouroboros

extension PeerAddress {
    /// Family, port, address and scope, one after the other, the way that it came to a server (``ServerWays``), and the
    /// gateway that passed it on, 0 for none: a path through another gateway is another path.
    init(_ address: SocketAddress, way: UInt8 = 0, entry: UInt8 = 0) {
        self = withUnsafeTemporaryAllocation(byteCount: PeerAddress.capacity, alignment: 1) { buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            switch address {
            case .v4(let v4):
                buffer[0] = 4
                buffer.storeBytes(of: v4.address.sin_port, toByteOffset: 1, as: in_port_t.self)
                Swift.withUnsafeBytes(of: v4.address.sin_addr) {
                    UnsafeMutableRawBufferPointer(rebasing: buffer[3..<7]).copyMemory(from: $0)
                }
                buffer[7] = way
                buffer[8] = entry
                return PeerAddress(UnsafeRawBufferPointer(rebasing: buffer[..<9]))
            case .v6(let v6):
                buffer[0] = 6
                buffer.storeBytes(of: v6.address.sin6_port, toByteOffset: 1, as: in_port_t.self)
                Swift.withUnsafeBytes(of: v6.address.sin6_addr) {
                    UnsafeMutableRawBufferPointer(rebasing: buffer[3..<19]).copyMemory(from: $0)
                }
                buffer.storeBytes(of: v6.address.sin6_scope_id, toByteOffset: 19, as: UInt32.self)
                buffer[23] = way
                buffer[24] = entry
                return PeerAddress(UnsafeRawBufferPointer(rebasing: buffer[..<25]))
            case .unixDomainSocket:
                return PeerAddress(UnsafeRawBufferPointer(rebasing: buffer[..<1]))
            }
        }
    }

    /// The way that it came to a server.
    var way: UInt8 {
        withUnsafeBytes { $0.dropLast().last ?? 0 }
    }

    /// The gateway that passed it on; 0 for none.
    var entry: UInt8 {
        withUnsafeBytes { $0.last ?? 0 }
    }

    /// The address that ``init(_:way:entry:)`` took; nil for a Unix socket's.
    package var socketAddress: SocketAddress? {
        withUnsafeBytes { bytes in
            switch (bytes.first, bytes.count) {
            case (4, 9):
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = bytes.loadUnaligned(fromByteOffset: 1, as: in_port_t.self)
                withUnsafeMutableBytes(of: &address.sin_addr) {
                    $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[3..<7]))
                }
                return SocketAddress(address)
            case (6, 25):
                var address = sockaddr_in6()
                address.sin6_family = sa_family_t(AF_INET6)
                address.sin6_port = bytes.loadUnaligned(fromByteOffset: 1, as: in_port_t.self)
                withUnsafeMutableBytes(of: &address.sin6_addr) {
                    $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[3..<19]))
                }
                address.sin6_scope_id = bytes.loadUnaligned(fromByteOffset: 19, as: UInt32.self)
                return SocketAddress(address)
            default:
                return nil
            }
        }
    }
}

extension SocketAddress {
    /// False when the system was started without it.
    static let hasIPv6: Bool = {
        let descriptor = socket(AF_INET6, SocketKind.datagram | SocketKind.closeOnExec, 0)
        guard descriptor >= 0 else { return errno != EAFNOSUPPORT }
        close(descriptor)
        return true
    }()

    /// All addresses of this machine.
    var isWildcard: Bool {
        switch self {
        case .v4(let v4): v4.address.sin_addr.s_addr == 0
        case .v6(let v6): withUnsafeBytes(of: v6.address.sin6_addr) { $0.allSatisfy { $0 == 0 } }
        case .unixDomainSocket: false
        }
    }

    /// Whose it is: an address, in IPv6 a /64, as one customer or machine has at least that.
    var customer: String {
        guard case .v6(let v6) = self else { return ipAddress ?? "" }
        return withUnsafeBytes(of: v6.address.sin6_addr) { bytes in
            if bytes[..<10].allSatisfy({ $0 == 0 }), bytes[10] == 0xff, bytes[11] == 0xff {
                return bytes[12...].map { String($0) }.joined(separator: ".")
            }
            // Those of a link have one prefix on all links.
            let scope = v6.address.isOfLink ? "%\(v6.address.sin6_scope_id)" : ""
            return bytes[..<8].map { String($0, radix: 16) }.joined(separator: ".") + scope
        }
    }

    /// All addresses of this one's family, with a port that the system chooses.
    package var anyLocal: SocketAddress {
        switch self {
        case .v6:
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            return SocketAddress(address)
        case .v4, .unixDomainSocket:
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            return SocketAddress(address)
        }
    }

    /// `host:port`, as users write it.
    package var readable: String {
        let host = ipAddress ?? "?"
        return self.protocol == .inet6 ? "[\(host)]:\(port ?? 0)" : "\(host):\(port ?? 0)"
    }
}

extension sockaddr_in6 {
    /// fe80::/10: an address that each link has for itself.
    var isOfLink: Bool {
        withUnsafeBytes(of: sin6_addr) { $0[0] == 0xfe && $0[1] & 0xc0 == 0x80 }
    }
}
