import LibC
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosGateway

/// What systemd hears.
@Suite(.timeLimit(.minutes(1))) struct ServiceManagerTests {
    let site: Site
    let printed = Printed()

    init() throws {
        site = try Site()
    }

    @Test func itHearsReadinessLifeAndTheEnd() async throws {
        let manager = try NotifySocket(at: site.scratch.file("notify"))
        let environment = ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "300000"]
        try await site.withGateway([:], printed, ServiceManager(environment: environment)) { _ in
            try await manager.hears("READY=1\nSTATUS=serving")
            try await manager.hears("WATCHDOG=1")
            try await manager.hears("WATCHDOG=1")
        }
        try await manager.hears("STOPPING=1\nSTATUS=shutting down")
    }

    @Test func aNameWithoutAFileIsHeardToo() async throws {
        let manager = try NotifySocket(at: "@ouroboros-test-\(getpid())")
        ServiceManager(environment: ["NOTIFY_SOCKET": manager.path]).alive()
        try await manager.hears("WATCHDOG=1")
    }

    @Test(arguments: ["", "relative", "/nobody/listens", "/" + String(repeating: "long", count: 100)])
    func aManagerThatIsNotThereIsNoFault(path: String) {
        ServiceManager(environment: ["NOTIFY_SOCKET": path]).alive()
    }

    @Test(arguments: [
        (["WATCHDOG_USEC": "1000000"], nil),
        (["NOTIFY_SOCKET": "/a", "WATCHDOG_USEC": "1000000"], Duration.seconds(1)),
        (["NOTIFY_SOCKET": "/a", "WATCHDOG_USEC": "0"], nil),
        (["NOTIFY_SOCKET": "/a", "WATCHDOG_USEC": "x"], nil),
        (["NOTIFY_SOCKET": "/a", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"], nil),
    ])
    func whoWatches(environment: [String: String], limit: Duration?) {
        #expect(ServiceManager(environment: environment).watchdog == limit)
    }

    /// 192.0.2.0/24 is nobody's (RFC 5737).
    @Test func anAddressThatIsNotThereYetIsWaitedFor() async throws {
        let manager = try NotifySocket(at: site.scratch.file("notify"))
        let gateway = try await Gateway(
            site.settings([.bind: "192.0.2.77:5700"]), process: printed.process,
            manager: ServiceManager(environment: ["NOTIFY_SOCKET": manager.path]), logger: quiet)
        let opening = Task { try await gateway.open() }
        try await manager.hears("waits: cannot listen on")
        opening.cancel()
        await #expect(throws: CancellationError.self) { _ = try await opening.value }
    }

    @Test(arguments: [
        (OuroborosError(.unreachable, ""), true), (OuroborosError(.invalidAddress, ""), true),
        (OuroborosError(.busy, ""), true), (OuroborosError(.transport, ""), false),
        (OuroborosError(.storage, ""), false),
        (CancellationError() as any Error, false),
    ])
    func whatPassesByItself(error: any Error, mayPass: Bool) {
        #expect(StartPatience.mayPass(error) == mayPass)
    }
}

/// A socket as a service manager has it.
private final class NotifySocket: Sendable {
    let path: String
    private let descriptor: Int32

    init(at path: String) throws {
        self.path = path
        descriptor = socket(AF_UNIX, SocketKind.datagram | SocketKind.closeOnExec, 0)
        var name = try #require(ServiceManager.name(of: path))
        let bound = withUnsafePointer(to: &name.name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, name.length) }
        }
        try #require(descriptor >= 0 && bound == 0, "no socket at \(path)")
    }

    deinit { close(descriptor) }

    func hears(_ text: String) async throws {
        try await eventually("the manager hears “\(text)”", within: .seconds(20)) { [descriptor] in
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            return count > 0 && String(decoding: bytes.prefix(count), as: UTF8.self).contains(text)
        }
    }
}
