import ExampleKit
import Glibc
import Ouroboros

/// Packets on standard input and output.
final class PacketPipe {
    private var waiting: [UInt8] = []

    func send(_ packet: [UInt8]) throws {
        var rest = packet[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            guard count > 0 else { throw failure("cannot write") }
            rest = rest.dropFirst(count)
        }
    }

    /// The next packet; at the end of the pipe it throws.
    func receive() throws -> [UInt8] {
        while true {
            // Each packet tells its own length, so that a pipe needs nothing between two.
            guard let size = waiting.withUnsafeBytes({ Packet.size(inStream: $0) }) else {
                throw OuroborosError(.transport, "what comes out of the pipe is no packet")
            }
            if size > 0, waiting.count >= size {
                defer { waiting.removeFirst(size) }
                return Array(waiting[..<size])
            }
            try readMore()
        }
    }

    private func readMore() throws {
        var buffer = [UInt8](repeating: 0, count: Packet.maximumSize)
        let count = read(STDIN_FILENO, &buffer, buffer.count)
        guard count >= 0 else { throw failure("cannot read") }
        guard count > 0 else { throw OuroborosError(.transport, "the pipe ended before the session did") }
        waiting += buffer[..<count]
    }

    private func failure(_ text: String) -> OuroborosError {
        OuroborosError(.transport, "\(text): \(String(cString: strerror(errno)))")
    }
}
