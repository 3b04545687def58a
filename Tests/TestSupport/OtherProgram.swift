import GRDB

/// Another program that writes to an SQLite file, and keeps to no rule of the tables.
package enum OtherProgram {
    package static func change(_ path: String, _ statements: [String]) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA ignore_check_constraints = ON") }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        for statement in statements {
            try queue.write { try $0.execute(sql: statement) }
        }
        try queue.close()
    }
}
