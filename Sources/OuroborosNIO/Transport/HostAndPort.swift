import LibC
import NIOCore
import NIOPosix
import Ouroboros

/// `host:port` or `[IPv6]:port`, as users write it.
public struct HostAndPort: Sendable, Hashable, CustomStringConvertible {
    public let host: String
    public let port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    public init(parsing text: String) throws {
        let error = OuroborosError(
            .invalidAddress,
            "“\(text)” is no address: write HOST:PORT or [IPV6]:PORT, such as 127.0.0.1:5700")
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
        else { throw error }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw error
        }
        guard !host.isEmpty else { throw error }
        self.init(host: String(host), port: Int(port))
    }

    public var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// The first address of a host's name, looked up within ten seconds. A client that is to find its server again takes
    /// the name itself (``EndpointName``).
    public func resolve() async throws -> SocketAddress {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let found = Promised<[SocketAddress]>()
        SystemLookup.shared.addresses(of: self, on: loop).whenComplete(found.finish)
        guard let first = try await found.value().first else {
            throw OuroborosError.noAddress(of: host)
        }
        return first
    }
}

/// `HOST:PORT`, `udp://HOST:PORT` or `tcp://HOST:PORT`, as users write it; without a scheme it is UDP.
public struct EndpointName: Sendable, Hashable, CustomStringConvertible {
    public let isStream: Bool
    public let place: HostAndPort

    public init(parsing text: String) throws {
        guard let end = text.range(of: "://") else {
            place = try HostAndPort(parsing: text)
            isStream = false
            return
        }
        switch text[..<end.lowerBound] {
        case "udp": isStream = false
        case "tcp": isStream = true
        default:
            throw OuroborosError(
                .invalidAddress, "“\(text)” is no address: it begins with udp:// or tcp://, or is HOST:PORT")
        }
        place = try HostAndPort(parsing: String(text[end.upperBound...]))
    }

    /// Datagrams, to a name.
    public init(_ place: HostAndPort) {
        self.place = place
        isStream = false
    }

    public var description: String { isStream ? "tcp://\(place)" : "\(place)" }

    /// The endpoint; a host's name is looked up, which may take a while.
    public func resolve() async throws -> Endpoint {
        let address = try await place.resolve()
        return isStream ? .tcp(address) : .udp(address)
    }
}

extension String {
    /// The one of Foundation's that is needed here.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) {
                return start..<index(start, offsetBy: text.count)
            }
            start = index(after: start)
        }
        return nil
    }
}
