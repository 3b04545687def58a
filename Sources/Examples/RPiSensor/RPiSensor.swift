// A sensor on a Raspberry Pi Zero: a reading every INTERVAL seconds, COUNT times, or for ever when COUNT is 0. One thread
// and a plain UDP socket, no event loop and no Foundation, to keep it small.

import ExampleKit
import Ouroboros
import OuroborosPOSIX

@main
enum RPiSensor {
    static func main() {
        let arguments = ExampleKit.arguments(
            "RPiSensor HOST PORT DEVICE KEYFILE INTERVAL COUNT [FILE [SCALE]]", atLeast: 6)
        guard let port = Int(arguments[1]), let interval = Double(arguments[4]),
            let count = Int(arguments[5]),
            interval >= 0, count >= 0
        else { ExampleKit.fail("PORT and COUNT are whole numbers, INTERVAL is seconds") }
        let scale = arguments.count > 7 ? Double(arguments[7]) : 0.001
        let source: any Source =
            arguments.count > 6 ? FileSource(path: arguments[6], scale: scale ?? 1) : automaticSource()
        do {
            let credential = Credential.fixed(
                device: try DeviceID(hex: arguments[2]), rootKey: try ExampleKit.key(in: arguments[3]))
            let client = try BlockingClient(
                socket: try SystemSocket(host: arguments[0], port: port), credential: credential)
            try client.connect()
            try report(source, every: .seconds(interval), count: count, with: client)
            client.close()
        } catch {
            ExampleKit.fail("RPiSensor: \(error)")
        }
    }

    private static func report(
        _ source: any Source, every interval: Duration, count: Int, with client: BlockingClient
    ) throws {
        let clock = ContinuousClock()
        var sent = 0
        while count == 0 || sent < count {
            let due = clock.now + (sent > 0 ? interval : .zero)
            while clock.now < due {
                // Commands from the gateway come in here, while it waits.
                _ = try client.receive(timeout: due - clock.now)
            }
            let reading = try source.read()
            try client.send(reading)
            sent += 1
            ExampleKit.say("delivered \(String(decoding: reading, as: UTF8.self))")
        }
    }
}
