// Many devices of a fleet at once, each a session of its own, each sending its messages one after another.

import ExampleKit
import Ouroboros
import OuroborosNIO

@main
enum AsyncClient {
    static func main() async {
        let arguments = ExampleKit.arguments(
            "AsyncClient HOST:PORT FLEETKEYFILE DEVICES MESSAGES", atLeast: 4)
        guard let devices = UInt64(arguments[2]), let messages = Int(arguments[3]), devices > 0, messages > 0
        else { ExampleKit.fail("DEVICES and MESSAGES are whole numbers above 0") }
        do {
            let server = try EndpointName(parsing: arguments[0])
            let fleetKey = try ExampleKit.key(in: arguments[1])
            let clock = ContinuousClock()
            let begin = clock.now
            let delivered = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 1...devices {
                    group.addTask {
                        let credential = try Credential.fixed(
                            device: DeviceID(number: number), fleetKey: fleetKey)
                        return try await OuroborosClient.withConnection(to: server, credential: credential) {
                            connection in
                            for index in 1...messages {
                                try await connection.send(Array("\(number) says \(index)".utf8))
                            }
                            return messages
                        }
                    }
                }
                var sum = 0
                for try await count in group { sum += count }
                return sum
            }
            ExampleKit.say("\(delivered) messages of \(devices) devices delivered in \(clock.now - begin)")
        } catch {
            ExampleKit.fail("AsyncClient: \(error)")
        }
    }
}
