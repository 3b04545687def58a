import LibC
import OuroborosText
import SensorKit

/// What `ouroboros sensor --lean` becomes.
@main
enum OuroborosLean {
    static func main() {
        do {
            guard let sensor = try LeanProgram.sensor(CommandLine.arguments) else {
                Output.complain("call `ouroboros sensor --lean`: it starts this program")
                exit(64)
            }
            try sensor.run()
        } catch {
            Output.complain("\(error)")
            exit(1)
        }
    }
}
