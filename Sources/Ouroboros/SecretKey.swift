internal import COuroboros

/// A 256-bit symmetric key: a device's root key, a fleet's key, or the key of an epoch.
///
/// It erases itself, prints as `redacted`, compares in constant time, and cannot be encoded by accident.
public struct SecretKey: Sendable {
    public static let byteCount = Int(OURO_KEY_SIZE)

    let bytes: SecretBytes

    package init<Failure: Error>(
        fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        bytes = try SecretBytes.filled(count: Self.byteCount, by: fill)
    }

    /// A key from its 32 bytes. The caller's own copy stays the caller's to erase.
    public init(_ source: some Collection<UInt8>) throws(OuroborosError) {
        guard source.count == Self.byteCount else {
            throw OuroborosError(
                .invalidKey, "a key has \(Self.byteCount) bytes, this one has \(source.count)")
        }
        self.init { $0.copyBytes(from: source) }
    }

    /// A key from its 64 hexadecimal digits; white space around them is ignored.
    public init(hex text: some Collection<UInt8>) throws(OuroborosError) {
        let space: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0d).contains($0) }
        let digits = text.drop(while: space)
        let count = digits.prefix { !space($0) }.count
        guard digits.dropFirst(count).allSatisfy(space) else {
            throw OuroborosError(
                .invalidKey, "a key is one run of 64 hexadecimal digits, here there are more")
        }
        guard count == 2 * Self.byteCount else {
            throw OuroborosError(
                .invalidKey,
                "a key has \(2 * Self.byteCount) hexadecimal digits, here there are \(count)")
        }
        var valid = true
        self.init { buffer in
            for (index, digit) in digits.prefix(count).enumerated() {
                guard let value = Hex.value(of: digit) else {
                    valid = false
                    return
                }
                buffer[index / 2] = buffer[index / 2] << 4 | value
            }
        }
        guard valid else {
            throw OuroborosError(
                .invalidKey, "a key is made of hexadecimal digits, here there is something else")
        }
    }

    /// The same, from text. The text itself stays the caller's, and cannot be erased: it is best short-lived.
    public init(hex text: String) throws(OuroborosError) {
        try self.init(hex: text.utf8)
    }

    /// A fresh key from the system's random source.
    public static func random() -> SecretKey {
        SecretKey { Randomness.fill($0) }
    }

    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try bytes.withUnsafeBytes(body)
    }

    /// The root key of a device of the fleet whose key this is.
    public func rootKey(of device: DeviceID) throws(OuroborosError) -> SecretKey {
        var status = OURO_OK
        let key = SecretKey { root in
            status = bytes.withUnsafeBytes { fleet in
                device.withUnsafeBytes { ouro_fleet_root_key(fleet.octets, $0.octets, root.octets) }
            }
        }
        try OuroborosError.check(status, "deriving a device's root key")
        return key
    }
}

/// What is pre-installed on a device.
public typealias RootKey = SecretKey

extension SecretKey: Equatable {
    public static func == (left: SecretKey, right: SecretKey) -> Bool {
        left.bytes == right.bytes
    }
}

extension SecretKey: CustomStringConvertible, CustomDebugStringConvertible {
    public var description: String { "redacted" }
    public var debugDescription: String { "redacted" }
}
