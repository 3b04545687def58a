import Ouroboros
import OuroborosAnalysis

/// A capture from nobody knows where, analyzed as `ouroboros analyze` does: without keys, and with those of the
/// corpus, so that what is opened is reached too.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzAnalyzer(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    analyze(bytes, keys: KeyRing())
    analyze(bytes, keys: knownKeys())
    return 0
}

/// Those of the first session of Tests/Vectors/ouroboros-v1.json, whose packets the corpus carries.
private func knownKeys() -> KeyRing {
    var ring = KeyRing()
    guard let device = try? DeviceID(hex: "2d74c4083fa100b1"),
        let key = try? SecretKey(
            hex: Array("8a1f01e6135f89f238fcbdb46211592c9ef74cd1a7463cecaea945022d4210a7".utf8))
    else { preconditionFailure("the keys of the corpus are well formed") }
    ring.add(.evolving(device: device, key: key))
    return ring
}

private func analyze(_ bytes: [UInt8], keys: KeyRing) {
    guard let capture = try? Capture.open(bytes: bytes) else { return }
    var options = Analyzer.Options()
    options.showsBodies = !keys.isEmpty
    var analyzer = Analyzer(options: options, keys: keys)
    while true {
        switch capture.next() {
        case .frame(let frame):
            for report in analyzer.take(frame) {
                // What the command prints of it, for what printing may do.
                precondition(!report.packet.line(size: report.size).isEmpty && !report.time.text.isEmpty)
                _ = "\(report.source)"
                _ = report.anomalies.map(\.text)
            }
        case .quiet: continue
        case .end:
            let loss = analyzer.summary.fromClients.loss
            precondition(loss >= 0 && loss <= 1)
            return
        }
    }
}
