import Ouroboros
import Testing

@testable import OuroborosPostgres

@Suite struct RegistryMessageTests {
    @Test func messagesAreReadAsTheyWereWritten() {
        let device = DeviceID(number: 0x0102_0304_0506_0708)
        let session = ConfirmedSession(device: device, sessionID: 0x0700_0001, number: 12)
        for message in [
            RegistryMessage.confirmed(session), .changed(device), .queued(device), .settled(device, id: .max),
        ] {
            #expect(RegistryMessage(message.text) == message)
        }
    }

    @Test(arguments: [
        "", "changed", "changed xyz", "changed 0102030405060708 1", "confirmed 0102030405060708 1",
        "confirmed 0102030405060708 4294967296 1", "confirmed 0102030405060708 1 -1", "gone 0102030405060708",
        "queued", "queued 0102", "queued 0102030405060708 1", "settled 0102030405060708",
        "settled 0102030405060708 x", "settled 0102030405060708 9223372036854775808",
        "settled 0102030405060708 1 1",
    ])
    func whatIsNoMessageIsNone(text: String) {
        #expect(RegistryMessage(text) == nil)
    }

    @Test(arguments: [
        "mysql://x", "postgres://user:geheim@host/db", "postgres://user@host/db?password=geheim",
        "postgres://user@host/db?nonsense=geheim", "",
    ])
    func aLocationWithAPasswordOrWithoutSenseIsRefused(url: String) {
        let error = #expect(throws: OuroborosError.self) { try PostgresLocation(url) }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains("geheim") == false)
    }
}
