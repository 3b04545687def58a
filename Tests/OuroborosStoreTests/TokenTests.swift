import Foundation
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

@Suite struct TokenTests {
    private let device = DeviceID(number: 0x0102_0304_0506_0708)
    private let key: SecretKey

    init() throws {
        key = try SecretKey(0..<32)
    }

    private func token(host: String = "gw.local") throws -> DeviceToken {
        try DeviceToken(credential: .evolving(device: device, key: key), host: host, port: 5700)
    }

    private func line(_ token: DeviceToken) throws -> String {
        try token.text().withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    private func read(_ text: String) throws -> DeviceToken { try DeviceToken(.copying(text.utf8)) }

    private func refusal(
        of text: String, sourceLocation: SourceLocation = #_sourceLocation
    ) -> String {
        let error = #expect(throws: OuroborosError.self, sourceLocation: sourceLocation) { try read(text) }
        return error?.message ?? ""
    }

    /// Other programs read it.
    @Test func aTokenIsTheseCharacters() throws {
        #expect(
            try line(token())
                == "ouro1:aeaqeayeaudaocaaaebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6"
                + "d4aaaaaaaaaaaaawiqego5zonrxwgylmko4wkfi")
    }

    @Test(arguments: ["gw.local", "a", "::1", "mühle.example", String(repeating: "x", count: 253)])
    func whatIsWrittenIsRead(host: String) throws {
        let token = try token(host: host)
        let text = try line(token)
        #expect(text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f })
        #expect(try read(text) == token)
        #expect(try read(" \(text.uppercased())\r\n") == token)
        let fixed = try DeviceToken(
            credential: .fixed(device: device, rootKey: key), host: host, port: .max)
        #expect(try read(try line(fixed)) == fixed)
    }

    @Test func aTokenThatIsCutOrChangedIsRefused() throws {
        let text = try line(token())
        for count in 6..<text.count {
            #expect(throws: OuroborosError.self) { try read(String(text.prefix(count))) }
        }
        #expect(refusal(of: String(text.dropLast(9))).contains("is cut"))
        #expect(refusal(of: "ouro1:").contains("is cut"))
        for index in text.indices.dropFirst(6) {
            var changed = text
            changed.replaceSubrange(index...index, with: text[index] == "b" ? "c" : "b")
            guard changed != text else { continue }
            let message = refusal(of: changed)
            #expect(message.contains("was changed") || message.contains("is cut"), "\(message)")
        }
        for changed in [text + "a", text + "aaaaaaaa", text.replacing("y", with: "1"), text + " x"] {
            #expect(refusal(of: changed).contains("was changed"))
        }
    }

    @Test func whatIsNoTokenOrOneOfAnotherVersionIsRefused() throws {
        let digits = try line(token()).dropFirst(6)
        for text in ["", "ouro", "x", "ouro1", "ouro:\(digits)", "https://example.org", "\(digits)"] {
            #expect(refusal(of: text).contains("is no token"), "\(text)")
        }
        #expect(refusal(of: "ouro2:\(digits)").contains("of version 2"))
    }

    @Test func noErrorHoldsTheKey() throws {
        let text = try line(token())
        for wrong in [String(text.dropLast()), text + "a", String(text.dropFirst())] {
            let message = refusal(of: wrong)
            for start in stride(from: 20, to: 60, by: 8) {
                #expect(!message.contains(text.dropFirst(start).prefix(8)))
            }
        }
        #expect(try "\(token())" == "token of 0102030405060708 (evolving, epoch 0) at gw.local:5700")
        var dumped = ""
        dump(try token(), to: &dumped)
        #expect(!dumped.contains("SecretBytes"), "\(dumped)")
    }

    @Test func whatIsNoGatewayIsRefused() throws {
        for host in ["", "a b", "a\n", String(repeating: "x", count: 254)] {
            #expect(throws: OuroborosError.self) { try token(host: host) }
        }
        #expect(throws: OuroborosError.self) {
            try DeviceToken(credential: .fixed(device: device, rootKey: key), host: "a", port: 0)
        }
        #expect(try token(host: "::1").gateway == "[::1]:5700")
    }

    // MARK: The blob

    @Test func aBlobHoldsEachPartAtItsPlace() throws {
        let credential = Credential.evolving(device: device, epoch: 0x0a0b, key: key)
        let blob = CredentialBlob.bytes(of: credential).withUnsafeBytes { Array($0) }
        #expect(
            blob == [1] + Array(1...8) + Array(0..<32) + [0, 0, 0, 0, 0, 0, 0x0a, 0x0b])
        #expect(blob.withUnsafeBytes { CredentialBlob.read($0) } == credential)
        let fixed = Credential.fixed(device: device, rootKey: key)
        let other = CredentialBlob.bytes(of: fixed).withUnsafeBytes { Array($0) }
        #expect(other == [0] + Array(1...8) + Array(0..<32) + Array(repeating: 0, count: 8))
        #expect(other.withUnsafeBytes { CredentialBlob.read($0) } == fixed)
        let whole = try token().blob.withUnsafeBytes { Array($0) }
        #expect(Array(whole.dropFirst(49)) == [0x16, 0x44, 8] + Array("gw.local".utf8))
    }

    @Test func aBlobThatIsNoneIsRefused() throws {
        let blob = CredentialBlob.bytes(of: .fixed(device: device, rootKey: key)).withUnsafeBytes {
            Array($0)
        }
        func read(_ bytes: [UInt8]) -> Credential? {
            bytes.withUnsafeBytes { CredentialBlob.read($0) }
        }
        #expect(read(Array(blob.dropLast())) == nil)
        #expect(read(blob + [0]) == nil)
        #expect(read([]) == nil)
        // One that evolves may have a count of short sessions.
        for flags in UInt8(2)...255 where flags & 0xf1 != 1 {
            #expect(read([flags] + blob.dropFirst()) == nil)
        }
        // A fixed credential at an epoch.
        #expect(read(blob.dropLast() + [1]) == nil)
    }

    @Test func nothingIsLeftOfAKeyThatWasWrittenAndRead() throws {
        let secret = HiddenSecret()
        func handle() throws {
            let token = try DeviceToken(
                credential: .evolving(device: device, key: try SecretKey(secret.bytes)), host: "gw", port: 1)
            let again = try DeviceToken(try token.text())
            #expect(try !secret.copies().isEmpty)
            #expect(again == token)
        }
        try handle()
        #expect(try secret.copies() == [])
    }
}
