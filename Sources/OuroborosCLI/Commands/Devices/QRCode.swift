import CQrencode
import Ouroboros

/// A QR code for a terminal: two modules a character, black on white whatever the terminal's colours are.
struct QRCode {
    /// True for a dark module; a row after the other.
    private let modules: [Bool]
    let width: Int

    /// Modules that stay light around it (ISO/IEC 18004).
    private static let quiet = 4

    /// The text, in capitals, which take less room.
    init(_ text: SecretBytes) throws {
        let line = SecretBytes.joined([text, .copying([0])])
        let code = line.withUnsafeBytes { bytes in
            QRcode_encodeString(
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self), 0, QR_ECLEVEL_M, QR_MODE_8, 0)
        }
        guard let code, let data = code.pointee.data else {
            throw OuroborosError(.tooLarge, "the token finds no room in a QR code: print it, or use --out")
        }
        defer { QRcode_free(code) }
        width = Int(code.pointee.width)
        // The lowest bit of a module is its colour.
        modules = (0..<width * width).map { data[$0] & 1 == 1 }
    }

    func isDark(_ column: Int, _ row: Int) -> Bool {
        (0..<width).contains(column) && (0..<width).contains(row) && modules[row * width + column]
    }

    func lines() -> [UInt8] {
        let (first, last) = (-Self.quiet, width + Self.quiet)
        var text = ""
        for row in stride(from: first, to: last, by: 2) {
            text += "\u{1b}[38;5;16;48;5;231m"
            for column in first..<last {
                switch (isDark(column, row), isDark(column, row + 1)) {
                case (false, false): text += " "
                case (true, false): text += "▀"
                case (false, true): text += "▄"
                case (true, true): text += "█"
                }
            }
            text += "\u{1b}[0m\n"
        }
        return Array(text.utf8)
    }
}
