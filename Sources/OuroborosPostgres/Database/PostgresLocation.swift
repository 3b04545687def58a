import CPq
import Foundation
import Ouroboros

/// Which database, as libpq's URLs say it: `postgres://USER@HOST/DATABASE`. It never holds a password: that stands in
/// PGPASSFILE or ~/.pgpass, which libpq reads if nobody else may.
public struct PostgresLocation: Sendable {
    /// For people: without parameters.
    public let name: String
    /// What the URL says, by libpq's keywords.
    let parameters: [String: String]

    public init(_ url: String) throws {
        guard url.hasPrefix("postgres://") || url.hasPrefix("postgresql://") else {
            throw OuroborosError(
                .invalidConfiguration,
                "a registry is postgres://USER@HOST/DATABASE, such as postgres://gateway@db/fleet")
        }
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(url, &message) else {
            // What it says may quote the URL, and so a password.
            PQfreemem(message)
            throw OuroborosError(.invalidConfiguration, "the registry's URL is none that PostgreSQL takes")
        }
        defer { PQconninfoFree(options) }
        var parameters: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            parameters[String(cString: keyword)] = option.pointee.val.map { String(cString: $0) }
            option += 1
        }
        guard parameters["password"] == nil else {
            throw OuroborosError(
                .invalidConfiguration,
                "the registry's URL holds a password, which others can read: put it into a file of PGPASSFILE (0600)"
            )
        }
        self.parameters = parameters
        name = String(url.prefix { $0 != "?" })
    }
}
