internal import COuroboros

/// Storage for messages that wait or are in flight, shared by the links of one thread.
public final class PlacePool {
    let pool: UnsafeMutablePointer<ouro_pool>
    private let memory: UnsafeMutableRawBufferPointer

    /// `packetCapacity` is the largest packet that a place takes, its 32 bytes of overhead included.
    public init(places: Int, packetCapacity: Int = Packet.maximumSize) throws(OuroborosError) {
        try LinkConfiguration.check(places, in: 1...1_000_000, "places")
        try LinkConfiguration.check(packetCapacity, in: 96...Int(OURO_MAX_PACKET), "packetCapacity")
        memory = .allocate(byteCount: ouro_pool_memory(places, packetCapacity), alignment: 8)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        pool = .allocate(capacity: 1)
        pool.initialize(to: ouro_pool())
        try OuroborosError.check(
            ouro_pool_init(pool, memory.baseAddress, memory.count, packetCapacity), "making a pool of places")
    }

    deinit {
        ouro_erase(memory.baseAddress, memory.count)
        memory.deallocate()
        pool.deallocate()
    }

    public var count: Int { pool.pointee.count }
    public var used: Int { pool.pointee.used }
}
