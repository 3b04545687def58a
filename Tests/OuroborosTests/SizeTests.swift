import COuroboros
import CSizes
import Testing

/// Swift allocates what C uses: both have to see the same sizes.
@Suite struct SizeTests {
    private static let swift: [String: (size: Int, alignment: Int)] = [
        "ouro_addr": layout(ouro_addr.self), "ouro_aead": layout(ouro_aead.self),
        "ouro_client": layout(ouro_client.self), "ouro_credential": layout(ouro_credential.self),
        "ouro_datagram": layout(ouro_datagram.self), "ouro_device": layout(ouro_device.self),
        "ouro_event": layout(ouro_event.self), "ouro_hello": layout(ouro_hello.self),
        "ouro_link": layout(ouro_link.self), "ouro_memory": layout(ouro_memory.self),
        "ouro_message": layout(ouro_message.self), "ouro_opened": layout(ouro_opened.self),
        "ouro_path": layout(ouro_path.self), "ouro_pending": layout(ouro_pending.self),
        "ouro_place": layout(ouro_place.self), "ouro_pool": layout(ouro_pool.self),
        "ouro_prepared": layout(ouro_prepared.self), "ouro_server": layout(ouro_server.self),
        "ouro_session": layout(ouro_session.self), "ouro_settings": layout(ouro_settings.self),
        "ouro_slot": layout(ouro_slot.self), "ouro_stats": layout(ouro_stats.self),
        "ouro_tail": layout(ouro_tail.self), "ouro_window": layout(ouro_window.self),
        "ouro_ahead": layout(ouro_ahead.self),
    ]

    private static func layout<Struct>(_: Struct.Type) -> (size: Int, alignment: Int) {
        (MemoryLayout<Struct>.stride, MemoryLayout<Struct>.alignment)
    }

    @Test func cAndSwiftSeeTheSameSizes() throws {
        var count = 0
        var row = try #require(c_sizes())
        while let name = row.pointee.name {
            let seen = try #require(Self.swift[String(cString: name)])
            #expect(seen.size == row.pointee.size, "\(String(cString: name))")
            #expect(seen.alignment == row.pointee.align, "\(String(cString: name))")
            count += 1
            row += 1
        }
        #expect(count == Self.swift.count)
    }
}
