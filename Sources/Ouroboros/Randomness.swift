/// Random bytes from the system.
enum Randomness {
    static func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        var generator = SystemRandomNumberGenerator()
        var index = 0
        while index < buffer.count {
            var word = generator.next()
            withUnsafeBytes(of: &word) { source in
                let count = min(source.count, buffer.count - index)
                UnsafeMutableRawBufferPointer(rebasing: buffer[index..<index + count])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<count]))
                index += count
            }
        }
    }
}

extension UnsafeRawBufferPointer {
    var octets: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}

extension UnsafeMutableRawBufferPointer {
    var octets: UnsafeMutablePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}
