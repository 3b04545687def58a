import ArgumentParser
import LibC
import Ouroboros
import OuroborosNIO
import OuroborosStore
import OuroborosText

/// Where a device's new token goes.
struct TokenOptions: ParsableArguments {
    @Option(
        help: """
            Where the device finds the gateway: HOST:PORT, a name rather than an address, so that the gateway may move.
            """)
    var gateway: String

    @Option(help: "Writes the token to this new file, readable by its owner alone, and prints nothing.")
    var out: String?

    @Flag(help: "Prints a QR code in the token's place.")
    var qr = false

    @Option(
        help:
            "Writes credential and gateway to this new file, in its place, as ESP-IDF's nvs_partition_gen reads it."
    )
    var nvs: String?

    @Option(
        help: """
            With --nvs: a file with the name of the Wi-Fi and its password, a line each, readable by its owner alone.
            """)
    var wifiFile: String?

    @Option(
        help: "Writes credential and gateway to this new file, in its place, as microcontrollers keep them.")
    var blob: String?

    func validate() throws {
        guard wifiFile == nil || nvs != nil else {
            throw ValidationError("--wifi-file goes with --nvs")
        }
    }

    var isPrinted: Bool { out == nil && !qr && nvs == nil && blob == nil }

    func token(of credential: Credential) throws -> DeviceToken {
        try TokenPlace(gateway).token(of: credential)
    }

    /// Calls `commit` once the files are written, and prints what is printed after that.
    func handOut(_ token: DeviceToken, _ commit: () throws -> Void) throws {
        let text = try token.text()
        let line = SecretBytes.joined([text, .copying("\n".utf8)])
        var files: [NewFile] = []
        if let out { files.append(NewFile(path: out, bytes: line)) }
        if let blob {
            files.append(NewFile(path: blob, bytes: token.blob))
        }
        if let nvs {
            let wifi = try wifiFile.map { try NVSTable.WiFi(file: $0) }
            files.append(NewFile(path: nvs, bytes: NVSTable.bytes(of: token, wifi)))
        }
        try NewFile.write(files, commit)
        if qr {
            try Output.write(try QRCode(text).lines())
        }
        if isPrinted {
            try Output.write(line)
        }
    }
}

/// The gateway that tokens name.
struct TokenPlace {
    private let host: String
    private let port: UInt16

    init(_ gateway: String) throws {
        let name = try EndpointName(parsing: gateway)
        guard !name.isStream, let port = UInt16(exactly: name.place.port) else {
            throw OuroborosError(
                .invalidConfiguration,
                "a token's gateway is HOST:PORT, over UDP: a device that is to use TCP says --to tcp://HOST:PORT beside its state"
            )
        }
        host = name.place.host
        self.port = port
    }

    func token(of credential: Credential) throws -> DeviceToken {
        try DeviceToken(credential: credential, host: host, port: port)
    }
}

/// A file of secrets that is made.
struct NewFile {
    let path: String
    let bytes: SecretBytes

    /// What was written goes again when the files cannot all be, or when `commit` throws: it would open nothing.
    static func write(_ files: [NewFile], _ commit: () throws -> Void) throws {
        var written: [String] = []
        do {
            for file in files {
                try PrivateFile.write(file.bytes, toNew: file.path)
                written.append(file.path)
            }
            try commit()
        } catch {
            for path in written { unlink(path) }
            throw error
        }
    }
}
