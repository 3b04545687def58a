import Logging
import Ouroboros
import OuroborosStore
import ServiceLifecycle
import TestSupport
import Testing

@testable import OuroborosGateway

/// What ends the gateway, and how long that may take.
@Suite(.timeLimit(.minutes(2))) struct EndTests {
    private struct Part: Service {
        let body: @Sendable () async throws -> Void

        func run() async throws { try await body() }
    }

    let printed = Printed()

    private func run(_ limit: EndLimit, _ body: @escaping @Sendable () async throws -> Void) async throws {
        try await EssentialService("a part", Part(body: body), limit).run()
    }

    @Test func aPartThatEndsByItselfEndsTheGateway() async throws {
        let limit = EndLimit(giveUp: printed.process.giveUp)
        defer { limit.over() }
        let error = await #expect(throws: OuroborosError.self) { try await run(limit) {} }
        #expect(error?.message.contains("a part has ended by itself") == true)
        struct Broken: Error {}
        await #expect(throws: Broken.self) { try await run(limit) { throw Broken() } }
    }

    @Test func aPartThatIsCancelledMayEnd() async throws {
        let isThere = Flag()
        let outcome = try await cancelled("a part", once: { isThere.isSet }) {
            try await run(EndLimit(giveUp: { _ in })) {
                isThere.set()
                await untilCancelled()
            }
        }
        try outcome.get()
    }

    @Test func whatHangsIsGivenUpAndNamed() async throws {
        let limit = EndLimit(.milliseconds(200), giveUp: printed.process.giveUp)
        limit.began("the sinks")
        limit.began("metrics and page")
        limit.ended("metrics and page")
        limit.begin()
        limit.begin()
        try await eventually("it is given up") { !printed.givenUp.isEmpty }
        #expect(printed.givenUp.count == 1)
        #expect(printed.givenUp[0].contains("as these hang: the sinks;"), "\(printed.givenUp)")
    }

    @Test func whatEndsInTimeIsNot() async throws {
        let limit = EndLimit(.milliseconds(300), giveUp: printed.process.giveUp)
        limit.begin()
        limit.over()
        try await Task.sleep(for: .milliseconds(600))
        #expect(printed.givenUp.isEmpty)
    }

    @Test func whatOneRunsBesideEndsAllWhenItFailsOrEnds() async throws {
        struct Broken: Error {}
        await #expect(throws: Broken.self) {
            try await together({ await untilCancelled() }, beside: ["other": { throw Broken() }])
        }
        let error = await #expect(throws: OuroborosError.self) {
            try await together({ await untilCancelled() }, beside: ["the other": {}])
        }
        #expect(error?.message.contains("the other has ended by itself") == true)
        await #expect(throws: Broken.self) {
            try await together({ throw Broken() }, beside: ["other": { await untilCancelled() }])
        }
        try await together({}, beside: ["other": { await untilCancelled() }])
        let isThere = Flag()
        let outcome = try await cancelled("all of them", once: { isThere.isSet }) {
            try await together(
                {
                    isThere.set()
                    await untilCancelled()
                }, beside: ["other": { await untilCancelled() }])
        }
        try outcome.get()
    }

    /// The sinks' reader hangs, and so does what a device waits for.
    @Test func aGatewayWhoseReaderHangsIsGivenUp() async throws {
        let site = try Site()
        let hang = Hang()
        defer { hang.end() }
        let printed = printed
        let process = GatewayProcess(print: { _ in hang.wait() }, giveUp: printed.process.giveUp)
        let gateway = try await Gateway(site.settings(), process: process, logger: quiet).open()
        let group = ServiceGroup(
            configuration: .init(services: [.init(service: gateway)], logger: quiet))
        let running = Task { try await group.run() }
        let sending = Task { try await site.send("x", from: DeviceID(number: 1), to: gateway.endpoints[0]) }
        try await eventually("the reader hangs") { hang.hasBegun }
        await group.triggerGracefulShutdown()
        try await eventually("it is given up", within: .seconds(20)) { !printed.givenUp.isEmpty }
        #expect(printed.givenUp[0].contains("standard output takes no more"), "\(printed.givenUp)")
        // A process would be gone.
        hang.end()
        try await running.value
        sending.cancel()
        _ = await sending.result
    }

    /// Devices would wait for ever.
    @Test func aStoreThatTurnsOutDamagedEndsTheGateway() async throws {
        let site = try Site()
        let path = site.scratch.file("gw.sqlite")
        do {
            let store = try GatewayStore(path: path)
            try store.add(.fixed(device: DeviceID(number: 1), rootKey: .random()), name: "kitchen")
        }
        let gateway = try await Gateway(
            site.settings([.store: path]), process: printed.process, logger: quiet
        ).open()
        let running = Task { try await gateway.run() }
        try site.scratch.spoil("gw.sqlite", from: 4096)
        let sending = Task { try await site.send("x", from: DeviceID(number: 2), to: gateway.endpoints[0]) }
        let error = await #expect(throws: OuroborosError.self) {
            try await bounded("the end of the gateway", by: .seconds(60)) { try await running.value }
        }
        #expect(error?.message.contains("is damaged: restore it from a backup") == true, "\(error as Any)")
        sending.cancel()
        _ = await sending.result
    }
}
