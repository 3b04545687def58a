import Foundation
import LibC
import Synchronization
import Testing

/// Eclipse Mosquitto on loopback, with a memory, so that it forgets nobody when it is stopped and started.
final class Broker: Sendable {
    let port: Int
    private let scratch: Scratch
    private let process = Mutex<Victim?>(nil)

    /// With `certificates` it listens with TLS, and wants a client's certificate, a user and a password.
    init(in scratch: Scratch, certificates: Certificates? = nil) throws {
        self.scratch = scratch
        port = try Self.freePort()
        var lines = [
            "listener \(port) 127.0.0.1", "persistence true", "persistence_location \(scratch.path)/",
            "log_dest stderr", "user root",
        ]
        if let certificates {
            lines += [
                "allow_anonymous false", "password_file \(scratch.file("passwords"))",
                "cafile \(certificates.authority)", "certfile \(certificates.server)",
                "keyfile \(certificates.serverKey)", "require_certificate true",
            ]
        } else {
            lines.append("allow_anonymous true")
        }
        try scratch.write(lines.joined(separator: "\n") + "\n", to: "mosquitto.conf")
    }

    func start() async throws {
        let process = Victim(
            ["-c", scratch.file("mosquitto.conf")], executable: "/usr/sbin/mosquitto", in: scratch)
        await process.start()
        self.process.withLock { $0 = process }
        let running = try await process.errors.first(containing: "running")
        try #require(running != nil, "\(process.errors.all)")
    }

    func stop() async throws {
        let process = process.withLock { $0.take() }
        process?.send(SIGTERM)
        _ = try await process?.ended()
    }

    /// A client that prints what comes: topic, retained or not, user properties, payload.
    func watcher(_ arguments: String...) async -> Victim {
        let watcher = Victim(
            ["-V", "5", "-h", "127.0.0.1", "-p", "\(port)", "-q", "1", "-F", "%t|%r|%P|%p"] + arguments,
            executable: "/usr/bin/mosquitto_sub", in: scratch)
        await watcher.start()
        return watcher
    }

    /// A port that nobody listens on; the system gives another one each time.
    static func freePort() throws -> Int {
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(file) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(file, $0, length) == 0 && getsockname(file, $0, &length) == 0
            }
        }
        try #require(isBound)
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

/// An authority, a server's certificate for 127.0.0.1 and a client's, made with openssl.
struct Certificates {
    let scratch: Scratch
    let authority: String
    let server: String
    let serverKey: String
    let client: String
    let clientKey: String

    init(in scratch: Scratch) async throws {
        self.scratch = scratch
        authority = scratch.file("ca.pem")
        server = scratch.file("server.pem")
        serverKey = scratch.file("server.key")
        client = scratch.file("client.pem")
        clientKey = scratch.file("client.key")
        let new = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        ]
        let authority = ["-CA", "ca.pem", "-CAkey", "ca.key"]
        let calls = [
            new + ["-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem"],
            new + authority + [
                "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-addext",
                "basicConstraints=critical,CA:FALSE", "-keyout", "server.key", "-out", "server.pem",
            ],
            new + authority + [
                "-subj", "/CN=gateway", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout",
                "client.key",
                "-out", "client.pem",
            ],
        ]
        for call in calls {
            let made = try await Tool.run("/usr/bin/openssl", call, in: scratch)
            try #require(made.succeeded, "\(made.errors)")
        }
    }
}
