import LibC
import Ouroboros
import OuroborosStore
import OuroborosText

/// The names of files that were put aside: `readings.jsonl.00000012.20260131T235959.123Z`. Their order is that of the
/// numbers, as the time is a clock's that may go back.
struct PutAside {
    private let path: String

    init(_ path: String) {
        self.path = path
    }

    /// One that is not there, after all that are.
    func next() throws -> String {
        let number = (try found().last?.number ?? 0) + 1
        let digits = String(number)
        let time = WallClock.string(milliseconds: WallClock.milliseconds()).filter { $0 != "-" && $0 != ":" }
        return "\(path).\(String(repeating: "0", count: max(0, Self.width - digits.count)))\(digits).\(time)"
    }

    /// Removes the oldest of those that are more than `count`.
    func removeOldest(butFor count: Int) throws {
        for old in try found().dropLast(count) {
            // Somebody else may have been quicker.
            guard unlink(old.path) == 0 || errno == ENOENT else {
                throw RotatingFile.failure("cannot remove “\(old.path)”")
            }
        }
    }

    private static let width = 8
    private static let time =
        "[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9].[0-9][0-9][0-9]Z"

    /// Oldest first. Those that have no number are older.
    private func found() throws -> [(number: Int, path: String)] {
        let start = path.map { "*?[\\".contains($0) ? "\\\($0)" : "\($0)" }.joined() + "."
        let unnumbered = try glob(start + Self.time).map { (0, $0) }
        let numbered = try glob(start + "[0-9]*." + Self.time).compactMap { name -> (Int, String)? in
            let number = name.dropFirst(path.count + 1).prefix { $0 != "." }
            return Int(number).map { ($0, name) }
        }
        return unnumbered + numbered.sorted { $0.0 < $1.0 }
    }

    /// In the order of their names.
    private func glob(_ pattern: String) throws -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        let result = LibC.glob(pattern, 0, nil, &found)
        if result == GLOB_NOMATCH { return [] }
        guard result == 0, let paths = found.gl_pathv else {
            throw RotatingFile.failure("cannot look for the old files of “\(path)”")
        }
        return (0..<Int(found.gl_pathc)).compactMap { paths[$0].map { String(cString: $0) } }
    }
}
