import ArgumentParser
import LibC
import Ouroboros
import OuroborosBuild
import OuroborosText

struct OuroborosCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ouroboros",
        abstract: "A secure channel between sensors and their gateway, from symmetric keys alone.",
        version: "ouroboros \(Build.description)",
        subcommands: [
            Keygen.self, DeviceCommand.self, GatewayCommand.self, Join.self, Send.self, Sensor.self,
            Listen.self, Ping.self, Bench.self, Fleet.self, Analyze.self, Decode.self, Vectors.self,
            Impair.self,
            OutboxCommand.self,
            SpoolCommand.self,
        ])
}

@main
enum Main {
    static func main() async {
        ProcessStart.prepare()
        do {
            var command = try OuroborosCommand.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let error as OuroborosError {
            Output.complain(error.message)
            exit(1)
        } catch is Output.ReaderGone {
            // As one that SIGPIPE ends: whoever reads has had enough.
            exit(128 + SIGPIPE)
        } catch is CancellationError {
            exit(130)
        } catch {
            OuroborosCommand.exit(withError: error)
        }
    }
}
