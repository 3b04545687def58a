internal import COuroboros

/// The arrays of one link, in one allocation that is erased at the end.
final class LinkMemory {
    private let block: UnsafeMutableRawBufferPointer
    let link: UnsafeMutablePointer<ouro_link>
    let settings: UnsafeMutablePointer<ouro_settings>
    let layout: UnsafeMutablePointer<ouro_memory>

    init(_ configuration: LinkConfiguration, role: ouro_role, pool: PlacePool) {
        let isClient = role == OURO_CLIENT
        var size = 0
        let linkOffset = Self.reserve(ouro_link.self, 1, &size)
        let settingsOffset = Self.reserve(ouro_settings.self, 1, &size)
        let layoutOffset = Self.reserve(ouro_memory.self, 1, &size)
        let sessions = Self.reserve(ouro_session.self, configuration.sessions, &size)
        let slotCount = configuration.isStream ? 0 : configuration.sessions * 2 * configuration.reach
        let slots = Self.reserve(ouro_slot.self, slotCount, &size)
        let tails = Self.reserve(ouro_tail.self, configuration.tails, &size)
        let paths = Self.reserve(ouro_path.self, isClient ? 0 : configuration.sessions, &size)
        let client = Self.reserve(ouro_client.self, isClient ? 1 : 0, &size)
        let prepared = Self.reserve(ouro_prepared.self, configuration.preparesMessages ? 1 : 0, &size)

        block = .allocate(byteCount: size, alignment: 16)
        block.initializeMemory(as: UInt8.self, repeating: 0)
        link = Self.pointer(block, linkOffset, ouro_link.self, 1)
        settings = Self.pointer(block, settingsOffset, ouro_settings.self, 1)
        settings.pointee = configuration.engineSettings(role: role)
        layout = Self.pointer(block, layoutOffset, ouro_memory.self, 1)
        layout.pointee.session_count = UInt8(configuration.sessions)
        layout.pointee.tail_count = UInt8(configuration.tails)
        layout.pointee.sessions = Self.pointer(block, sessions, ouro_session.self, configuration.sessions)
        layout.pointee.pool = pool.pool
        if slotCount > 0 {
            layout.pointee.slots = Self.pointer(block, slots, ouro_slot.self, slotCount)
        }
        if configuration.tails > 0 {
            layout.pointee.tails = Self.pointer(block, tails, ouro_tail.self, configuration.tails)
        }
        if isClient {
            layout.pointee.client = Self.pointer(block, client, ouro_client.self, 1)
        } else {
            layout.pointee.paths = Self.pointer(block, paths, ouro_path.self, configuration.sessions)
        }
        if configuration.preparesMessages {
            layout.pointee.prepared = Self.pointer(block, prepared, ouro_prepared.self, 1)
        }
    }

    deinit {
        ouro_erase(block.baseAddress, block.count)
        block.deallocate()
    }

    var byteCount: Int { block.count }

    private static func reserve<Element>(_: Element.Type, _ count: Int, _ size: inout Int) -> Int {
        let alignment = MemoryLayout<Element>.alignment
        let offset = (size + alignment - 1) / alignment * alignment
        size = offset + count * MemoryLayout<Element>.stride
        return offset
    }

    private static func pointer<Element>(
        _ block: UnsafeMutableRawBufferPointer, _ offset: Int, _: Element.Type, _ count: Int
    ) -> UnsafeMutablePointer<Element> {
        let bytes = UnsafeMutableRawBufferPointer(
            rebasing: block[offset..<offset + count * MemoryLayout<Element>.stride])
        let elements = bytes.bindMemory(to: Element.self)
        guard let base = elements.baseAddress else {
            preconditionFailure("an allocation of at least one link has an address")
        }
        return base
    }
}
