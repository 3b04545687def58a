import LibC
import Ouroboros
import OuroborosText

/// Where a sensor's readings come from.
package enum SensorSource: Sendable {
    /// A thermal zone of the kernel's, by the number in its name.
    case thermal(zone: String)
    /// Load and memory, from /proc.
    case load
    /// What a shell command prints.
    case command(SensorCommand)

    /// The first thermal zone that can be read, else load and memory.
    package static func automatic(zones: String = "/sys/class/thermal") -> SensorSource {
        for number in 0..<64 {
            let zone = "\(zones)/thermal_zone\(number)"
            if temperature(zone) != nil {
                return .thermal(zone: zone)
            }
        }
        return .load
    }

    /// One reading, a JSON object, or what the command printed. A command keeps the thread until it ends, or until it
    /// is stopped.
    package func read(isStopped: () -> Bool = { false }) throws -> [UInt8] {
        switch self {
        case .thermal(let zone):
            guard let celsius = Self.temperature(zone) else {
                throw OuroborosError(.transport, "cannot read “\(zone)/temp”")
            }
            var line = JSONLine()
            line.add("time", WallClock.now())
            line.add(
                "source",
                String(zone[(zone.lastIndex(of: "/").map(zone.index(after:)) ?? zone.startIndex)...]))
            line.add("celsius", celsius, decimals: 3)
            return line.finished()
        case .load:
            return try Self.loadAndMemory()
        case .command(let command):
            return try command.output(isStopped: isStopped)
        }
    }

    private static func temperature(_ zone: String) -> Double? {
        guard let text = file("\(zone)/temp"), let first = text.split(whereSeparator: \.isWhitespace).first,
            let thousandths = Double(first)
        else { return nil }
        return thousandths / 1000
    }

    private static func loadAndMemory() throws -> [UInt8] {
        guard let text = file("/proc/loadavg"), let meminfo = file("/proc/meminfo"),
            let load = text.split(separator: " ").first.flatMap({ Double($0) })
        else {
            throw OuroborosError(.transport, "there is no thermal zone here, and no /proc: give --command")
        }
        func kilobytes(_ name: String) -> Int64? {
            meminfo.split(separator: "\n").first { $0.hasPrefix(name + ":") }?
                .split(separator: " ").dropFirst().first.flatMap { Int64($0) }
        }
        var line = JSONLine()
        line.add("time", WallClock.now())
        line.add("source", "proc")
        line.add("load", load, decimals: 2)
        if let available = kilobytes("MemAvailable"), let total = kilobytes("MemTotal") {
            line.add("memory_available_kb", available)
            line.add("memory_total_kb", total)
        }
        return line.finished()
    }

    private static func file(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 16_384)
        var count = 0
        while count < bytes.count {
            let room = bytes.count - count
            let got = bytes.withUnsafeMutableBytes { buffer in
                systemRead(descriptor, buffer.baseAddress.map { $0 + count }, room)
            }
            guard got > 0 else { break }
            count += got
        }
        return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
    }
}

// The method has the system call's name.
private func systemRead(_ file: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(file, buffer, count)
}
