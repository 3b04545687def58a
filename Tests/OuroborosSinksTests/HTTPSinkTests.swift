import Foundation
import LibC
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosSinks

/// The HTTP sink before servers that mean well, and others.
@Suite(.timeLimit(.minutes(2))) struct HTTPSinkTests {
    private func batch(_ text: String = "a") -> SinkBatch {
        let message = SpooledMessage(
            id: 1, receivedAt: 0, device: DeviceID(number: 1), sessionID: 1, counter: 1, position: nil,
            payload: Array(text.utf8))
        return SinkBatch([message], key: "spool-1-1")
    }

    /// A sink to the server, which both stay until `body` returns.
    private func withSink(
        to server: RawServer, _ change: (inout HTTPSinkSettings) -> Void = { _ in },
        _ body: (HTTPSink) async throws -> Void
    ) async throws {
        defer { withExtendedLifetime(server) {} }
        var settings = try HTTPSinkSettings(url: server.url + "?q=secret")
        change(&settings)
        let sink = HTTPSink(settings)
        do {
            try await body(sink)
        } catch {
            await sink.close()
            throw error
        }
        await sink.close()
    }

    private func failure(
        of sink: HTTPSink, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> SinkFailure {
        let error = await #expect(throws: SinkFailure.self, sourceLocation: sourceLocation) {
            try await sink.deliver(batch())
        }
        return try #require(error, sourceLocation: sourceLocation)
    }

    private func eventually(_ what: Comment, _ isSo: () -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(30)
        while !isSo() {
            try #require(ContinuousClock.now < end, what)
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    @Test func batchesGoOverOneConnection() async throws {
        let scratch = try Scratch()
        try scratch.write("first\n", to: "token")
        let server = try RawServer { _, connection in
            connection.ok()
            return true
        }
        try await withSink(to: server, { $0.token = .file(scratch.file("token")) }) { sink in
            try await sink.deliver(batch())
            try scratch.write("second\n", to: "token")
            // Larger than what would otherwise wait for 100 (Continue).
            try await sink.deliver(batch(String(repeating: "x", count: 3_000_000)))
        }
        #expect(server.connections == 1)
        let (one, two) = (server.requests[0], server.requests[1])
        #expect(one.lines.first == "POST /in?q=secret HTTP/1.1")
        #expect(one.value("content-type") == "application/x-ndjson")
        #expect(one.value("idempotency-key") == "\"spool-1-1\"")
        #expect(one.value("authorization") == "Bearer first")
        #expect(one.value("expect") == nil)
        #expect(one.body.hasSuffix("}\n") && one.body.contains("\"a\""))
        #expect(two.value("authorization") == "Bearer second")
        #expect(two.body.utf8.count > 3_000_000)
    }

    @Test func theThreadIsWoken() async throws {
        let server = try RawServer { _, connection in
            connection.ok()
            return true
        }
        try await withSink(to: server) { sink in
            let begin = ContinuousClock.now
            for _ in 1...40 { try await sink.deliver(batch()) }
            // It looks once a second of its own accord.
            #expect(ContinuousClock.now - begin < .seconds(20))
        }
    }

    @Test func aTokenThatCannotBeReadIsNoRequest() async throws {
        let server = try RawServer { _, _ in false }
        try await withSink(to: server, { $0.token = .file("/none") }) { sink in
            await #expect(throws: OuroborosError.self) { try await sink.deliver(batch()) }
        }
        #expect(server.connections == 0)
    }

    @Test(arguments: ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
    func aRedirectionIsARefusal(status: String) async throws {
        let server = try RawServer { _, connection in
            connection.ok(status, "Location: /other\r\n")
            return true
        }
        try await withSink(to: server) { sink in
            let failure = try await failure(of: sink)
            #expect(failure.outlook == .afterRepair)
            #expect(failure.description == "\(server.url) answers \(status)")
        }
        #expect(server.requests.count == 1)
    }

    @Test(
        arguments: [
            ([400, 415, 422], SinkFailure.Outlook.never), ([413], .smaller),
            ([408, 425, 429, 500, 502, 503, 504, 507], .later),
            ([300, 401, 402, 403, 404, 405, 409, 410, 411, 421, 451, 499], .afterRepair),
        ])
    func whatAStatusSays(statuses: [Int], outlook: SinkFailure.Outlook) async throws {
        let status = Locked(0)
        let server = try RawServer { _, connection in
            connection.ok("\(status.value) X")
            return true
        }
        try await withSink(to: server) { sink in
            for number in statuses {
                status.set(number)
                let said = try await failure(of: sink).outlook
                #expect(said == outlook, "\(number)")
            }
        }
    }

    @Test func whenToTryAgain() async throws {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        let date = format.string(from: Date(timeIntervalSinceNow: 1000))
        let value = Locked("7")
        let server = try RawServer { _, connection in
            connection.ok("503 No", "Retry-After: \(value.value)\r\n")
            return true
        }
        try await withSink(to: server) { sink in
            let seconds = try await failure(of: sink)
            #expect(seconds.retryAfter == .seconds(7) && seconds.outlook == .later)
            // The server's own words are not taken over.
            #expect(seconds.description == "\(server.url) answers 503 Service Unavailable")
            value.set(date)
            let later = try #require(try await failure(of: sink).retryAfter)
            #expect(later > .seconds(900) && later <= .seconds(1000))
            value.set("soon")
            let never = try await failure(of: sink)
            #expect(never.retryAfter == nil)
        }
    }

    @Test func aServerThatNeverAnswers() async throws {
        let server = try RawServer { _, connection in
            while connection.read() != nil {}
            return false
        }
        try await withSink(to: server, { $0.timeout = .milliseconds(300) }) { sink in
            let first = try await failure(of: sink)
            #expect(first.description == "no answer from \(server.url): none within 0.3 seconds")
            #expect(first.outlook == .later)
            // The same reason in the same words, which the log tells once.
            let second = try await failure(of: sink)
            #expect(second.description == first.description)
        }
    }

    @Test func aTimeThatTheLibraryCannotHold() async throws {
        let server = try RawServer { _, connection in
            connection.ok()
            return true
        }
        try await withSink(to: server, { $0.timeout = .seconds(Int64.max) }) { sink in
            try await sink.deliver(batch())
        }
    }

    @Test func aHeadThatTrickles() async throws {
        let server = try RawServer { _, connection in
            connection.write("HTTP/1.1 200 OK\r\nX: ")
            connection.trickle("x")
            return false
        }
        try await withSink(to: server, { $0.timeout = .milliseconds(500) }) { sink in
            let failure = try await failure(of: sink)
            #expect(failure.description.contains("none within 0.5 seconds"))
        }
    }

    /// The batch was taken: how the answer goes on does not matter.
    @Test func aBodyThatTrickles() async throws {
        let server = try RawServer { _, connection in
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            connection.trickle("x")
            return false
        }
        try await withSink(to: server, { $0.timeout = .milliseconds(500) }) { sink in
            try await sink.deliver(batch())
        }
    }

    @Test func anAnswerOf100MB() async throws {
        let written = Locked(0)
        let server = try RawServer { _, connection in
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            let piece = String(repeating: "x", count: 100_000)
            for _ in 0..<1000 {
                guard connection.write(piece) else { break }
                written.set(written.value + piece.utf8.count)
            }
            return false
        }
        try await withSink(to: server) { sink in
            try await sink.deliver(batch())
            try await eventually("the server notices that nobody reads") { server.ended == 1 }
        }
        // What the kernel keeps for a connection is taken before.
        #expect(written.value < 50_000_000)
    }

    @Test func aHeadWithoutEnd() async throws {
        let server = try RawServer { _, connection in
            connection.write("HTTP/1.1 200 OK\r\n")
            while connection.write("X-More: \(String(repeating: "x", count: 1000))\r\n") {}
            return false
        }
        try await withSink(to: server) { sink in
            let failure = try await failure(of: sink)
            #expect(failure.description.contains("the head of its answer is longer than"))
        }
    }

    @Test(arguments: [
        "", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Le", "rubbish\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n",
    ])
    func answersThatAreNone(text: String) async throws {
        let isHostile = Locked(true)
        let server = try RawServer { _, connection in
            guard isHostile.value else {
                connection.ok()
                return true
            }
            connection.write(text)
            return false
        }
        try await withSink(to: server) { sink in
            let failure = try await failure(of: sink)
            #expect(failure.description.hasPrefix("no answer from \(server.url): "))
            isHostile.set(false)
            try await sink.deliver(batch())
        }
    }

    @Test func aConnectionThatTheServerClosedIsOpenedAgain() async throws {
        let server = try RawServer { _, connection in
            connection.ok()
            return false
        }
        try await withSink(to: server) { sink in
            for _ in 1...3 { try await sink.deliver(batch()) }
        }
        #expect(server.requests.count == 3)
    }

    @Test func nobodyListens() async throws {
        let server = try RawServer { _, _ in false }
        server.stop()
        try await withSink(to: server) { sink in
            let failure = try await failure(of: sink)
            #expect(failure.description == "no answer from \(server.url): Connection refused")
        }
    }

    @Test func whatIsCancelledReturnsAtOnce() async throws {
        let answers = Locked(false)
        let server = try RawServer { _, connection in
            guard answers.value else {
                while connection.read() != nil {}
                return false
            }
            connection.ok()
            return true
        }
        try await withSink(to: server, { $0.timeout = .seconds(3600) }) { sink in
            let first = Task { try await sink.deliver(batch()) }
            let second = Task { try await sink.deliver(batch()) }
            try await eventually("the first request is there") { server.requests.count == 1 }
            for task in [second, first] {
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
            }
            try await eventually("the connection is broken off") { server.ended == 1 }
            answers.set(true)
            try await sink.deliver(batch())
            #expect(server.requests.count == 2)
        }
    }

    @Test func closingEndsWhatIsUnderWay() async throws {
        let server = try RawServer { _, connection in
            while connection.read() != nil {}
            return false
        }
        try await withSink(to: server, { $0.timeout = .seconds(3600) }) { sink in
            let delivery = Task { try await sink.deliver(batch()) }
            try await eventually("the request is there") { server.requests.count == 1 }
            await sink.close()
            await #expect(throws: SinkFailure.self) { try await delivery.value }
            try await eventually("the connection is closed") { server.ended == 1 }
        }
    }

    @Test func authoritiesAreCheckedBefore() throws {
        var settings = try HTTPSinkSettings(url: "https://localhost/")
        for path in ["/none", "/etc/hostname", "/etc"] {
            settings.authorities = path
            let error = #expect(throws: OuroborosError.self) { try settings.check() }
            #expect(error?.message.contains("“\(path)” holds no certificates in PEM: ") == true)
        }
    }
}
