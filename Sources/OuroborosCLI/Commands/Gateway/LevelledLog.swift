import LibC
import Logging

/// The level of a log, which may change while the program runs.
final class LogLevel: Sendable {
    private let level: Locked<Logger.Level>

    init(_ level: Logger.Level) {
        self.level = Locked(level)
    }

    var now: Logger.Level { level.withLock(\.self) }

    func set(_ new: Logger.Level) {
        level.withLock { $0 = new }
    }
}

/// Standard error, at a level that all copies share but those that were given their own.
struct LevelledLog: LogHandler {
    private var output: StreamLogHandler
    private let shared: LogLevel
    private var own: Logger.Level?

    init(label: String, _ level: LogLevel) {
        output = .standardError(label: label)
        output.logLevel = .trace
        shared = level
    }

    var logLevel: Logger.Level {
        get { own ?? shared.now }
        set { own = newValue }
    }

    var metadata: Logger.Metadata {
        get { output.metadata }
        set { output.metadata = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { output[metadataKey: key] }
        set { output[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) {
        output.log(event: event)
    }
}
