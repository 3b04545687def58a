import Foundation
import Hummingbird
import LibC
import Logging
import NIOCore

/// An HTTP server that takes batches of lines, and says what it is told to say.
final class Collector: Sendable {
    struct Request: Sendable {
        let time: ContinuousClock.Instant
        let headers: [String: String]
        let lines: [String]
    }

    struct Answer: Sendable {
        var status = HTTPResponse.Status.ok
        var retryAfter: String?
    }

    private struct State {
        var requests: [Request] = []
        var answers: [Answer] = []
        var standing = Answer()
        var refusal: @Sendable ([String]) -> HTTPResponse.Status? = { _ in nil }
    }

    private let state = Locked(State())

    var requests: [Request] { state.withLock(\.requests) }

    /// The JSON objects of the batches that were taken, by their text.
    var taken: [[String: any Sendable]] {
        state.withLock(\.requests).filter { $0.headers["answered"] == "200" }.flatMap(\.lines).compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: any Sendable]
        }
    }

    var texts: Set<String> { Set(taken.compactMap { $0["text"] as? String }) }

    /// What the next requests are answered, and those after them.
    func answer(_ answers: [Answer] = [], then standing: Answer = Answer()) {
        state.withLock {
            $0.answers = answers
            $0.standing = standing
        }
    }

    /// What a batch of these lines is answered, in place of success.
    func refuse(_ refusal: @escaping @Sendable (_ lines: [String]) -> HTTPResponse.Status?) {
        state.withLock { $0.refusal = refusal }
    }

    private func take(_ headers: [String: String], _ body: String) -> Answer {
        state.withLock { state in
            var answer = state.answers.isEmpty ? state.standing : state.answers.removeFirst()
            let lines = body.split(separator: "\n").map(String.init)
            answer.status = state.refusal(lines) ?? answer.status
            var headers = headers
            headers["answered"] = "\(answer.status.code)"
            state.requests.append(Request(time: .now, headers: headers, lines: lines))
            return answer
        }
    }

    /// Runs `body` with the server's URL.
    func serving(
        certificates: Certificates? = nil, _ body: @Sendable @escaping (String) async throws -> Void
    ) async throws {
        let router = Router()
        router.post("in") { [self] request, _ in
            var headers: [String: String] = [:]
            for field in request.headers {
                headers[field.name.canonicalName] = field.value
            }
            let bytes = try await request.body.collect(upTo: 1 << 24)
            let answer = take(headers, String(buffer: bytes))
            var response = Response(status: answer.status)
            response.headers[.retryAfter] = answer.retryAfter
            return response
        }
        let (ports, port) = AsyncStream.makeStream(of: Int.self)
        let application = Application(
            router: router,
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { port.yield($0.localAddress?.port ?? 0) },
            logger: Logger(label: "collector") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // One that cannot serve has no port to wait for.
                defer { port.finish() }
                try await application.runService(gracefulShutdownSignals: [])
            }
            for await port in ports.prefix(1) {
                guard let certificates else {
                    try await body("http://127.0.0.1:\(port)/in")
                    break
                }
                try await TLSFront.with(certificates, before: port) { port in
                    try await body("https://127.0.0.1:\(port)/in")
                }
            }
            group.cancelAll()
            while let ended = await group.nextResult() {
                if case .failure(let error) = ended, !(error is CancellationError) { throw error }
            }
        }
    }
}
