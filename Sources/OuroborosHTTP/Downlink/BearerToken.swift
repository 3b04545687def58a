import Ouroboros
import OuroborosStore

/// A token that those who may send know. What is kept is its hash, which erases itself and compares in constant
/// time.
package struct BearerToken: Sendable {
    private static let prefix = "Bearer "
    private let hash: SecretKey

    package init(_ token: SecretBytes) throws {
        hash = try token.withUnsafeBytes(LibCrypto.sha256)
    }

    /// Whether this is the value of an Authorization header that holds it.
    func isIn(_ authorization: String?) -> Bool {
        guard let authorization, authorization.hasPrefix(Self.prefix),
            let other = try? BearerToken(.copying(authorization.utf8.dropFirst(Self.prefix.utf8.count)))
        else { return false }
        return hash == other.hash
    }
}
