import ArgumentParser
import Ouroboros
import OuroborosStore

/// A device that a store has.
struct DeviceChoice: ParsableArguments {
    @Argument(help: "The device, by its name or its id.")
    var name: String?

    @Option(help: "In its place: its id, 16 hexadecimal digits.")
    var device: String?

    func validate() throws {
        guard (name == nil) != (device == nil) else {
            throw ValidationError("name one device: its name or its id, or --device ID")
        }
    }

    func record(in store: any DeviceStore, _ storeName: String) throws -> DeviceRecord {
        let text = device ?? name ?? ""
        if let id = try device.map({ try DeviceID(hex: $0) }) ?? (try? DeviceID(hex: text)) {
            if let record = try store.record(of: id) { return record }
        }
        let found = device == nil ? try store.list().filter { $0.name == text } : []
        guard let first = found.first else {
            throw OuroborosError(.storage, "there is no device \(text) in “\(storeName)”")
        }
        guard found.count == 1 else {
            let ids = found.prefix(3).map(\.id.description).joined(separator: ", ")
            throw OuroborosError(
                .storage,
                "\(found.count) devices are called “\(text)” (\(ids)\(found.count > 3 ? ", …" : "")): give an id"
            )
        }
        return first
    }
}
