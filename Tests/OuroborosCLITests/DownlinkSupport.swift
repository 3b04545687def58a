import Foundation
import FoundationNetworking
import LibC
import TestSupport
import Testing

/// One who sends messages to devices, over HTTP.
struct DownlinkCaller: Sendable {
    let base: String
    var token: String? = "s3cret"

    /// Those of a gateway that takes messages to devices from whoever has the token.
    static func flags(queue: String, in scratch: Scratch) throws -> [String] {
        try scratch.write("s3cret\n", to: "token")
        return [
            "--downlink", queue, "--downlink-http", "127.0.0.1:0", "--downlink-token-file", "token",
        ]
    }

    init(base: String, token: String?) {
        self.base = base
        self.token = token
    }

    init(_ gateway: Victim) async throws {
        base = "http://127.0.0.1:\(try await gateway.port(of: "downlink on"))/v1/devices/"
    }

    func call(
        _ path: String, method: String = "POST", body: String = ""
    ) async throws -> (status: Int, answer: [String: any Sendable]) {
        var request = URLRequest(url: try #require(URL(string: "\(base)\(path)")))
        request.httpMethod = method
        if method == "POST" {
            request.httpBody = Data(body.utf8)
        }
        if let token {
            request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
        }
        let (data, response) = try await URLSession.shared.data(for: request)
        let answer = try JSONSerialization.jsonObject(with: data) as? [String: any Sendable]
        return (try #require(response as? HTTPURLResponse).statusCode, answer ?? [:])
    }

    func state(of id: Int, at device: String) async throws -> String? {
        try await call("\(device)/messages/\(id)", method: "GET").answer["state"] as? String
    }
}

/// A way to a gateway that can be held up: what was sent meanwhile comes late.
struct StallingWay: Sendable {
    let port: String
    private let process: Victim

    init(to gateway: String, in scratch: Scratch) async throws {
        process = Victim(
            ["impair", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:\(gateway)"], in: scratch)
        await process.start()
        port = try await process.port(of: "listening on")
    }

    func stall() {
        process.send(SIGSTOP)
    }

    func goOn() {
        process.send(SIGCONT)
    }

    func end() async throws {
        goOn()
        try await process.killed()
    }
}
