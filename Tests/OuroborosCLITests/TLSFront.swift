import TestSupport
import Testing

/// stunnel on loopback, which speaks TLS before a server that does not.
enum TLSFront {
    /// Runs `body` with the port that takes TLS.
    static func with(
        _ certificates: Certificates, before port: Int, _ body: (Int) async throws -> Void
    ) async throws {
        let scratch = certificates.scratch
        let lines = [
            // 6 tells the port that the system gave.
            "foreground = yes", "pid =", "debug = 6", "[https]", "accept = 127.0.0.1:0",
            "connect = 127.0.0.1:\(port)", "cert = \(certificates.server)", "key = \(certificates.serverKey)",
        ]
        try scratch.write(lines.joined(separator: "\n") + "\n", to: "stunnel.conf")
        let process = Victim(
            [scratch.file("stunnel.conf")], executable: "/usr/bin/stunnel4", in: scratch)
        await process.start()
        do {
            let bound = try await process.errors.first(containing: "bound to 127.0.0.1:")
            let port = bound.split(separator: ":").last.flatMap { Int($0) }
            try await body(#require(port, "\(process.errors.all)"))
            try await process.killed()
        } catch {
            try? await process.killed()
            throw error
        }
    }
}
