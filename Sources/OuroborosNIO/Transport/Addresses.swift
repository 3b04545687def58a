import CNIOLinux
import LibC
import NIOCore
import Ouroboros

extension PeerAddress {
    /// Family, port, address and scope, one after the other, which of a server's sockets it came to, and the gateway
    /// that passed it on, 0 for none: a path through another gateway is another path.
    init(_ address: SocketAddress, socket: UInt8 = 0, entry: UInt8 = 0) {
        self = withUnsafeTemporaryAllocation(byteCount: PeerAddress.capacity, alignment: 1) { buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            switch address {
            case .v4(let v4):
                buffer[0] = 4
                buffer.storeBytes(of: v4.address.sin_port, toByteOffset: 1, as: in_port_t.self)
                Swift.withUnsafeBytes(of: v4.address.sin_addr) {
                    UnsafeMutableRawBufferPointer(rebasing: buffer[3..<7]).copyMemory(from: $0)
                }
                buffer[7] = socket
                buffer[8] = entry
                return PeerAddress(UnsafeRawBufferPointer(rebasing: buffer[..<9]))
            case .v6(let v6):
                buffer[0] = 6
                buffer.storeBytes(of: v6.address.sin6_port, toByteOffset: 1, as: in_port_t.self)
                Swift.withUnsafeBytes(of: v6.address.sin6_addr) {
                    UnsafeMutableRawBufferPointer(rebasing: buffer[3..<19]).copyMemory(from: $0)
                }
                buffer.storeBytes(of: v6.address.sin6_scope_id, toByteOffset: 19, as: UInt32.self)
                buffer[23] = socket
                buffer[24] = entry
                return PeerAddress(UnsafeRawBufferPointer(rebasing: buffer[..<25]))
            case .unixDomainSocket:
                return PeerAddress(UnsafeRawBufferPointer(rebasing: buffer[..<1]))
            }
        }
    }

    /// Which of a server's sockets it came to.
    var socket: UInt8 {
        withUnsafeBytes { $0.dropLast().last ?? 0 }
    }

    /// The gateway that passed it on; 0 for none.
    var entry: UInt8 {
        withUnsafeBytes { $0.last ?? 0 }
    }

    /// The address that ``init(_:socket:)`` took; nil for a Unix socket's.
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
