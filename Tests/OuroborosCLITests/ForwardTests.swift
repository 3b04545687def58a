import Foundation
import LibC
import NIOCore
import Ouroboros
import OuroborosNIO
import OuroborosTesting
import Subprocess
import TestSupport
import Testing

/// Two `ouroboros gateway` that pass packets on to each other, behind a balancer that changes its mind.
@Suite(.timeLimit(.minutes(5))) struct ForwardTests {
    let scratch: Scratch

    init() async throws {
        scratch = try Scratch()
        for name in ["fleet.key", "secret"] {
            try #require(try await Tool.run(["keygen", "--out", name], in: scratch).succeeded)
        }
    }

    private func gateways() async throws -> [Victim] {
        let places = (0..<2).map { _ in OwnAddress.next() }
        var gateways: [Victim] = []
        for (index, other) in [(0, 1), (1, 0)] {
            let gateway = Victim(
                [
                    "gateway", "--fleet-key-file", "fleet.key", "--bind", "127.0.0.1:0", "--echo",
                    "--gateway-number", "\(index + 1)", "--fleet-secret-file", "secret",
                    "--forward-bind", places[index], "--peer", "\(other + 1)=\(places[other])",
                    "--metrics", "127.0.0.1:0",
                ], in: scratch)
            await gateway.start()
            gateways.append(gateway)
        }
        return gateways
    }

    @Test func aDeviceGoesOnWhereverItsPacketsLandAndLosesNothing() async throws {
        let gateways = try await gateways()
        var entries: [SocketAddress] = []
        for gateway in gateways {
            let port = try #require(Int(try await gateway.port(of: "listening on")))
            entries.append(try SocketAddress(ipAddress: "127.0.0.1", port: port))
        }
        let fleetKey = try SecretKey(hex: Array(try scratch.read("fleet.key").utf8))
        let credential = try Credential.fixed(device: DeviceID(number: 7), fleetKey: fleetKey)
        let texts = (0..<120).map { "number \($0)" }
        // A device that only listens is found behind another entry once it has sent something.
        var configuration = ClientConfiguration()
        configuration.link.keepAlive = 500
        try await ImpairmentProxy.withProxy(to: entries[0]) { [configuration] balancer in
            try await OuroborosClient.withConnection(
                to: balancer.address, credential: credential, configuration: configuration
            ) { device in
                for turn in 0..<6 {
                    var pending: [PendingMessage] = []
                    for text in texts[turn * 20..<(turn + 1) * 20] {
                        pending.append(try await device.enqueue(Array(text.utf8)))
                    }
                    // While they, or what acknowledges them, are under way.
                    try await balancer.redirect(to: entries[(turn + 1) % 2])
                    for message in pending { try await message.delivered() }
                }
                // Answers come back from where the device sends to.
                var echoes: Set<String> = []
                for await message in device.messages {
                    echoes.insert(String(decoding: message.payload, as: UTF8.self))
                    if echoes.count == texts.count { break }
                }
                #expect(echoes == Set(texts))
                #expect(try await device.statistics().handshakes == 1)
            }
        }
        // The first gateway's session had them all, each once.
        let messages = objects(try await gateways[0].output.atLeast(texts.count))
        #expect(messages.compactMap { $0["text"] as? String }.sorted() == texts.sorted())
        #expect(messages.allSatisfy { ($0["session"] as? Int).map { $0 >> 24 } == 1 })
        #expect(gateways[1].output.count == 0)
        for gateway in gateways {
            #expect(try #require(await gateway.sample("ouroboros_forwards_sent_total")) > 0)
            #expect(try #require(await gateway.sample("ouroboros_forwards_received_total")) > 0)
            gateway.send(SIGTERM)
            #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
        }
    }
}
