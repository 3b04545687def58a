internal import COuroboros

/// The 8 bytes that name a device, an EUI-64 for example. Written as 16 hexadecimal digits.
public struct DeviceID: Sendable, Hashable {
    public static let byteCount = Int(OURO_DEVICE_ID_SIZE)

    /// The 8 bytes as one big-endian number.
    public let number: UInt64

    public init(number: UInt64) {
        self.number = number
    }

    public init(_ bytes: some Collection<UInt8>) throws(OuroborosError) {
        guard bytes.count == Self.byteCount else {
            throw OuroborosError(
                .invalidDeviceID, "a device id has \(Self.byteCount) bytes, this one has \(bytes.count)")
        }
        number = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    public init(hex text: String) throws(OuroborosError) {
        let digits = text.utf8.compactMap(Hex.value(of:))
        guard digits.count == 2 * Self.byteCount, text.utf8.count == digits.count else {
            throw OuroborosError(
                .invalidDeviceID,
                "a device id is \(2 * Self.byteCount) hexadecimal digits, such as 0102030405060708, "
                    + "not “\(text)”")
        }
        number = digits.reduce(0) { $0 << 4 | UInt64($1) }
    }

    public var bytes: [UInt8] {
        withUnsafeBytes { Array($0) }
    }

    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try Swift.withUnsafeBytes(of: number.bigEndian, body)
    }
}

extension DeviceID: CustomStringConvertible {
    public var description: String { Hex.string(of: bytes) }
}
