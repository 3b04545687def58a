internal import COuroboros

/// An opened packet whose messages wait until an epoch, or a session's number, is durable; it is erased when it goes away.
final class KeptPacket {
    let bytes: UnsafeMutableRawBufferPointer

    init(_ packet: UnsafeMutableRawBufferPointer) {
        bytes = .allocate(byteCount: packet.count, alignment: 16)
        bytes.copyMemory(from: UnsafeRawBufferPointer(packet))
    }

    deinit {
        ouro_erase(bytes.baseAddress, bytes.count)
        bytes.deallocate()
    }
}
