// A sensor for a Raspberry Pi Zero: no event loop, no Foundation, under 10 MB in all.
import Ouroboros
import OuroborosPOSIX

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The beginning of a file, or nil.
func contents(of path: String, atMost limit: Int = 512) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: limit)
    let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
    return count < 0 ? nil : Array(bytes.prefix(count))
}

/// One reading, a JSON object. Users of I2C or GPIO put their own here.
func reading() -> [UInt8] {
    for zone in 0..<8 {
        if let text = contents(of: "/sys/class/thermal/thermal_zone\(zone)/temp"),
            let thousandths = Int(String(decoding: text.prefix { $0 != 10 }, as: UTF8.self))
        {
            return Array("{\"source\":\"thermal_zone\(zone)\",\"millicelsius\":\(thousandths)}".utf8)
        }
    }
    let text = contents(of: "/proc/loadavg") ?? Array("null ".utf8)
    let load = String(decoding: text[..<(text.firstIndex(of: 32) ?? 0)], as: UTF8.self)
    return Array("{\"source\":\"proc\",\"load\":\(load)}".utf8)
}

func residentKilobytes() -> String {
    let status = String(decoding: contents(of: "/proc/self/status", atMost: 4096) ?? [], as: UTF8.self)
    return status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }.map(String.init) ?? "VmRSS: unknown"
}

do {
    let arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
    guard let text = contents(of: arguments.keyFile) else {
        throw OuroborosError(.invalidKey, "cannot read “\(arguments.keyFile)”")
    }
    let credential = Credential.fixed(device: arguments.device, rootKey: try SecretKey(hex: text))
    let client = try BlockingClient(
        socket: try SystemSocket(host: arguments.host, port: arguments.port), credential: credential)
    try client.connect()
    let clock = ContinuousClock()
    for number in 0..<arguments.count {
        let due = clock.now + .seconds(number > 0 ? arguments.interval : 0)
        while clock.now < due {
            // Commands from the gateway come in here, while it waits.
            _ = try client.receive(timeout: due - clock.now)
        }
        try client.send(reading())
        print("sent \(number + 1)")
        fflush(nil)
    }
    client.close()
    if arguments.reportsMemory {
        print(residentKilobytes())
    }
} catch {
    print("RPiSensor: \(error)")
    exit(1)
}
