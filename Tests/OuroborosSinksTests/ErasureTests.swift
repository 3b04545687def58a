import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosSinks

/// Of a password or token nothing stays in memory that is not a library's.
@Suite struct ErasureTests {
    let scratch: Scratch
    let secret: HiddenSecret

    init() throws {
        scratch = try Scratch()
        secret = HiddenSecret()
        try secret.writeDigits(to: scratch.file("secret"))
    }

    @Test func aPasswordThatIsChecked() throws {
        var broker = try MQTTBroker(url: "mqtt://x")
        broker.user = "gateway"
        broker.password = .file(scratch.file("secret"))
        try broker.check()
        #expect(try secret.copies() == [])
    }

    @Test func aTokenThatIsChecked() throws {
        var settings = try HTTPSinkSettings(url: "http://x")
        settings.token = .file(scratch.file("secret"))
        try settings.check()
        #expect(try secret.copies() == [])
    }

    @Test func aTokenInAHeader() throws {
        func hand() throws {
            let headers = HeaderList()
            try SecretSource.file(scratch.file("secret")).line().withUnsafeBytes {
                try headers.add("authorization: Bearer ", $0)
            }
            #expect(try !secret.copies().isEmpty)
        }
        try hand()
        #expect(try secret.copies() == [])
    }
}
