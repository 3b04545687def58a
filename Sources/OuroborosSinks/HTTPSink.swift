import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Ouroboros
import OuroborosStore

package struct HTTPSinkSettings: Sendable {
    package let url: String
    /// Without what may be a secret, for the log.
    let shownURL: String
    /// Read for each request: a token that is replaced is used at once.
    package var tokenFile: String?
    /// Authorities in PEM; nil is those of the system.
    package var authorities: String?
    package var timeout = Duration.seconds(30)
    package var batchLimit = 500

    package init(url text: String) throws {
        guard var url = URLComponents(string: text), ["http", "https"].contains(url.scheme),
            url.host?.isEmpty == false, url.user == nil, url.password == nil, url.fragment == nil
        else {
            throw OuroborosError(
                .invalidConfiguration,
                "write http://HOST/PATH or https://HOST/PATH; a token has a key of its own")
        }
        self.url = text
        url.query = nil
        shownURL = url.string ?? url.host ?? ""
    }

    /// Throws for what cannot work, before the server is asked.
    package func check() throws {
        if let tokenFile {
            _ = try Secrets.line(of: tokenFile)
        }
        _ = try configuration()
    }

    func configuration() throws -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        // The sink's runner tries again, and says why.
        configuration.connectionPool.retryConnectionEstablishment = false
        if let authorities {
            var tls = TLSConfiguration.makeClientConfiguration()
            do {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authorities))
            } catch {
                throw OuroborosError(.storage, "“\(authorities)” holds no certificates in PEM: \(error)")
            }
            configuration.tlsConfiguration = tls
        }
        return configuration
    }
}

/// A server that takes batches of JSON lines by POST.
package actor HTTPSink: Sink {
    package nonisolated let name = "http"
    package nonisolated var batchLimit: Int { settings.batchLimit }
    private let settings: HTTPSinkSettings
    /// It has to be shut down, so that it is made when it is needed.
    private var client: HTTPClient?

    /// Of an answer's body, for the log.
    private static let mostAnswerBytes = 65_536

    package init(_ settings: HTTPSinkSettings) {
        self.settings = settings
    }

    private func openClient() throws -> HTTPClient {
        if let client {
            return client
        }
        let new = HTTPClient(
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            configuration: try settings.configuration())
        client = new
        return new
    }

    package func deliver(_ batch: SinkBatch) async throws {
        var request = HTTPClientRequest(url: settings.url)
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/x-ndjson")
        // A string of RFC 8941, as the header's draft wants it.
        request.headers.add(name: "idempotency-key", value: "\"\(batch.key)\"")
        if let tokenFile = settings.tokenFile {
            var token = try Secrets.line(of: tokenFile)
            request.headers.add(
                name: "authorization", value: "Bearer \(String(decoding: token, as: UTF8.self))")
            Erasing.erase(&token)
        }
        request.body = .bytes(ByteBuffer(bytes: batch.messages.flatMap { MessageLine.line(for: $0) }))
        let client = try openClient()
        let response: HTTPClientResponse
        do {
            response = try await client.execute(request, timeout: TimeAmount(settings.timeout))
            // Read to its end, so that the connection can be used again.
            _ = try? await response.body.collect(upTo: Self.mostAnswerBytes)
        } catch {
            try Task.checkCancellation()
            throw SinkFailure("no answer from \(settings.shownURL): \(error)")
        }
        try Self.check(response, settings.shownURL)
    }

    private static func check(_ response: HTTPClientResponse, _ url: String) throws {
        let status = response.status
        guard !(200..<300).contains(status.code) else { return }
        let failure = "\(url) answers \(status.code) \(status.reasonPhrase)"
        let isTemporary = status.code >= 500 || [408, 425, 429].contains(status.code)
        throw SinkFailure(
            failure, retryAfter: RetryAfter.duration(response.headers.first(name: "retry-after")),
            isRefusal: !isTemporary)
    }

    package func close() async {
        try? await client.take()?.shutdown()
    }
}

/// RFC 9110, section 10.2.3: seconds, or a date.
enum RetryAfter {
    static func duration(_ value: String?, now: Date = Date()) -> Duration? {
        guard let value else { return nil }
        if let seconds = Int(value), (0..<1_000_000_000).contains(seconds) {
            return .seconds(seconds)
        }
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        return format.date(from: value).map { .seconds(max(0, $0.timeIntervalSince(now))) }
    }
}
