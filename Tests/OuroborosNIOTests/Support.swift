import LibC
import NIOCore
import Ouroboros
import OuroborosNIO
import TestSupport

let device = DeviceID(number: 0x0102_0304_0506_0708)
let loopback = SocketAddress.loopback(port: 0)

extension SocketAddress {
    static func loopback(port: Int) -> SocketAddress {
        do {
            return try SocketAddress(ipAddress: "127.0.0.1", port: port)
        } catch {
            preconditionFailure("127.0.0.1 is an address")
        }
    }
}

/// The transports that the same tests run over.
enum Way: CaseIterable, Sendable {
    case udp, tcp

    func at(_ address: SocketAddress) -> Endpoint {
        Endpoint(self == .udp ? .udp : .tcp, address)
    }

    var endpoint: Endpoint { at(loopback) }
}

/// Runs `body` beside a server that confirms each batch after `handle`.
func withEchoServer<Result: Sendable>(
    over way: Way = .udp, _ registry: any DeviceRegistry, configuration: ServerConfiguration = .init(),
    echoes: Bool = true,
    _ body: @Sendable @escaping (OuroborosServer, Collector) async throws -> Result
) async throws -> Result {
    try await OuroborosServer.withServer(
        at: [way.endpoint], registry: registry, configuration: configuration
    ) { server in
        let collector = Collector()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await batch in server.batches {
                    collector.add(batch.messages)
                    batch.confirm()
                    guard echoes else { continue }
                    for message in batch.messages {
                        _ = server.post(message.payload, to: message.device)
                    }
                }
            }
            let result = try await body(server, collector)
            group.cancelAll()
            return result
        }
    }
}

/// What a server received.
final class Collector: Sendable {
    private let messages = Locked<[ReceivedMessage]>([])

    func add(_ new: [ReceivedMessage]) {
        messages.withLock { $0.append(contentsOf: new) }
    }

    var all: [ReceivedMessage] { messages.withLock { $0 } }
    var payloads: [[UInt8]] { all.map(\.payload) }
    var count: Int { messages.withLock(\.count) }

    func payloads(of device: DeviceID) -> [[UInt8]] {
        messages.withLock { $0.filter { $0.device == device }.map(\.payload) }
    }
}
