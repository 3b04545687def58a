// A client that sends its arguments, one message each, and prints one answer to each.

import ExampleKit
import Ouroboros
import OuroborosNIO

@main
enum SimpleClient {
    static func main() async {
        let arguments = ExampleKit.arguments("SimpleClient HOST:PORT DEVICE KEYFILE TEXT...", atLeast: 4)
        do {
            let server = try EndpointName(parsing: arguments[0])
            let credential = Credential.fixed(
                device: try DeviceID(hex: arguments[1]), rootKey: try ExampleKit.key(in: arguments[2]))
            var configuration = ClientConfiguration()
            configuration.connectTimeout = .seconds(5)
            try await OuroborosClient.withConnection(
                to: server, credential: credential, configuration: configuration
            ) { connection in
                var answers = connection.messages.makeAsyncIterator()
                for text in arguments.dropFirst(3) {
                    // Returns when the server has confirmed it.
                    try await connection.send(Array(text.utf8))
                    guard let answer = await answers.next() else { break }
                    ExampleKit.say(String(decoding: answer.payload, as: UTF8.self))
                }
            }
        } catch {
            ExampleKit.fail("SimpleClient: \(error)")
        }
    }
}
