import Ouroboros

/// Makes the first packet of a connection, which needs all of the engine's layers.
@main
enum Consumer {
    static func main() throws {
        let credential = Credential.fixed(device: DeviceID(number: 1), rootKey: .random())
        let link = try Link(client: credential)
        try link.connect(now: 0)
        while try link.nextEvent() != nil {}
        _ = try link.transmit(now: 0) { packet, _ in print("HELLO of \(packet.count) bytes") }
    }
}
