internal import COuroboros

/// Where a datagram came from, as the transport writes it: the engine compares it byte by byte.
public struct PeerAddress {
    public static let capacity = 27

    var raw: ouro_addr

    /// At most ``capacity`` bytes; what is more is left out.
    public init(_ bytes: UnsafeRawBufferPointer) {
        raw = ouro_addr()
        let count = min(bytes.count, Self.capacity)
        raw.len = UInt8(count)
        withUnsafeMutableBytes(of: &raw.bytes) {
            $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        }
    }

    init(_ raw: ouro_addr) {
        self.raw = raw
    }

    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try Swift.withUnsafeBytes(of: raw.bytes) { (bytes) throws(Failure) in
            try body(UnsafeRawBufferPointer(rebasing: bytes[..<min(Int(raw.len), bytes.count)]))
        }
    }
}

extension PeerAddress: Equatable {
    public static func == (left: PeerAddress, right: PeerAddress) -> Bool {
        left.withUnsafeBytes { left in right.withUnsafeBytes { left.elementsEqual($0) } }
    }
}
