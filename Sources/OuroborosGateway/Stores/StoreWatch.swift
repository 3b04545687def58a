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
    private var attended: Set<String> = []

    private static let patience = Duration.seconds(3)
    /// Nothing is told of a file more often.
    private static let period = Duration.seconds(60)
    /// Between two tries to write one that cannot be written.
    private static let pause = Duration.seconds(1)
    private static let hangPeriod = Duration.seconds(5)

    init(_ files: [any WatchedFile], logger: Logger) {
        self.files = files
        self.logger = logger
        for file in files {
            let path = file.path
            file.unreadable.tell { logger.error("“\(path)”: \($0)") }
        }
    }

    /// Throws while a file cannot be used.
    nonisolated func check() throws {
        for file in files {
            if let trouble = file.damage ?? file.trouble { throw trouble }
        }
    }

    /// Until the task is cancelled. Throws once a file is damaged: devices would wait for ever.
    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await untilCancelled() }
            for file in files {
                group.addTask {
                    for await _ in file.failures { try await self.attend(to: file) }
                }
                // What hangs does not fail.
                group.addTask {
                    while (try? await Task.sleep(for: Self.hangPeriod)) != nil {
                        if file.trouble != nil { try await self.attend(to: file) }
                    }
                }
            }
        }
    }

    private func attend(to file: any WatchedFile) async throws {
        guard attended.insert(file.path).inserted else { return }
        defer { attended.remove(file.path) }
        if let damage = file.damage { throw damage }
        while let trouble = file.trouble {
            tell(file.path, trouble, at: .now)
            guard (try? await Task.sleep(for: Self.pause)) != nil else { return }
            // Nobody else may have anything to write.
            _ = try? await within(Self.patience) { try await file.probe() }
            if let damage = file.damage { throw damage }
        }
        tell(file.path, nil, at: .now)
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
