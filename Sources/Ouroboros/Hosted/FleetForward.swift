internal import COuroboros

/// What a gateway passes on to another: a device's packet that landed on the wrong one, or the answer to it.
public struct FleetForward {
    public enum Kind: Sendable {
        /// A device's packet, for the gateway whose session it is; the address is where it came from.
        case toOwner
        /// The answer; the address is where it is to go.
        case toDevice
    }

    public let kind: Kind
    public let address: PeerAddress
    /// Inside the packet that was opened.
    public let packet: UnsafeMutableRawBufferPointer

    /// The largest that there is.
    public static let maximumSize = Int(OURO_FORWARD_HEADER) + PeerAddress.capacity + Packet.maximumSize + 16

    /// Who says to have sent it; nothing is verified.
    public static func sender(of data: UnsafeRawBufferPointer) -> UInt8? {
        let sender = ouro_forward_sender(data.octets, data.count)
        return sender == 0 ? nil : sender
    }
}

/// Both directions between one gateway and another, sealed under keys of the fleet. It belongs to one event loop.
public final class FleetChannel {
    public enum Opened {
        case taken(FleetForward)
        case dropped(DropReason)
    }

    private let forwarder: UnsafeMutablePointer<ouro_forwarder>
    private let window: UnsafeMutablePointer<ouro_forward_window>

    /// While the fleet's secret is replaced there is a second one: sealed is under the first, and either opens.
    public init(
        fleetSecret: SecretKey, secondSecret: SecretKey? = nil, from own: UInt8, to other: UInt8
    ) throws {
        forwarder = .allocate(capacity: 1)
        forwarder.initialize(to: ouro_forwarder())
        window = .allocate(capacity: 1)
        window.initialize(to: ouro_forward_window())
        try fleetSecret.withUnsafeBytes { secret in
            try withUnsafeTemporaryAllocation(byteCount: Int(OURO_RUN_SIZE), alignment: 1) { run in
                Randomness.fill(run)
                try OuroborosError.check(
                    ouro_forwarder_init(forwarder, secret.octets, own, other, run.octets),
                    "deriving the key of forwards")
            }
            ouro_forward_window_init(window, secret.octets, other, own)
        }
        secondSecret?.withUnsafeBytes { ouro_forward_window_set_second(window, $0.octets) }
    }

    deinit {
        ouro_forwarder_erase(forwarder)
        ouro_forward_window_erase(window)
        forwarder.deallocate()
        window.deallocate()
    }

    /// Seals a forward; `wallTime` is in milliseconds since 1970.
    public func seal(
        _ kind: FleetForward.Kind, _ packet: UnsafeRawBufferPointer, _ address: PeerAddress, wallTime: UInt64,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) throws {
        var forward = ouro_forward()
        forward.kind = kind == .toOwner ? OURO_FORWARD_TO_OWNER : OURO_FORWARD_TO_DEVICE
        forward.address = address.raw
        forward.packet = packet.octets
        forward.len = packet.count
        try withUnsafeTemporaryAllocation(byteCount: FleetForward.maximumSize, alignment: 1) { buffer in
            var count = 0
            try OuroborosError.check(
                ouro_forward_seal(forwarder, wallTime, &forward, buffer.octets, &count), "sealing a forward")
            body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// Opens a forward in place: an authentic one, of this fleet, that was not taken before and is fresh.
    public func open(_ data: UnsafeMutableRawBufferPointer, wallTime: UInt64) throws -> Opened {
        var forward = ouro_forward()
        let status = ouro_forward_open(window, wallTime, data.octets, data.count, &forward)
        if let reason = DropReason(status) {
            return .dropped(reason)
        }
        try OuroborosError.check(status, "opening a forward")
        return .taken(
            FleetForward(
                kind: forward.kind == OURO_FORWARD_TO_OWNER ? .toOwner : .toDevice,
                address: PeerAddress(forward.address),
                packet: UnsafeMutableRawBufferPointer(
                    start: UnsafeMutableRawPointer(mutating: forward.packet), count: forward.len)))
    }
}
