import Ouroboros
import OuroborosStore

/// A device's credential and gateway as ESP-IDF's nvs_partition_gen reads them: CSV of key, type, encoding and value.
enum NVSTable {
    struct WiFi {
        let name: SecretBytes
        let password: SecretBytes

        /// A line each.
        init(file path: String) throws {
            let source = try SecretSource.given(file: path)
            let parts = try source.passphrase().withUnsafeBytes { bytes in
                bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
                    SecretBytes.copying(line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
                }
            }
            guard parts.count == 2, parts[0].count > 0 else {
                throw OuroborosError(
                    .storage, "\(source.name) is to hold two lines: the name of the Wi-Fi, and its password")
            }
            (name, password) = (parts[0], parts[1])
        }
    }

    static func bytes(of token: DeviceToken, _ wifi: WiFi?) -> SecretBytes {
        let blob = CredentialBlob.bytes(of: token.credential)
        let digits = SecretBytes.filled(count: 2 * blob.count) { digits in
            blob.withUnsafeBytes { Hex.write($0, to: digits) }
        }
        var parts = [
            text("key,type,encoding,value\nouroboros,namespace,,\ncredential,data,hex2bin,"), digits,
            text("\nhost,data,string,"), quoted(text(token.host)), text("\nport,data,u16,\(token.port)\n"),
        ]
        if let wifi {
            parts += [
                text("wifi_ssid,data,string,"), quoted(wifi.name), text("\nwifi_pass,data,string,"),
                quoted(wifi.password), text("\n"),
            ]
        }
        return SecretBytes.joined(parts)
    }

    private static func text(_ text: String) -> SecretBytes { .copying(text.utf8) }

    /// Between quotation marks, and those within doubled (RFC 4180).
    private static func quoted(_ value: SecretBytes) -> SecretBytes {
        let quote = UInt8(ascii: "\"")
        return SecretBytes.filled(atMost: 2 * value.count + 2) { buffer in
            var count = 0
            func put(_ byte: UInt8) {
                buffer[count] = byte
                count += 1
            }
            put(quote)
            value.withUnsafeBytes { bytes in
                for byte in bytes {
                    if byte == quote { put(quote) }
                    put(byte)
                }
            }
            put(quote)
            return count
        }
    }
}
