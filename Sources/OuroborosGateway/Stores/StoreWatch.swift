import Logging
import Ouroboros
import OuroborosStore

/// The files that the gateway writes: tells when one of them cannot be written now, and when it can be again; one that turns
/// out damaged ends the gateway.
actor StoreWatch {
    private let files: [any WatchedFile]
    private let logger: Logger
    private var told: [String: ContinuousClock.Instant] = [:]
    /// Of these it was told last that they cannot be written.
    private var troubled: Set<String> = []

    private static let patience = Duration.seconds(3)
    /// Nothing is told of a file more often.
    private static let period = Duration.seconds(60)

    init(_ files: [any WatchedFile], logger: Logger) {
        self.files = files
        self.logger = logger
    }

    /// Throws while a file cannot be used.
    nonisolated func check() throws {
        for file in files {
            if let trouble = file.damage ?? file.trouble { throw trouble }
        }
    }

    /// To be called each second or so. Throws once a file is damaged: devices would wait for ever.
    func look() async throws {
        for file in files {
            if let damage = file.damage { throw damage }
            if file.trouble != nil {
                // Nobody else may have anything to write. Where it hangs the others are looked at.
                _ = try? await within(Self.patience) { try await file.probe() }
            }
            tell(file.path, file.trouble, at: .now)
        }
    }

    private func tell(_ path: String, _ trouble: OuroborosError?, at now: ContinuousClock.Instant) {
        if let trouble {
            guard told[path].map({ now - $0 > Self.period }) ?? true else { return }
            told[path] = now
            troubled.insert(path)
            logger.warning("\(trouble.message): devices wait, and it is tried again")
        } else if troubled.remove(path) != nil {
            logger.notice("“\(path)” can be written again")
        }
    }
}
