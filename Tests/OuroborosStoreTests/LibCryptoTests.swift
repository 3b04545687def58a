import Foundation
import Ouroboros
import Testing

@testable import OuroborosStore

/// What others publish of these functions.
@Suite struct LibCryptoTests {
    private func key(_ hex: String) throws -> SecretKey { try SecretKey(hex: Array(hex.utf8)) }

    @Test func sha256OfFIPS180() throws {
        let found = try Array("abc".utf8).withUnsafeBytes(LibCrypto.sha256)
        #expect(try found == key("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
        let nothing = try LibCrypto.sha256(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(try nothing == key("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
    }

    @Test func scryptOfRFC7914() throws {
        let found = try LibCrypto.scrypt(
            .copying("pleaseletmein".utf8), salt: Data("SodiumChloride".utf8), rounds: 1 << 14)
        #expect(try found == key("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"))
    }

    /// The other one of the RFC, which takes a gibibyte and seconds: the largest effort that an export may ask for.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["OURO_SOAK"] != nil))
    func theLargestEffort() throws {
        let found = try LibCrypto.scrypt(
            .copying("pleaseletmein".utf8), salt: Data("SodiumChloride".utf8), rounds: 1 << 20)
        #expect(try found == key("2101cb9b6a511aaeaddbbe09cf70f881ec568d574a2ffd4dabe5ee9820adaa47"))
    }

    /// Test case 16 of the proposal of GCM, which NIST took over.
    @Test func aes256GCM() throws {
        let key = try key("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
        func bytes(_ hex: String) throws -> Data {
            let digits = Array(hex)
            return Data(
                try stride(from: 0, to: digits.count, by: 2).map {
                    try #require(UInt8(String(digits[$0..<$0 + 2]), radix: 16))
                })
        }
        let plain = try bytes(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39")
        let context = try bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2")
        let nonce = try bytes("cafebabefacedbaddecaf888")
        let sealed = try plain.withUnsafeBytes {
            try AESGCM.seal($0, nonce: Array(nonce), context: context, under: key)
        }
        let expected = try bytes(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                + "76fc6ece0f4e1768cddf8853bb2d551b")
        #expect(sealed == nonce + expected)
        // One that lies in the midst of another one's memory opens as well.
        let slice = (Data([0]) + sealed).dropFirst()
        #expect(try AESGCM.open(slice, context: context, under: key) == .copying(plain))
        #expect(try AESGCM.open(sealed, context: Data(), under: key) == nil)
        for count in 0..<28 {
            #expect(try AESGCM.open(sealed.prefix(count), context: context, under: key) == nil)
        }
    }
}
