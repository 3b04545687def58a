import Hummingbird
import LibC
import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import OuroborosPage

/// A gateway's facts, as the test sets them.
final class Facts: PageSource {
    private struct State {
        var counts = PageCounts(messages: 0, sessions: 0, drops: [])
        var devices = PageDevices([])
        var messages: [String: [PageMessage]]?
        var asked = 0
        var counted = 0
    }

    let gateway: PageGateway
    private let state = Locked(State())

    init(
        _ devices: [PageDevice] = [], messages: [String: [PageMessage]]? = nil,
        of gateway: PageGateway = PageGateway()
    ) {
        self.gateway = gateway
        state.withLock { state in
            state.devices.all = devices
            state.messages = messages
        }
    }

    /// How often the devices were asked for.
    var asked: Int { state.withLock(\.asked) }

    /// And how often the counts were.
    var counted: Int { state.withLock(\.counted) }

    func set(_ change: @Sendable (inout PageCounts) -> Void) {
        state.withLock { change(&$0.counts) }
    }

    func set(devices: [PageDevice], notice: String? = nil) {
        state.withLock { $0.devices = PageDevices(devices, notice: notice) }
    }

    func set(messages: [String: [PageMessage]]) {
        state.withLock { $0.messages = messages }
    }

    func counts() async throws -> PageCounts {
        state.withLock { state in
            state.counted += 1
            return state.counts
        }
    }

    func devices() async throws -> PageDevices {
        state.withLock { state in
            state.asked += 1
            return state.devices
        }
    }

    func messages(of device: String) async -> [PageMessage]? {
        state.withLock { state in state.messages.map { $0[device] ?? [] } }
    }
}

struct Page: Sendable {
    let feed: PageFeed

    init(_ facts: Facts, _ change: (inout PageFeed.Settings) -> Void = { _ in }) throws {
        var settings = PageFeed.Settings()
        settings.period = .milliseconds(20)
        change(&settings)
        feed = PageFeed(source: facts, settings: settings, logger: .quiet)
    }

    private func router() throws -> Router<BasicRequestContext> {
        let router = Router()
        try PageRoutes(feed: feed).add(to: router)
        return router
    }

    /// Asks for a path, and returns while the answer comes.
    func ask(_ path: String) throws -> Asked {
        let head = HTTPRequest(method: .get, scheme: "http", authority: "localhost", path: path)
        let context = BasicRequestContext(source: .init(channel: NIOAsyncTestingChannel(), logger: .quiet))
        let responder = try router().buildResponder()
        let body = Asked.Body()
        let answer = Task {
            let response = try await responder.respond(
                to: Request(head: head, body: RequestBody(buffer: ByteBuffer())), context: context)
            try await response.body.write(body)
            return Asked.Answer(
                status: response.status, headers: response.headers, body: body.bytes.withLock(\.self))
        }
        return Asked(answer: answer, body: body)
    }

    func get(_ path: String) async throws -> Asked.Answer { try await ask(path).answer.value }

    /// Runs `body` with the port of loopback where the page is served.
    func served(_ body: @Sendable @escaping (Int) async throws -> Void) async throws {
        let (ports, port) = AsyncStream.makeStream(of: Int.self)
        let application = Application(
            router: try router(), configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { port.yield($0.localAddress?.port ?? 0) }, logger: .quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.runService(gracefulShutdownSignals: []) }
            for await port in ports.prefix(1) { try await body(port) }
            group.cancelAll()
            try? await group.waitForAll()
        }
    }

    func text(_ path: String) async throws -> String {
        let response = try await get(path)
        guard response.status == .ok else { throw NotServed(status: response.status) }
        return String(buffer: response.body)
    }

    /// The events of a path: the first, and those after `body` until one has the text, if there is one to wait for.
    func events(
        _ path: String, until text: String? = nil, _ body: @Sendable () async throws -> Void
    ) async throws -> String {
        let asked = try ask(path)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await feed.run() }
            try await asked.wait(for: "event: ")
            try await body()
            if let text { try await asked.wait(for: text) }
            feed.end()
            group.cancelAll()
            return String(buffer: try await asked.answer.value.body)
        }
    }

    struct NotServed: Error {
        let status: HTTPResponse.Status
    }
}

/// A request whose answer comes, or has come.
struct Asked: Sendable {
    struct Answer: Sendable {
        let status: HTTPResponse.Status
        let headers: HTTPFields
        let body: ByteBuffer
    }

    final class Body: ResponseBodyWriter, Sendable {
        let bytes = Locked(ByteBuffer())

        func write(_ buffer: ByteBuffer) async throws {
            bytes.withLock { _ = $0.writeImmutableBuffer(buffer) }
        }

        func finish(_ trailers: HTTPFields?) async throws {}
    }

    let answer: Task<Answer, any Error>
    fileprivate let body: Body

    /// Until the text is in what has come.
    func wait(for text: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let end = ContinuousClock.now + .seconds(30)
        while case let come = body.bytes.withLock({ String(buffer: $0) }), !come.contains(text) {
            try #require(
                ContinuousClock.now < end, "“\(text)” does not come, but: \(come)",
                sourceLocation: sourceLocation)
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}

extension Logger {
    fileprivate static var quiet: Logger {
        var quiet = Logger(label: "page")
        quiet.logLevel = .critical
        return quiet
    }
}

func device(_ number: Int, name: String = "", _ presence: PageDevice.Presence = .online) -> PageDevice {
    let digits = String(number)
    return PageDevice(
        id: String(repeating: "0", count: 16 - digits.count) + digits, name: name, presence: presence)
}

extension String {
    func count(of part: String) -> Int { ranges(of: part).count }
}
