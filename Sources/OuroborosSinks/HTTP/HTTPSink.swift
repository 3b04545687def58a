import NIOHTTP1
import Ouroboros
import OuroborosStore

/// A server that takes batches of JSON lines by POST.
package actor HTTPSink: Sink {
    package nonisolated let name = "http"
    package nonisolated var batchLimit: Int { settings.batchLimit }
    private let settings: HTTPSinkSettings
    /// It has a thread, so that it is made when it is needed.
    private var connection: HTTPConnection?

    package init(_ settings: HTTPSinkSettings) {
        self.settings = settings
    }

    private func openConnection() throws -> HTTPConnection {
        if let connection {
            return connection
        }
        let new = try HTTPConnection.open()
        connection = new
        return new
    }

    package func deliver(_ batch: SinkBatch) async throws {
        let headers = HeaderList()
        try headers.add("content-type: ", "application/x-ndjson".utf8)
        // A string of RFC 8941, as the header's draft wants it.
        try headers.add("idempotency-key: ", "\"\(batch.key)\"".utf8)
        // Without it a large body would wait for leave to come.
        try headers.add("expect:", [])
        if let token = settings.token {
            try token.line().withUnsafeBytes { try headers.add("authorization: Bearer ", $0) }
        }
        let answer: HTTPAnswer
        do {
            answer = try await openConnection().post(
                batch.messages.flatMap { MessageLine.line(for: $0) }, headers: headers, settings)
        } catch {
            try Task.checkCancellation()
            throw SinkFailure("no answer from \(settings.shownURL): \(error)")
        }
        try Self.check(answer, settings.shownURL)
    }

    private static func check(_ answer: HTTPAnswer, _ url: String) throws {
        let status = answer.status
        guard !(200..<300).contains(status) else { return }
        let failure = "\(url) answers \(status) \(HTTPResponseStatus(statusCode: status).reasonPhrase)"
        throw SinkFailure(
            failure, outlook(of: status), retryAfter: RetryAfter.duration(answer.retryAfter))
    }

    /// What is said of the content holds for good. What is said of the address, of who asks or of the moment does not.
    private static func outlook(of status: Int) -> SinkFailure.Outlook {
        switch status {
        case 400, 415, 422: .never
        case 413: .smaller
        case 408, 425, 429, 500...: .later
        default: .afterRepair
        }
    }

    package func close() async {
        await connection.take()?.close()
    }
}
