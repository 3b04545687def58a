// A server for one device. It prints each message and answers it, until SIGINT or SIGTERM.

import ExampleKit
import Logging
import NIOCore
import Ouroboros
import OuroborosNIO
import ServiceLifecycle
import UnixSignals

/// The devices that the server knows. A real one asks a database, as OuroborosStore's does.
struct OneDevice: DeviceRegistry {
    let credential: Credential

    func credential(of device: DeviceID) -> Credential? {
        device == credential.deviceID ? credential : nil
    }

    func advance(to credential: Credential) throws {
        // Only an evolving credential moves, and it needs a place that survives a restart.
        throw OuroborosError(.invalidConfiguration, "the device's credential is fixed")
    }
}

struct AnsweringService: Service {
    let server: OuroborosServer

    func run() async throws {
        let server = server
        await withGracefulShutdownHandler {
            for await batch in server.batches {
                for received in batch.messages {
                    ExampleKit.say("\(received.device): \(String(decoding: received.payload, as: UTF8.self))")
                    // It goes out by itself; to know what becomes of it, await `delivered()`.
                    _ = server.post(Array("got ".utf8) + received.payload, to: received.device)
                }
                // The device hears only now that its messages were delivered.
                batch.confirm()
            }
        } onGracefulShutdown: {
            // The sequence of batches ends with the server.
            Task { await server.close() }
        }
    }
}

@main
enum SimpleServer {
    static func main() async throws {
        let arguments = ExampleKit.arguments("SimpleServer HOST:PORT DEVICE KEYFILE", atLeast: 3)
        let address = try await HostAndPort(parsing: arguments[0]).resolve()
        let device = try DeviceID(hex: arguments[1])
        let registry = OneDevice(
            credential: .fixed(device: device, rootKey: try ExampleKit.key(in: arguments[2])))
        let server = try await OuroborosServer.bind(to: address, registry: registry)
        ExampleKit.say("listening on port \(server.localAddress.port ?? 0)")
        let group = ServiceGroup(
            services: [AnsweringService(server: server)], gracefulShutdownSignals: [.sigint, .sigterm],
            logger: Logger(label: "SimpleServer") { StreamLogHandler.standardError(label: $0) })
        try await group.run()
    }
}
