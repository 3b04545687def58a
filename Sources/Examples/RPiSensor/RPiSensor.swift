// A sensor on a Raspberry Pi: a reading every INTERVAL seconds, COUNT times, or for ever when COUNT is 0.

import ExampleKit
import Ouroboros
import OuroborosNIO

@main
enum RPiSensor {
    static func main() async {
        let arguments = ExampleKit.arguments(
            "RPiSensor HOST:PORT DEVICE KEYFILE INTERVAL COUNT [FILE [SCALE]]", atLeast: 5)
        guard let interval = Double(arguments[3]), let count = Int(arguments[4]), interval >= 0, count >= 0
        else { ExampleKit.fail("INTERVAL is seconds, COUNT a whole number") }
        let scale = arguments.count > 6 ? Double(arguments[6]) : 0.001
        let source: any Source =
            arguments.count > 5 ? FileSource(path: arguments[5], scale: scale ?? 1) : automaticSource()
        do {
            let server = try await HostAndPort(parsing: arguments[0]).resolve()
            let credential = Credential.fixed(
                device: try DeviceID(hex: arguments[1]), rootKey: try ExampleKit.key(in: arguments[2]))
            var configuration = ClientConfiguration()
            // Behind a home router the way back is forgotten without this.
            configuration.link.keepAlive = 25_000
            configuration.link.places = 16
            try await OuroborosClient.withConnection(
                to: server, credential: credential, configuration: configuration
            ) { connection in
                try await report(source, every: .seconds(interval), count: count, over: connection)
            }
        } catch {
            ExampleKit.fail("RPiSensor: \(error)")
        }
    }

    private static func report(
        _ source: any Source, every interval: Duration, count: Int, over connection: OuroborosConnection
    ) async throws {
        var sent = 0
        while count == 0 || sent < count {
            let reading = try await source.read()
            do {
                // A reading that is older than the next is not worth sending again.
                try await connection.send(reading, timeToLive: max(interval, .seconds(10)))
                ExampleKit.say("delivered \(String(decoding: reading, as: UTF8.self))")
            } catch let error as OuroborosError where error.code == .failed || error.code == .unknown {
                // The gateway is away: the connection goes on trying, and the next reading has its chance.
                ExampleKit.say("not delivered: \(error)")
            }
            sent += 1
            if count == 0 || sent < count {
                try await Task.sleep(for: interval)
            }
        }
    }
}
