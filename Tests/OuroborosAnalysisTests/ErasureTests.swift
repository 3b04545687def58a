import Ouroboros
import OuroborosAnalysis
import TestSupport
import Testing

/// A key log is written and read without a copy that stays.
@Suite struct ErasureTests {
    @Test func aKeyLog() throws {
        let secret = HiddenSecret()
        func writeAndRead() throws {
            let keys = SessionKeys(
                sessionID: 7, nonce: [UInt8](repeating: 1, count: 16),
                clientToServer: try SecretKey(secret.bytes),
                serverToClient: .random())
            let read = try KeyLog.line(keys).withUnsafeBytes { try KeyLog.parse($0) }
            #expect(read.map(\.clientToServer) == [keys.clientToServer])
            #expect(try !secret.copies().isEmpty)
        }
        try writeAndRead()
        #expect(try secret.copies() == [])
    }
}
