import Ouroboros

/// What this sensor is told on its command line; by hand, as a parser would take as much memory as the rest.
struct Arguments {
    var host = ""
    var port = 0
    var device = DeviceID(number: 0)
    var keyFile = ""
    var interval = 10
    var count = Int.max
    var reportsMemory = false

    static let usage = """
        usage: RPiSensor --to HOST:PORT --device ID --root-key-file FILE [--interval SECONDS] [--count N]
                         [--report-memory]
        Reads a thermal zone of the kernel's (else the load) and sends the readings over UDP.
        """

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        func next(_ option: String) throws -> String {
            guard let value = rest.popFirst() else {
                throw OuroborosError(.invalidConfiguration, "\(option) needs a value\n\(Self.usage)")
            }
            return value
        }
        while let option = rest.popFirst() {
            switch option {
            case "--to":
                let text = try next(option)
                guard let colon = text.lastIndex(of: ":"),
                    let port = UInt16(text[text.index(after: colon)...])
                else { throw OuroborosError(.invalidAddress, "“\(text)” is no HOST:PORT") }
                let brackets: Set<Character> = ["[", "]"]
                host = String(text[..<colon].filter { !brackets.contains($0) })
                self.port = Int(port)
            case "--device": device = try DeviceID(hex: try next(option))
            case "--root-key-file": keyFile = try next(option)
            case "--interval": interval = Int(try next(option)) ?? interval
            case "--count": count = Int(try next(option)) ?? count
            case "--report-memory": reportsMemory = true
            default: throw OuroborosError(.invalidConfiguration, "\(option)?\n\(Self.usage)")
            }
        }
        guard !host.isEmpty, !keyFile.isEmpty, device.number != 0 else {
            throw OuroborosError(.invalidConfiguration, Self.usage)
        }
    }
}
