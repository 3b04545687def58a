import NIOCore
import Ouroboros
import OuroborosNIO
import Testing

@testable import OuroborosPostgres

/// Where a database may be, as its URL and the environment say it.
@Suite struct PostgresTargetTests {
    private struct Names: NameLookup {
        var known: [String: [String]] = [:]

        func addresses(of place: HostAndPort, on loop: any EventLoop) -> EventLoopFuture<[SocketAddress]> {
            loop.makeCompletedFuture {
                guard let addresses = known[place.host] else {
                    throw OuroborosError(.invalidAddress, "cannot find \(place.host)")
                }
                return try addresses.map { try SocketAddress(ipAddress: $0, port: place.port) }
            }
        }
    }

    /// No name server answers.
    private struct Silence: NameLookup {
        func addresses(of place: HostAndPort, on loop: any EventLoop) -> EventLoopFuture<[SocketAddress]> {
            let never = loop.makePromise(of: [SocketAddress].self)
            loop.scheduleTask(in: .seconds(120)) { never.succeed([]) }
            return never.futureResult
        }
    }

    private let names = Names(known: [
        "db.test": ["192.0.2.1", "2001:db8::1"], "other.test": ["192.0.2.2"],
    ])

    /// Host, address and port of each, separated by blanks.
    private func places(_ url: String, _ environment: [String: String] = [:]) throws -> [String] {
        try PostgresLocation(url).targets(by: names, until: .now + .seconds(60), environment: environment)
            .map { target in
                ["host", "hostaddr", "port"].map { target.parameters[$0] ?? "-" }.joined(separator: " ")
            }
    }

    @Test func aNameIsTriedWithAllItsAddresses() throws {
        #expect(
            try places("postgres://gateway@db.test/fleet?sslmode=verify-full")
                == ["db.test 192.0.2.1 -", "db.test 2001:db8::1 -"])
        #expect(
            try places("postgres://gateway@db.test,other.test,10.0.0.1:5433/fleet")
                == [
                    "db.test 192.0.2.1 ", "db.test 2001:db8::1 ", "other.test 192.0.2.2 ", "10.0.0.1 - 5433",
                ])
        // One that is not known leaves the others.
        #expect(
            try places("postgres://gone.test,other.test:5433/fleet")
                == ["other.test 192.0.2.2 5433"])
        #expect(
            try places("postgres:///fleet", ["PGHOST": "other.test", "PGPORT": "1"]) == [
                "other.test 192.0.2.2 1"
            ])
    }

    @Test func whatTheURLSaysBesideStays() throws {
        let target = try #require(
            try PostgresLocation("postgres://gateway@db.test/fleet?sslmode=verify-full").targets(
                by: names, until: .now + .seconds(60), environment: [:]
            ).first)
        for (keyword, value) in ["user": "gateway", "dbname": "fleet", "sslmode": "verify-full"] {
            #expect(target.parameters[keyword] == value)
        }
    }

    @Test func whatIsNoNameIsNotLookedUp() throws {
        #expect(try places("postgres://gateway@[::1]:5433/fleet") == ["::1 - 5433"])
        #expect(try places("postgres://gateway@/fleet?host=/run/postgresql") == ["/run/postgresql - -"])
        // libpq knows where these are.
        #expect(try places("postgres://gateway@/fleet") == ["- - -"])
        #expect(
            try places("postgres://db.test/fleet?hostaddr=10.0.0.1") == ["db.test 10.0.0.1 -"])
        #expect(try places("postgres://db.test/fleet", ["PGHOSTADDR": "10.0.0.1"]) == ["db.test - -"])
        #expect(try places("postgres:///fleet?service=fleet", ["PGHOST": "db.test"]) == ["- - -"])
    }

    @Test func aNameThatIsNotKnownOrNotAnsweredIsADatabaseThatIsAway() throws {
        for lookup in [names, Silence()] as [any NameLookup] {
            let database = PostgresDatabase(try PostgresLocation("postgres://gone.test/x"), lookup: lookup)
            let error = #expect(throws: OuroborosError.self) {
                try PostgresStore(database, keyEncryptionKey: nil)
            }
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains("gone.test") == true, "\(error?.message ?? "")")
        }
    }
}
