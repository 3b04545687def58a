import ArgumentParser
import Ouroboros
import OuroborosTesting
import OuroborosText

/// What `impair` does to a path.
struct ImpairmentOptions: ParsableArguments {
    @Option(help: "The share that is lost, such as 10%.")
    var loss: String?

    @Option(help: "How long each takes, such as 50ms or 50ms±20ms (or 50ms+-20ms).")
    var delay: String?

    @Option(help: "The share that comes twice, such as 1%.")
    var duplicate: String?

    @Option(help: "The share that is held back, so that others overtake it, such as 5%.")
    var reorder: String?

    @Option(help: "How long at most one is held back.")
    var reorderBy = TimeArgument(.milliseconds(50))

    @Option(help: "The share in which one bit is flipped, such as 1%.")
    var corrupt: String?

    @Option(help: "Bits a second, IP and UDP headers counted, such as 250kbit, 1mbit or 9600bit.")
    var rate: String?

    @Option(help: "Bytes that may wait for the rate; more are lost.")
    var queue = 65_536

    @Option(help: "The longest IP packet in bytes; longer ones are lost.")
    var mtu: Int?

    func impairment() throws -> Impairment {
        var impairment = Impairment(holdBack: reorderBy.duration, queue: queue, mtu: mtu)
        impairment.loss = try share(loss, "--loss")
        impairment.duplication = try share(duplicate, "--duplicate")
        impairment.reordering = try share(reorder, "--reorder")
        impairment.corruption = try share(corrupt, "--corrupt")
        if let delay {
            (impairment.delay, impairment.jitter) = try times(delay)
        }
        impairment.rate = try rate.map(bitsPerSecond)
        return impairment
    }

    private func share(_ text: String?, _ option: String) throws -> Double {
        guard let text else { return 0 }
        guard text.last == "%", let percent = Double(text.dropLast()), (0...100).contains(percent) else {
            throw OuroborosError(
                .invalidConfiguration, "\(option) is a share from 0% to 100%, such as 2.5%, not “\(text)”")
        }
        return percent / 100
    }

    private func times(_ text: String) throws -> (delay: Duration, jitter: Duration) {
        let parts = text.replacing("+-", with: "±").split(separator: "±", omittingEmptySubsequences: false)
        let times = parts.compactMap { Duration(written: String($0)) }
        guard times.count == parts.count, times.count <= 2 else {
            throw OuroborosError(
                .invalidConfiguration, "--delay is a time, such as 50ms or 50ms±20ms, not “\(text)”")
        }
        return (times[0], times.count == 2 ? times[1] : .zero)
    }

    private func bitsPerSecond(_ text: String) throws -> Int {
        let number = text.prefix { $0.isNumber || $0 == "." }
        let factors: [String: Double] = ["bit": 1, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9]
        guard let value = Double(number), let factor = factors[String(text.dropFirst(number.count))],
            (1...1e12).contains(value * factor)
        else {
            throw OuroborosError(
                .invalidConfiguration,
                "--rate is bits a second with bit, kbit, mbit or gbit, such as 1mbit, not “\(text)”")
        }
        return Int(value * factor)
    }
}
