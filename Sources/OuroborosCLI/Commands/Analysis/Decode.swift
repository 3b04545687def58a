import ArgumentParser
import Ouroboros
import OuroborosAnalysis
import OuroborosText

struct Decode: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints the fields of one packet, or which check it fails.",
        discussion: """
            What can be read without a key. The exit status is 0 only if every check of section 2.3 of the protocol \
            holds.
            """)

    @Argument(help: "The packet in hexadecimal; spaces, colons and several arguments are joined.")
    var hex: [String]

    @Option(help: "The receiver's max_body.")
    var maxBody = 1200

    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        guard let bytes = Hex.bytes(hex.joined()) else {
            throw OuroborosError(.invalidConfiguration, "that is not hexadecimal, or half a byte is missing")
        }
        guard (64...1200).contains(maxBody) else {
            throw OuroborosError(.invalidConfiguration, "--max-body is 64 to 1200, not \(maxBody)")
        }
        let packet = DecodedPacket(bytes, maxBody: maxBody)
        let fields = PacketFields(packet, size: bytes.count)
        if json {
            try Output.write(fields.json + [UInt8(ascii: "\n")])
        } else {
            for (name, value) in fields.all {
                let padding = String(repeating: " ", count: max(0, 11 - name.count))
                try Output.line("\(name)\(padding) \(value.text)")
            }
        }
        guard packet.flaw == nil else { throw ExitCode(1) }
    }
}

/// What `decode` prints, in order.
struct PacketFields {
    enum Value {
        case number(UInt64)
        case string(String)
        case list([String])

        var text: String {
            switch self {
            case .number(let number): "\(number)"
            case .string(let string): string
            case .list(let list): list.isEmpty ? "none" : list.joined(separator: " ")
            }
        }
    }

    private(set) var all: [(name: String, value: Value)] = []

    init(_ packet: DecodedPacket, size: Int) {
        add("size", .number(UInt64(size)))
        if let header = packet.header {
            add("version", .number(UInt64(header.version)))
            add("type", .string(header.typeName))
            add("flags", .list(header.flagNames))
            add("length", .number(UInt64(header.length)))
            add("session", .string(Hex.string(UInt64(header.sessionID), digits: 8)))
            add(header.type?.isHandshake == true ? "epoch" : "counter", .number(header.counter))
        }
        if let hello = packet.hello {
            add("device", .string("\(hello.device)"))
            add("nonce", .string(Hex.string(of: hello.nonce)))
            addTerms(hello.reach, hello.top, hello.maxBody)
            if let challenge = hello.challenge {
                add("challenge", .string(Hex.string(of: challenge)))
            }
        } else if let welcome = packet.welcome {
            add(welcome.isChallenge ? "challenge" : "nonce", .string(Hex.string(of: welcome.nonce)))
            addTerms(welcome.reach, welcome.top, welcome.maxBody)
        }
        if let flaw = packet.flaw {
            add("malformed", .string(flaw.text))
        }
    }

    private mutating func addTerms(_ reach: UInt8, _ top: UInt8, _ maxBody: UInt16) {
        add("reach", .number(UInt64(reach)))
        add("top", .number(UInt64(top)))
        add("max_body", .number(UInt64(maxBody)))
    }

    private mutating func add(_ name: String, _ value: Value) {
        all.append((name, value))
    }

    var json: [UInt8] {
        var line = JSONLine()
        for (name, value) in all {
            switch value {
            case .number(let number): line.add(name, number)
            case .string(let string): line.add(name, string)
            case .list(let list): line.add(name, list)
            }
        }
        return line.finished()
    }
}
