@testable import OuroborosAnalysis

/// Frames as a capture holds them, made by hand.
enum Frames {
    enum Layer: Int32, CaseIterable {
        case null = 0
        case ethernet = 1
        case raw = 12
        case loop = 108
        case cooked = 113
        case cooked2 = 276
    }

    static let client: [UInt8] = [192, 0, 2, 10]
    static let server: [UInt8] = [192, 0, 2, 1]
    static let clientPort: UInt16 = 40_000

    static func udp(
        _ packet: Traffic.Packet, on layer: Layer = .ethernet, client: [UInt8] = client,
        clientPort: UInt16 = clientPort,
        serverPort: UInt16 = 5700, isIPv6: Bool = false
    ) -> Frame {
        let ports = packet.isUp ? (clientPort, serverPort) : (serverPort, clientPort)
        let datagram =
            be(ports.0) + be(ports.1) + be(UInt16(packet.bytes.count + 8)) + [0, 0] + packet.bytes
        let addresses = packet.isUp ? (client, server) : (server, client)
        let ip =
            isIPv6
            ? v6(17, datagram, from: wide(addresses.0), to: wide(addresses.1))
            : v4(17, datagram, from: addresses.0, to: addresses.1)
        return frame(ip, on: layer, isIPv6: isIPv6, time: packet.time)
    }

    static func tcp(
        _ bytes: [UInt8], isUp: Bool, sequence: UInt32, flags: UInt8 = 0x18, time: Int64 = 0,
        serverPort: UInt16 = 5700
    ) -> Frame {
        let ports = isUp ? (clientPort, serverPort) : (serverPort, clientPort)
        let segment =
            be(ports.0) + be(ports.1) + be(sequence) + be(UInt32(0)) + [0x50, flags] + be(UInt16(1000))
            + [0, 0, 0, 0] + bytes
        let addresses = isUp ? (client, server) : (server, client)
        return frame(
            v4(6, segment, from: addresses.0, to: addresses.1), on: .ethernet, isIPv6: false, time: time)
    }

    private static func be(_ number: some FixedWidthInteger) -> [UInt8] {
        [UInt8](bigEndian: number)
    }

    private static func wide(_ address: [UInt8]) -> [UInt8] {
        [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0] + address
    }

    private static func v4(_ proto: UInt8, _ payload: [UInt8], from: [UInt8], to: [UInt8]) -> [UInt8] {
        [0x45, 0] + be(UInt16(20 + payload.count)) + [0, 0, 0, 0, 64, proto, 0, 0] + from + to + payload
    }

    private static func v6(_ proto: UInt8, _ payload: [UInt8], from: [UInt8], to: [UInt8]) -> [UInt8] {
        // A header of destination options, to be stepped over.
        let options: [UInt8] = [proto, 0, 1, 4, 0, 0, 0, 0]
        return [0x60, 0, 0, 0] + be(UInt16(payload.count + 8)) + [60, 64] + from + to + options + payload
    }

    private static func frame(_ ip: [UInt8], on layer: Layer, isIPv6: Bool, time: Int64) -> Frame {
        let type: [UInt8] = isIPv6 ? [0x86, 0xdd] : [0x08, 0x00]
        let header: [UInt8] =
            switch layer {
            case .null: [isIPv6 ? 10 : 2, 0, 0, 0]
            case .loop: [0, 0, 0, isIPv6 ? 24 : 2]
            case .raw: []
            case .ethernet: [UInt8](repeating: 2, count: 12) + type
            case .cooked: [0, 0, 0, 1, 0, 6] + [UInt8](repeating: 0, count: 8) + type
            case .cooked2:
                type + [UInt8](repeating: 0, count: 6) + [0, 1, 0, 6] + [UInt8](repeating: 0, count: 8)
            }
        // A short frame of Ethernet is padded.
        let padding = layer == .ethernet ? [UInt8](repeating: 0, count: 4) : []
        return Frame(
            time: CaptureTime(microseconds: time), linkType: layer.rawValue, bytes: header + ip + padding)
    }

    // MARK: Files

    static func pcap(_ frames: [Frame]) -> [UInt8] {
        // In files raw IP is 101 everywhere.
        let type = frames.first?.linkType == 12 ? 101 : UInt32(frames.first?.linkType ?? 1)
        var file = be(0xa1b2_c3d4 as UInt32) + be(UInt16(2)) + be(UInt16(4)) + be(UInt64(0))
        file += be(UInt32(65_535)) + be(type)
        for frame in frames {
            file += be(UInt32(frame.time.microseconds / 1_000_000))
            file += be(UInt32(frame.time.microseconds % 1_000_000))
            file += be(UInt32(frame.bytes.count)) + be(UInt32(frame.originalLength)) + frame.bytes
        }
        return file
    }

    static func pcapng(_ frames: [Frame]) -> [UInt8] {
        func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
            let padded = body + [UInt8](repeating: 0, count: (4 - body.count % 4) % 4)
            let length = be(UInt32(padded.count + 12))
            return be(type) + length + padded + length
        }
        let unknownLength = [UInt8](repeating: 0xff, count: 8)
        var file = block(
            0x0a0d_0d0a, be(0x1a2b_3c4d as UInt32) + be(UInt16(1)) + be(UInt16(0)) + unknownLength)
        file += block(1, be(UInt16(frames.first?.linkType ?? 1)) + be(UInt16(0)) + be(UInt32(65_535)))
        for frame in frames {
            let time = be(UInt32(0)) + be(UInt64(frame.time.microseconds))
            let sizes = be(UInt32(frame.bytes.count)) + be(UInt32(frame.originalLength))
            file += block(6, time + sizes + frame.bytes)
        }
        return file
    }
}
