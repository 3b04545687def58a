import ArgumentParser
import Foundation
import LibC
import Logging
import Ouroboros
import OuroborosGateway
import OuroborosText
import UnixSignals

struct GatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "Listens to devices and prints what they send, one JSON line a message.",
        discussion: """
            A device hears that its message was delivered once the line is written to standard output, or, with \
            --spool, once it is in the spool. Logs go to standard error. SIGINT and SIGTERM end it: each device is told. \
            SIGHUP has it open files and read its configuration anew.

            What flags do not say is taken from the environment (OUROBOROS_GATEWAY_STORE for --store, and so on), \
            then from the file of --config, then from the defaults.
            """)

    @Option(
        help: "A file with the configuration, JSON (.json) or YAML (.yaml); its keys are the flags' names.")
    var config: String?

    @Flag(help: "Checks the configuration, prints it with where each value comes from, and ends.")
    var checkConfig = false

    @OptionGroup var flags: GatewayFlags
    @OptionGroup(title: "Fleet") var fleet: GatewayFlags.Fleet
    @OptionGroup(title: "Limits and times") var limits: GatewayFlags.Limits
    @OptionGroup(title: "Spool and sinks") var spool: GatewaySinkFlags.Spool
    @OptionGroup(title: "Sink: file") var file: GatewaySinkFlags.File
    @OptionGroup(title: "Sink: MQTT") var mqtt: GatewaySinkFlags.MQTT
    @OptionGroup(title: "Sink: HTTP") var http: GatewaySinkFlags.HTTP
    @OptionGroup(title: "Messages to devices") var downlink: GatewaySinkFlags.Downlink
    @OptionGroup var taps: TapOptions

    private var given: [GatewayKey: String] {
        let groups: [any GatewayFlagGroup] = [flags, fleet, limits, spool, file, mqtt, http, downlink]
        return groups.reduce(into: [:]) { given, group in
            given.merge(group.values.compactMapValues(\.self)) { _, new in new }
        }
    }

    func run() async throws {
        // From here on, as one that comes early must not end the gateway.
        let hangUps = await UnixSignalsSequence(trapping: .sighup)
        let settings = try await settings()
        let level = LogLevel(settings.logLevel)
        let logger = Logger(label: "ouroboros.gateway") { LevelledLog(label: $0, level) }
        let manager = ServiceManager(environment: ProcessInfo.processInfo.environment)
        let gateway = try Gateway(settings, process: .this, manager: manager, logger: logger)
        if checkConfig {
            return try Output.line(settings.description)
        }
        if settings.writesToStandardOutput {
            try Output.require()
        }
        let open = try await gateway.open(tap: try taps.tap())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await _ in hangUps {
                    await open.reload.take {
                        let new = try await self.settings()
                        level.set(new.logLevel)
                        return new
                    }
                }
            }
            try await open.runUntilSignalled()
            group.cancelAll()
        }
    }

    private func settings() async throws -> GatewaySettings {
        try GatewaySettings(
            try await GatewaySources(
                flags: given, environment: ProcessInfo.processInfo.environment, file: config))
    }
}

extension GatewayProcess {
    fileprivate static let this = GatewayProcess(
        print: { lines in
            do {
                try Output.lines(lines)
            } catch let gone as Output.ReaderGone {
                throw OuroborosError(
                    .transport, "\(gone): whoever read it has gone; what was not written is not acknowledged")
            }
        },
        giveUp: { reason in
            Output.complain(reason)
            exit(1)
        })
}
