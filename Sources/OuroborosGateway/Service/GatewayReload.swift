import LibC
import Logging
import Ouroboros

/// Takes over what may change while a gateway runs, and has its files opened anew.
package final class GatewayReload: Sendable {
    private let running: Locked<[GatewayKey: String?]>
    private let outputs: GatewayOutputs
    private let logger: Logger

    /// What is read anew. Files of passwords, tokens and certificates are read whenever they are needed.
    static let changeable: Set<GatewayKey> = [
        .logLevel, .fileSize, .fileAge, .fileKeep, .spoolMessages, .spoolBytes, .spoolKeep, .spoolDead,
    ]

    init(_ settings: GatewaySettings, outputs: GatewayOutputs, logger: Logger) {
        running = Locked(settings.values)
        self.outputs = outputs
        self.logger = logger
    }

    /// What cannot be read changes nothing.
    package func take(_ read: () async throws -> GatewaySettings) async {
        let settings: GatewaySettings
        do {
            settings = try await read()
        } catch {
            await outputs.reopen()
            logger.error("the configuration cannot be read anew, and stays as it was: \(error)")
            return
        }
        await outputs.change(settings.sinks)
        await outputs.reopen()
        let (taken, left) = running.withLock { running in
            let changed = GatewayKey.allCases.filter { running[$0] != settings.values[$0] }
            let taken = changed.filter(Self.changeable.contains)
            for key in taken {
                running[key] = settings.values[key]
            }
            return (taken, changed.filter { !Self.changeable.contains($0) })
        }
        let names = taken.isEmpty ? "nothing" : taken.map(\.rawValue).joined(separator: ", ")
        logger.notice("the configuration was read anew, and files are opened anew; changed: \(names)")
        if !left.isEmpty {
            logger.warning(
                "changed, but not while the gateway runs; start it anew for: \(left.map(\.rawValue).joined(separator: ", "))"
            )
        }
    }
}

extension GatewaySettings {
    fileprivate var values: [GatewayKey: String?] {
        Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0.value) })
    }
}
