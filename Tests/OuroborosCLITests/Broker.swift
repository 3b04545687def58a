import Foundation
import LibC
import TestSupport
import Testing

/// Eclipse Mosquitto on loopback, with a memory, so that it forgets nobody when it is stopped and started.
final class Broker: Sendable {
    /// A broker that is stopped and started is found where it was.
    let port = OwnAddress.nextPort()
    private let scratch: Scratch
    private let process = Locked<Victim?>(nil)

    /// With `certificates` it listens with TLS, and wants a client's certificate, a user and a password.
    init(in scratch: Scratch, certificates: Certificates? = nil, _ more: String...) throws {
        self.scratch = scratch
        var lines = [
            "listener \(port) \(OwnAddress.host)", "persistence true",
            "persistence_location \(scratch.path)/", "log_dest stderr", "user root",
        ]
        lines += ["error", "warning", "notice", "information", "subscribe"].map { "log_type \($0)" }
        if let certificates {
            lines += [
                "allow_anonymous false", "password_file \(scratch.file("passwords"))",
                "cafile \(certificates.authority)", "certfile \(certificates.server)",
                "keyfile \(certificates.serverKey)", "require_certificate true",
            ]
        } else {
            lines.append("allow_anonymous true")
        }
        lines += more
        try scratch.write(lines.joined(separator: "\n") + "\n", to: "mosquitto.conf")
    }

    var url: String { "mqtt://\(address)" }
    var address: String { "\(OwnAddress.host):\(port)" }

    func start() async throws {
        let process = Victim(
            ["-c", scratch.file("mosquitto.conf")], executable: "/usr/sbin/mosquitto", in: scratch)
        await process.start()
        self.process.withLock { $0 = process }
        try await process.errors.first(containing: "running")
    }

    /// What it has logged.
    var log: [String] { process.withLock { $0?.errors.all } ?? [] }

    func stop() async throws {
        let process = process.withLock { $0.take() }
        process?.send(SIGTERM)
        _ = try await process?.ended()
    }

    /// A client that prints what comes, once it has subscribed: topic, retained or not, user properties, payload.
    func watcher(as id: String = UUID().uuidString, _ arguments: String...) async throws -> Victim {
        let watcher = Victim(
            ["-V", "5", "-h", OwnAddress.host, "-p", "\(port)", "-i", id, "-q", "1", "-F", "%t|%r|%P|%p"]
                + arguments,
            executable: "/usr/bin/mosquitto_sub", in: scratch)
        await watcher.start()
        let running = process.withLock(\.self)
        // The log tells who subscribed, with which quality, to what.
        try await running?.errors.first(containing: "\(id) 1 ")
        return watcher
    }

    /// Publishes to those who listen.
    func publish(_ text: String, to topic: String, _ arguments: String...) async throws {
        let published = try await Tool.run(
            "/usr/bin/mosquitto_pub",
            ["-V", "5", "-h", OwnAddress.host, "-p", "\(port)", "-q", "1", "-t", topic, "-m", text]
                + arguments, in: scratch)
        #expect(published.succeeded, "\(published.errors)")
    }
}

/// An authority, a server's certificate for loopback and a client's, made with openssl.
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
                "-subj", "/CN=127.0.0.1", "-addext",
                "subjectAltName=IP:127.0.0.1,IP:\(OwnAddress.host)", "-addext",
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
