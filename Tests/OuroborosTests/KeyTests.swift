import Testing

@testable import Ouroboros

@Suite struct KeyTests {
    private static let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

    @Test func aKeyIsReadFromItsDigits() throws {
        let key = try SecretKey(hex: Self.digits + "\n")
        #expect(key.withUnsafeBytes { Array($0) } == Array(0..<32))
        #expect(try key == SecretKey(hex: Self.digits.uppercased()))
        #expect(try key == SecretKey(hex: Array(Self.digits.utf8)))
        #expect(try key == SecretKey(Array(0..<32)))
        #expect(key != .random())
    }

    @Test(arguments: [
        "", "00", digits + "00", digits.dropLast() + "g", digits.prefix(62) + " 00", "0x" + digits,
    ])
    func whatIsNoKeyIsRefused(text: String) {
        for error in [
            #expect(throws: OuroborosError.self, performing: { try SecretKey(hex: text) }),
            #expect(throws: OuroborosError.self, performing: { try SecretKey(hex: Array(text.utf8)) }),
        ] {
            #expect(error?.code == .invalidKey)
            #expect(error?.message.contains("0001") == false)
        }
    }

    @Test func aKeyPrintsAsRedacted() throws {
        let key = try SecretKey(Array(repeating: 0xab, count: 32))
        let credential = Credential.evolving(device: Pair.device, epoch: 3, key: key)
        var dumped = ""
        dump(credential, to: &dumped)
        for text in ["\(key)", String(reflecting: key), "\(credential)", dumped] {
            #expect(!text.contains("ab") && !text.contains("171"), "\(text)")
        }
        #expect("\(key)" == "redacted")
        #expect("\(credential)" == "0102030405060708 (evolving, epoch 3)")
    }

    @Test func aDeviceIDIs16Digits() throws {
        let id = try DeviceID(hex: "0102030405060708")
        #expect(id.bytes == [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(try DeviceID([1, 2, 3, 4, 5, 6, 7, 8]) == id)
        #expect(id.description == "0102030405060708")
        for text in ["", "01", "01020304050607080", "010203040506070g", "01:02:03:04:05:06"] {
            #expect(throws: OuroborosError.self) { try DeviceID(hex: text) }
        }
    }

    @Test func theEngineSeesTheCredential() throws {
        let credential = Credential.evolving(device: Pair.device, epoch: 7, key: .random())
        #expect(credential.withEngineForm { Credential($0) } == credential)
    }

    @Test func aFleetKeyGivesEachDeviceItsOwn() throws {
        let fleet = SecretKey.random()
        let first = try fleet.rootKey(of: DeviceID(number: 1))
        #expect(try first == fleet.rootKey(of: DeviceID(number: 1)))
        #expect(try first != fleet.rootKey(of: DeviceID(number: 2)))
        let registry = FleetRegistry(fleetKey: fleet)
        #expect(
            try registry.credential(of: DeviceID(number: 1))
                == .fixed(device: DeviceID(number: 1), rootKey: first))
    }
    private struct Disabling: AwaitedDeviceRegistry {
        let disabled: DeviceID

        func credential(of device: DeviceID) async throws -> Credential? { nil }
        func isDisabled(_ device: DeviceID) async throws -> Bool { device == disabled }
        func advance(to credential: Credential, from epoch: UInt64) async throws {}
    }

    @Test func aDeviceThatIsDisabledHasNoKeyOfItsFleet() async throws {
        let (served, disabled) = (DeviceID(number: 1), DeviceID(number: 2))
        let registry = AwaitedFleetRegistry(fleetKey: .random(), others: Disabling(disabled: disabled))
        #expect(try await registry.credential(of: served) != nil)
        #expect(try await registry.credential(of: disabled) == nil)
    }
}
