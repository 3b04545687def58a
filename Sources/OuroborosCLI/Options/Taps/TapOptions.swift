import ArgumentParser
import LibC
import Ouroboros
import OuroborosStore
import OuroborosText

/// For those who look for a fault: the key log, and the trace that the environment asks for.
struct TapOptions: ParsableArguments {
    @Option(
        help: """
            Appends the secrets of each session to FILE, for `ouroboros analyze`. Whoever reads it can open all of \
            that traffic: for tests alone.
            """)
    var keyLog: String?

    /// Nil when nobody looks.
    func tap() throws -> PacketTap? {
        let log = try keyLog.map(KeyLogWriter.init(path:))
        let isTraced = getenv("OUROBOROS_TRACE").map { !["", "0"].contains(String(cString: $0)) } ?? false
        guard log != nil || isTraced else { return nil }
        return PacketTap { event in
            if isTraced { Output.note("ouroboros: trace: \(WallClock.now()) \(PacketTrace.line(event))") }
            log?.see(event)
        }
    }
}
