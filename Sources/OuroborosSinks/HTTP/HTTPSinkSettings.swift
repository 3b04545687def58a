import Foundation
import Ouroboros
import OuroborosStore

package struct HTTPSinkSettings: Sendable {
    package let url: String
    /// Without what may be a secret, for the log.
    let shownURL: String
    /// Read for each request: a token that is replaced is used at once.
    package var token: SecretSource?
    /// Authorities in PEM; nil is those of the system.
    package var authorities: String?
    package var timeout = Duration.seconds(30)
    package var batchLimit = 500

    package init(url text: String) throws {
        guard var url = URLComponents(string: text), ["http", "https"].contains(url.scheme),
            url.host?.isEmpty == false, url.user == nil, url.password == nil, url.fragment == nil
        else {
            throw OuroborosError(
                .invalidConfiguration,
                "write http://HOST/PATH or https://HOST/PATH; a token has a key of its own")
        }
        self.url = text
        url.query = nil
        shownURL = url.string ?? url.host ?? ""
    }

    /// Throws for what cannot work, before the server is asked.
    package func check() throws {
        _ = try token?.line()
        if let authorities {
            try LibCrypto.checkAuthorities(authorities)
        }
    }
}
