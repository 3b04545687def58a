import CPq
import Foundation
import LibC
import NIOCore
import NIOPosix
import Ouroboros
import OuroborosNIO

/// One place where a database may be: what libpq is told.
struct PostgresTarget: Equatable {
    private(set) var parameters: [String: String]

    fileprivate init(_ parameters: [String: String]) {
        self.parameters = parameters
        // Texts are UTF-8 here, whatever the database's are.
        self.parameters["client_encoding"] = "UTF8"
    }

    /// Nil when there is no memory left.
    func startConnecting() -> OpaquePointer? {
        let all = parameters.map { (strdup($0.key), strdup($0.value)) }
        defer {
            for (name, value) in all {
                free(name)
                free(value)
            }
        }
        let names: [UnsafePointer<CChar>?] = all.map { UnsafePointer($0.0) } + [nil]
        let values: [UnsafePointer<CChar>?] = all.map { UnsafePointer($0.1) } + [nil]
        return PQconnectStartParams(names, values, 0)
    }
}

extension PostgresLocation {
    /// One for each address of each host: libpq would look names up itself, and its caller would wait for that. A host
    /// keeps its name beside its address (`hostaddr`), which TLS and password files go by.
    func targets(
        by lookup: any NameLookup, until deadline: ContinuousClock.Instant,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> [PostgresTarget] {
        guard let places = places(environment) else { return [PostgresTarget(parameters)] }
        var targets: [PostgresTarget] = []
        var failure: (any Error)?
        for place in places {
            var parameters = parameters
            parameters["host"] = place.host
            parameters["port"] = place.port
            guard place.isName else {
                targets.append(PostgresTarget(parameters))
                continue
            }
            do {
                for address in try lookup.addresses(of: place.host, until: deadline) {
                    parameters["hostaddr"] = address
                    targets.append(PostgresTarget(parameters))
                }
            } catch {
                failure = error
            }
        }
        if targets.isEmpty, let failure { throw PostgresFailure.unavailable("\(failure)") }
        return targets
    }

    private struct Place {
        let host: String
        let port: String?

        /// And neither an address nor a folder of sockets.
        var isName: Bool {
            guard let first = host.first, first != "/", first != "@" else { return false }
            return (try? SocketAddress(ipAddress: host, port: 0)) == nil
        }
    }

    /// As libpq reads them: several with commas between them, or what the environment says. Nil where it knows an address
    /// or finds the host in a file of services.
    private func places(_ environment: [String: String]) -> [Place]? {
        func said(_ keyword: String, _ variable: String) -> String? {
            (parameters[keyword] ?? environment[variable]).flatMap { $0.isEmpty ? nil : $0 }
        }
        guard said("hostaddr", "PGHOSTADDR") == nil, said("service", "PGSERVICE") == nil,
            let host = said("host", "PGHOST")
        else { return nil }
        let hosts = host.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let ports = said("port", "PGPORT").map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        // libpq says what is wrong with them.
        guard ports.map({ $0.count == 1 || $0.count == hosts.count }) ?? true else { return nil }
        return hosts.enumerated().map { index, host in
            Place(host: host, port: ports.map { $0.count == 1 ? $0[0] : $0[index] })
        }
    }
}

extension NameLookup {
    /// The addresses of a name, as text. It waits on this thread, which is no event loop's.
    fileprivate func addresses(of host: String, until deadline: ContinuousClock.Instant) throws -> [String] {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let answer = loop.makePromise(of: [SocketAddress].self)
        addresses(of: HostAndPort(host: host, port: 0), on: loop).cascade(to: answer)
        let limit = loop.scheduleTask(in: TimeAmount(deadline - .now)) {
            answer.fail(
                OuroborosError(
                    .unreachable, "cannot find the address of “\(host)”: no name server answers in time"))
        }
        defer { limit.cancel() }
        return try answer.futureResult.wait().compactMap(\.text)
    }
}

extension SocketAddress {
    /// With its scope: an address of one link means nothing without it.
    fileprivate var text: String? {
        guard case .v6(let address) = self, address.address.sin6_scope_id != 0 else { return ipAddress }
        return ipAddress.map { "\($0)%\(address.address.sin6_scope_id)" }
    }
}
