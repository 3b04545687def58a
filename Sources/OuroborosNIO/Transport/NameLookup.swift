import LibC
import NIOCore
import NIOPosix
import Ouroboros

/// Where clients look names up: the system's resolver, or a test's own.
package protocol NameLookup: Sendable {
    /// All addresses of a name, at least one.
    func addresses(of place: HostAndPort, on loop: any EventLoop) -> EventLoopFuture<[SocketAddress]>
}

/// The system's resolver, which blocks, on threads of its own. Who asks waits for ten seconds at most, and a name that is
/// being looked up is not looked up again meanwhile.
package final class SystemLookup: NameLookup {
    package static let shared = SystemLookup()

    private static let limit = TimeAmount.seconds(10)
    private let pool = NIOThreadPool(numberOfThreads: 4)
    private let waiting = Locked<[HostAndPort: [EventLoopPromise<[SocketAddress]>]]>([:])

    private init() {
        pool.start()
    }

    package func addresses(
        of place: HostAndPort, on loop: any EventLoop
    ) -> EventLoopFuture<[SocketAddress]> {
        if let address = try? SocketAddress(ipAddress: place.host, port: place.port) {
            return loop.makeSucceededFuture([address])
        }
        let promise = loop.makePromise(of: [SocketAddress].self)
        let timeout = loop.scheduleTask(in: Self.limit) {
            promise.fail(OuroborosError.noAddress(of: place.host, "no name server answers"))
        }
        promise.futureResult.whenComplete { _ in timeout.cancel() }
        let isFirst = waiting.withLock { waiting in
            waiting[place, default: []].append(promise)
            return waiting[place]?.count == 1
        }
        if isFirst {
            pool.submit { [self] _ in
                let addresses = HostAddresses.lookUp(place.host, port: place.port)
                    .compactMap(SocketAddress.init(bytes:))
                for promise in waiting.withLock({ $0.removeValue(forKey: place) }) ?? [] {
                    if addresses.isEmpty {
                        promise.fail(OuroborosError.noAddress(of: place.host))
                    } else {
                        promise.succeed(addresses)
                    }
                }
            }
        }
        return promise.futureResult
    }
}

extension OuroborosError {
    static func noAddress(of host: String, _ reason: String? = nil) -> OuroborosError {
        OuroborosError(
            .invalidAddress, "cannot find the address of “\(host)”" + (reason.map { ": \($0)" } ?? ""))
    }
}

extension SocketAddress {
    /// From the bytes of a `sockaddr`.
    fileprivate init?(bytes: [UInt8]) {
        let address: SocketAddress? = bytes.withUnsafeBytes { bytes in
            switch bytes.count {
            case MemoryLayout<sockaddr_in>.size:
                SocketAddress(bytes.loadUnaligned(as: sockaddr_in.self))
            case MemoryLayout<sockaddr_in6>.size:
                SocketAddress(bytes.loadUnaligned(as: sockaddr_in6.self))
            default: nil
            }
        }
        guard let address else { return nil }
        self = address
    }
}
