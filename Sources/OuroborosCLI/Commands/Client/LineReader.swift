/// The lines of standard input, which end in a line feed, or in a carriage return and one. Of a line that no message
/// can hold only the start is kept.
struct LineReader {
    struct Line {
        var bytes: [UInt8] = []
        /// How long it is, kept or not.
        var count = 0
        fileprivate var last: UInt8?

        fileprivate mutating func add(_ byte: UInt8) {
            count += 1
            last = byte
            if count <= LineReader.longestKept {
                bytes.append(byte)
            }
        }

        fileprivate mutating func dropReturn() {
            guard last == UInt8(ascii: "\r") else { return }
            if count == bytes.count {
                bytes.removeLast()
            }
            count -= 1
        }
    }

    private static let longestKept = 4096

    private let input: StandardInput
    private var line = Line()
    private var chunk: ArraySlice<UInt8> = []
    private var isAtEnd = false

    init(_ input: StandardInput = StandardInput()) {
        self.input = input
    }

    /// The next line; nil at the end.
    mutating func next() async throws -> Line? {
        while true {
            while let byte = chunk.popFirst() {
                if byte == UInt8(ascii: "\n") {
                    defer { line = Line() }
                    line.dropReturn()
                    return line
                }
                line.add(byte)
            }
            if isAtEnd {
                guard line.count > 0 else { return nil }
                defer { line = Line() }
                return line
            }
            chunk = try await input.read()[...]
            isAtEnd = chunk.isEmpty
        }
    }

    /// The next line and those that are at hand after it; nil at the end.
    mutating func nextLines() async throws -> [Line]? {
        guard let first = try await next() else { return nil }
        var lines = [first]
        while chunk.contains(UInt8(ascii: "\n")), let line = try await next() {
            lines.append(line)
        }
        return lines
    }
}
