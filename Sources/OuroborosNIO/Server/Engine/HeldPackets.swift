import Ouroboros

/// Packets of devices of which something is being made durable, in the order they came: so many of one device, so many
/// of all.
struct HeldPackets {
    struct Packet {
        var bytes: [UInt8]
        let address: PeerAddress
    }

    private let ofAll: Int
    private let ofOne: Int
    private var packets: [DeviceID: [Packet]] = [:]
    private(set) var count = 0

    init(ofAll: Int, ofOne: Int) {
        self.ofAll = ofAll
        self.ofOne = ofOne
    }

    /// False where there is no room for it.
    mutating func hold(
        _ packet: UnsafeRawBufferPointer, from address: PeerAddress, of device: DeviceID
    ) -> Bool {
        guard count < ofAll, packets[device, default: []].count < ofOne else { return false }
        packets[device, default: []].append(Packet(bytes: Array(packet), address: address))
        count += 1
        return true
    }

    /// What is held of the device, the first first.
    mutating func take(of device: DeviceID) -> [Packet] {
        let held = packets.removeValue(forKey: device) ?? []
        count -= held.count
        return held
    }
}
