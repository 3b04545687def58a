import Foundation
import LibC

/// Memory that held secrets.
public enum Erasing {
    public static func erase(_ data: inout Data) {
        data.withUnsafeMutableBytes(erase)
    }

    public static func erase(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes(erase)
    }

    private static func erase(_ buffer: UnsafeMutableRawBufferPointer) {
        guard let base = buffer.baseAddress else { return }
        explicit_bzero(base, buffer.count)
    }
}
