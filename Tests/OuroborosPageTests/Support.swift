import Hummingbird
import HummingbirdTesting
import Logging
import Synchronization

@testable import OuroborosPage

/// A gateway's facts, as the test sets them.
final class Facts: PageSource {
    private struct State {
        var counts = PageCounts(messages: 0, sessions: 0, drops: [])
        var devices = PageDevices([])
        var messages: [String: [PageMessage]]?
        var asked = 0
    }

    let gateway: PageGateway
    private let state = Mutex(State())

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

    func set(_ change: @Sendable (inout PageCounts) -> Void) {
        state.withLock { change(&$0.counts) }
    }

    func set(devices: [PageDevice], notice: String? = nil) {
        state.withLock { $0.devices = PageDevices(devices, notice: notice) }
    }

    func set(messages: [String: [PageMessage]]) {
        state.withLock { $0.messages = messages }
    }

    func counts() async throws -> PageCounts { state.withLock(\.counts) }

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
        var quiet = Logger(label: "page")
        quiet.logLevel = .critical
        feed = PageFeed(source: facts, settings: settings, logger: quiet)
    }

    func application() throws -> some ApplicationProtocol {
        let router = Router()
        try PageRoutes(feed: feed, host: "gateway.lan").add(to: router)
        return Application(router: router)
    }

    func get(_ path: String) async throws -> TestResponse {
        try await application().test(.router) { try await $0.execute(uri: path, method: .get) }
    }

    func text(_ path: String) async throws -> String {
        let response = try await get(path)
        guard response.status == .ok else { throw NotServed(status: response.status) }
        return String(buffer: response.body)
    }

    /// The events of a path until the feed ends, which it does after `body`, unless the path's end came before.
    func events(_ path: String, _ body: @Sendable () async throws -> Void) async throws -> String {
        try await withThrowingTaskGroup(of: String?.self) { group in
            group.addTask {
                await feed.run()
                return nil
            }
            group.addTask { try await text(path) }
            try await Task.sleep(for: .milliseconds(200))
            try await body()
            try await Task.sleep(for: .milliseconds(200))
            feed.end()
            defer { group.cancelAll() }
            while let text = try await group.next() {
                if let text { return text }
            }
            throw NotServed(status: .gone)
        }
    }

    struct NotServed: Error {
        let status: HTTPResponse.Status
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
