import COuroboros
import Testing

@testable import Ouroboros

/// What is out of its range is refused before the engine sees it, with its name, range and unit.
@Suite struct ConfigurationTests {
    struct Setting: CustomTestStringConvertible, Sendable {
        let name: String
        /// As the refusal says it.
        let range: String
        let allowed: [UInt64]
        let refused: [UInt64]
        /// What the engine takes for its default.
        var isZeroTheDefault = true
        let set: @Sendable (inout LinkConfiguration, UInt64) -> Void

        var testDescription: String { name }
    }

    private static let times32 = UInt64(UInt32.max)
    static let settings = [
        Setting(
            name: "reach", range: "4 to 64 messages", allowed: [4, 64], refused: [0, 3, 65, 300],
            isZeroTheDefault: false
        ) { $0.reach = Int($1) },
        Setting(
            name: "maxBody", range: "64 to 1200 bytes", allowed: [64, 1200], refused: [0, 63, 1201, 70_000],
            isZeroTheDefault: false
        ) { $0.maxBody = Int($1) },
        Setting(name: "placeLimit", range: "0 to 65535 places", allowed: [0, 1, 65_535], refused: [65_536]) {
            $0.placeLimit = Int($1)
        },
        Setting(name: "keepAlive", range: "at least 10 ms", allowed: [10, times32], refused: [0, 9]) {
            $0.keepAlive = UInt32($1)
        },
        Setting(name: "firstTimeout", range: "50 to 8000 ms", allowed: [50, 8000], refused: [0, 49, 8001]) {
            $0.firstTimeout = UInt32($1)
        },
        Setting(
            name: "unreliableTimeToLive", range: "1 to 2147483647 ms", allowed: [1, 2_147_483_647],
            refused: [0, 2_147_483_648]
        ) { $0.unreliableTimeToLive = UInt32($1) },
        Setting(name: "rekeyAge", range: "at least 1000 ms", allowed: [1000, .max], refused: [0, 999]) {
            $0.rekeyAge = $1
        },
        Setting(
            name: "rekeyPackets", range: "16 to 4293918720 packets", allowed: [16, 4_293_918_720, .max],
            refused: [0, 15, 4_293_918_721, .max - 1]
        ) { $0.rekeyPackets = $1 },
        Setting(name: "idleTimeout", range: "at least 100 ms", allowed: [100, .max], refused: [0, 99]) {
            $0.idleTimeout = $1
        },
        Setting(
            name: "shortSessionWait", range: "1000 to 300000 ms", allowed: [1000, 300_000],
            refused: [0, 999, 300_001]
        ) { $0.shortSessionWait = UInt32($1) },
        Setting(
            name: "silenceLimit", range: "at least 1000 ms", allowed: [1000, times32], refused: [0, 999]
        ) {
            $0.silenceLimit = UInt32($1)
        },
    ]

    private func refusal(_ configuration: LinkConfiguration, isServer: Bool) throws -> String? {
        do throws(OuroborosError) {
            if isServer {
                _ = try Link(serverWith: PlacePool(places: 4), configuration: configuration)
            } else {
                _ = try Link(
                    client: .fixed(device: Pair.device, rootKey: .random()), configuration: configuration)
            }
        } catch {
            #expect(error.code == .invalidConfiguration)
            return error.message
        }
        return nil
    }

    private func engineTakes(_ configuration: LinkConfiguration) throws -> Bool {
        let pool = try PlacePool(places: 4)
        let memory = LinkMemory(configuration, role: OURO_SERVER, pool: pool)
        defer { withExtendedLifetime(pool) {} }
        return ouro_link_init(memory.link, memory.settings, memory.layout, nil, 1) == OURO_OK
    }

    @Test(arguments: settings) func eachBound(setting: Setting) throws {
        for (values, isAllowed) in [(setting.allowed, true), (setting.refused, false)] {
            for value in values {
                for isServer in [false, true] {
                    var configuration: LinkConfiguration = isServer ? .server : .client
                    setting.set(&configuration, value)
                    let refusal = try refusal(configuration, isServer: isServer)
                    let expected = "\(setting.name) is \(setting.range)"
                    #expect((refusal == nil) == isAllowed, "\(value)")
                    #expect(refusal?.hasPrefix(expected) ?? true, "\(refusal ?? "")")
                    #expect(refusal?.hasSuffix("not \(value)") ?? true, "\(refusal ?? "")")
                }
            }
        }
    }

    /// The bounds stand in the engine, too, and are the same.
    @Test(arguments: settings.dropFirst(3)) func theEngineAgrees(setting: Setting) throws {
        for (values, isAllowed) in [(setting.allowed, true), (setting.refused, false)] {
            for value in values where value != 0 {
                var configuration = LinkConfiguration.server
                setting.set(&configuration, value)
                #expect(try engineTakes(configuration) == isAllowed, "\(value)")
            }
        }
    }

    @Test func howManySessions() throws {
        let cases: [(sessions: Int, tails: Int, isServer: Bool, isStream: Bool, refusal: String?)] = [
            (1, 2, false, false, nil), (3, 0, false, false, nil), (2, 0, true, false, nil),
            (3, 0, true, false, nil),
            (1, 0, false, true, nil), (1, 0, true, true, nil),
            (0, 2, false, false, "sessions is 1 to 3"), (4, 0, false, false, "sessions is 1 to 3"),
            (1, 0, true, false, "sessions is 2 to 3"), (3, 3, false, false, "tails is 0 to 2"),
            (1, 1, false, false, "a client's sessions and tails are 3 or more together, not 2"),
        ]
        for (sessions, tails, isServer, isStream, refused) in cases {
            var configuration: LinkConfiguration = isServer ? .server : .client
            configuration.sessions = sessions
            configuration.tails = tails
            configuration.isStream = isStream
            let refusal = try refusal(configuration, isServer: isServer)
            if let refused {
                #expect(refusal?.hasPrefix(refused) == true, "\(refusal ?? "")")
            } else {
                #expect(refusal == nil)
            }
        }
    }

    @Test func anAcceptorsBounds() throws {
        let cases: [(String, (inout Acceptor.Configuration) -> Void)] = [
            ("reach is 4 to 64 messages, not 300", { $0.reach = 300 }),
            ("maxBody is 64 to 1200 bytes, not 63", { $0.maxBody = 63 }),
            ("pendingSessions is 1 to 65535", { $0.pendingSessions = 0 }),
            ("devicesAhead is 0 to 1024", { $0.devicesAhead = 1025 }),
            ("idPrefixBits is 0 to 16", { $0.idPrefixBits = 17 }),
            ("idPrefix is 0 to 15, not 16", { ($0.idPrefixBits, $0.idPrefix) = (4, 16) }),
            ("idPrefix is 0 to 0, not 1", { $0.idPrefix = 1 }),
            ("challengeSlice is 1000 to 3600000 ms, not 999", { $0.challengeSlice = 999 }),
            ("challengeSlice is 1000 to 3600000 ms, not 0", { $0.challengeSlice = 0 }),
            ("challengeSlice is 1000 to 3600000 ms, not 3600001", { $0.challengeSlice = 3_600_001 }),
        ]
        for (refusal, change) in cases {
            var configuration = Acceptor.Configuration()
            change(&configuration)
            let error = #expect(throws: OuroborosError.self) {
                try Acceptor(configuration: configuration, now: 0)
            }
            #expect(error?.message.hasPrefix(refusal) == true, "\(error?.message ?? "")")
        }
        for slice in [1000, 3_600_000] as [UInt32] {
            var configuration = Acceptor.Configuration()
            configuration.challengeSlice = slice
            (configuration.idPrefixBits, configuration.idPrefix) = (16, .max)
            _ = try Acceptor(configuration: configuration, now: 0)
        }
    }

    @Test func howLongAMessageMayWait() throws {
        let link = try Link(client: .fixed(device: Pair.device, rootKey: .random()))
        for time in [0, 2_147_483_648, .max] as [UInt32] {
            let error = #expect(throws: OuroborosError.self) {
                try link.send(OutgoingMessage([1], timeToLive: time), now: 0)
            }
            #expect(error?.message == "timeToLive is 1 to 2147483647 ms, not \(time)")
        }
        for time in [nil, 1, 2_147_483_647] as [UInt32?] {
            _ = try link.send(OutgoingMessage([1], timeToLive: time), now: 0)
        }
    }
}
