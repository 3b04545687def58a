internal import COuroboros

/// A 256-bit symmetric key: a device's root key, a fleet's key, or the key of an epoch.
///
/// It erases itself, prints as `redacted`, compares in constant time, and cannot be encoded by accident.
public struct SecretKey: Sendable {
    public static let byteCount = Int(OURO_KEY_SIZE)

    let bytes: SecretBytes

    package init(fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        bytes = try SecretBytes(count: Self.byteCount, fill)
    }

    /// A key from its 32 bytes. The caller's own copy stays the caller's to erase.
    public init(_ source: some Collection<UInt8>) throws {
        guard source.count == Self.byteCount else {
            throw OuroborosError(
                .invalidKey, "a key has \(Self.byteCount) bytes, this one has \(source.count)")
        }
        self.init { $0.copyBytes(from: source) }
    }

    /// A key from its 64 hexadecimal digits; white space around them is ignored.
    public init(hex text: some Collection<UInt8>) throws {
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

    /// A fresh key from the system's random source.
    public static func random() -> SecretKey {
        SecretKey { Randomness.fill($0) }
    }

    public func withUnsafeBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        try bytes.withUnsafeBytes(body)
    }

    /// The root key of a device of the fleet whose key this is.
    public func rootKey(of device: DeviceID) throws -> SecretKey {
        try SecretKey { root in
            try bytes.withUnsafeBytes { fleet in
                try device.withUnsafeBytes { id in
                    try OuroborosError.check(
                        ouro_fleet_root_key(fleet.octets, id.octets, root.octets),
                        "deriving a device's root key")
                }
            }
        }
    }
}

/// What is pre-installed on a device.
public typealias RootKey = SecretKey

extension SecretKey: Equatable {
    public static func == (left: SecretKey, right: SecretKey) -> Bool {
        left.bytes.isEqual(to: right.bytes)
    }
}

extension SecretKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "redacted" }
    public var debugDescription: String { "redacted" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
