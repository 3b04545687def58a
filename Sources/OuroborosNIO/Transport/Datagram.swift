import CNIOLinux
import LibC
import NIOCore

/// One datagram, sent from an address of one's choice.
enum Datagram {
    /// False when the system takes none now. One that it does not take at all is lost, as on any path.
    static func send(
        _ packet: UnsafeRawBufferPointer, to address: SocketAddress, from local: SocketAddress?,
        over socket: Int32
    ) -> Bool {
        let outcome = attempt(packet, to: address, from: local, over: socket)
        // The address is not this machine's any more, or is one of many machines.
        guard local != nil, outcome == EINVAL || outcome == EADDRNOTAVAIL else { return outcome != EAGAIN }
        return attempt(packet, to: address, from: nil, over: socket) != EAGAIN
    }

    /// What the system says; 0 when it took the packet.
    private static func attempt(
        _ packet: UnsafeRawBufferPointer, to address: SocketAddress, from local: SocketAddress?,
        over socket: Int32
    ) -> Int32 {
        address.withSockAddr { target, size in
            withControl(local) { control in
                var part = iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: packet.baseAddress), iov_len: packet.count)
                return withUnsafeMutablePointer(to: &part) { part in
                    var message = msghdr()
                    message.msg_name = UnsafeMutableRawPointer(mutating: target)
                    message.msg_namelen = socklen_t(size)
                    message.msg_iov = part
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = .init(control.count)
                    while true {
                        guard sendmsg(socket, &message, 0) < 0 else { return 0 }
                        if errno != EINTR { return errno }
                    }
                }
            }
        }
    }

    /// The control message that names the source (ip(7), RFC 3542 section 4); empty for none.
    private static func withControl<Result>(
        _ local: SocketAddress?, _ body: (UnsafeMutableRawBufferPointer) -> Result
    ) -> Result {
        switch local {
        case .v4(let v4):
            var info = in_pktinfo()
            info.ipi_spec_dst = v4.address.sin_addr
            return withControl(Int32(IPPROTO_IP), Int32(IP_PKTINFO), info, body)
        case .v6(let v6):
            var info = CNIOLinux_in6_pktinfo()
            info.ipi6_addr = v6.address.sin6_addr
            info.ipi6_ifindex = v6.address.sin6_scope_id
            return withControl(Int32(IPPROTO_IPV6), Int32(IPV6_PKTINFO), info, body)
        case .unixDomainSocket, nil:
            return body(UnsafeMutableRawBufferPointer(start: nil, count: 0))
        }
    }

    private static func withControl<Info, Result>(
        _ level: Int32, _ kind: Int32, _ info: Info, _ body: (UnsafeMutableRawBufferPointer) -> Result
    ) -> Result {
        let size = CNIOLinux_CMSG_SPACE(MemoryLayout<Info>.size)
        return withUnsafeTemporaryAllocation(byteCount: size, alignment: MemoryLayout<cmsghdr>.alignment) {
            buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            guard let header = buffer.baseAddress?.bindMemory(to: cmsghdr.self, capacity: 1) else {
                return body(buffer)
            }
            header.pointee.cmsg_level = level
            header.pointee.cmsg_type = kind
            header.pointee.cmsg_len = .init(CNIOLinux_CMSG_LEN(MemoryLayout<Info>.size))
            CNIOLinux_CMSG_DATA_MUTABLE(header).storeBytes(of: info, as: Info.self)
            return body(buffer)
        }
    }
}
