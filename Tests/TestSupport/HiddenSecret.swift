import Foundation
import LibC
import Ouroboros

/// 32 random bytes, and their 64 hexadecimal digits, which lie in pages of their own: so that what else holds them, in
/// memory that is in use or was, can be found.
package final class HiddenSecret: Sendable {
    private static let byteCount = 32
    private static let digitCount = 2 * byteCount

    private static let variableOffset = 256

    /// The bytes and their digits; behind them a variable of the environment.
    private nonisolated(unsafe) let page: UnsafeMutableRawBufferPointer

    package init() {
        page = MemoryScan.hiddenPage()
        for index in 0..<Self.byteCount {
            page[index] = .random(in: 0...255)
        }
        for index in 0..<Self.digitCount {
            let byte = page[index / 2]
            let nibble = index % 2 == 0 ? byte >> 4 : byte & 15
            page[Self.byteCount + index] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble
        }
    }

    package var bytes: UnsafeRawBufferPointer { part(0, Self.byteCount) }
    package var digits: UnsafeRawBufferPointer { part(Self.byteCount, Self.digitCount) }

    private func part(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(page)[offset..<offset + count])
    }

    /// A file with lines of the digits, readable by its owner alone.
    package func writeDigits(to path: String, lines: Int = 1) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw POSIXError(.EIO) }
        defer { close(file) }
        for _ in 0..<lines {
            guard write(file, digits.baseAddress, digits.count) == digits.count, write(file, "\n", 1) == 1
            else { throw POSIXError(.EIO) }
        }
    }

    /// Puts the digits into the environment, without a copy, while `body` runs.
    package func withVariable(_ name: String, _ body: () throws -> Void) throws {
        let variable = UnsafeMutableRawBufferPointer(rebasing: page[Self.variableOffset...])
        let start = Array((name + "=").utf8)
        variable.copyBytes(from: start)
        UnsafeMutableRawBufferPointer(rebasing: variable[start.count...]).copyMemory(from: digits)
        let text = variable.assumingMemoryBound(to: CChar.self)
        guard let base = text.baseAddress, putenv(base) == 0 else { throw POSIXError(.ENOMEM) }
        defer { unsetenv(name) }
        try body()
    }

    /// Where else half of the bytes, or a quarter of the digits, lie.
    package func copies() throws -> [String] {
        let half = Self.byteCount / 2
        return try MemoryScan.places(of: part(0, half), part(half, half), part(2 * half, half))
    }
}
