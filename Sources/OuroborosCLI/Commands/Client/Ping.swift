import ArgumentParser
import Ouroboros
import OuroborosNIO
import OuroborosText

struct Ping: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures round trips to the gateway.",
        discussion: "The exit status is 0 only if all were answered.")

    @OptionGroup var client: ClientOptions

    @Option(help: "How many.")
    var count = 5

    @Option(help: "The time between two.")
    var interval = TimeArgument(.seconds(1))

    func run() async throws {
        guard count > 0 else {
            throw OuroborosError(.invalidConfiguration, "--count is at least 1, not \(count)")
        }
        let identity = try client.identity()
        let times = try await OuroborosClient.withConnection(
            to: identity.server, credential: identity.credential, store: identity.store,
            configuration: identity.configuration
        ) { connection in
            try await measure(connection, identity.server)
        }
        try summarize(times, identity.server)
    }

    private func measure(
        _ connection: OuroborosConnection, _ server: EndpointName
    ) async throws -> [Double] {
        var times: [Double] = []
        for number in 1...count {
            if number > 1 {
                try await Task.sleep(for: interval.duration)
            }
            do {
                let time = try await connection.ping(timeout: client.timeout?.duration ?? .seconds(10))
                times.append(time / .milliseconds(1))
                try Output.line(
                    "answer \(number) from \(server): \(Decimal.text(times[times.count - 1], 3)) ms")
            } catch let error as OuroborosError where error.code == .unreachable {
                try Output.line("answer \(number) from \(server): none")
            }
        }
        return times
    }

    private func summarize(_ times: [Double], _ server: EndpointName) throws {
        try Output.line("\(count) sent, \(times.count) answered")
        if let least = times.min(), let most = times.max() {
            let average = times.reduce(0, +) / Double(times.count)
            try Output.line(
                "min/avg/max = \(Decimal.text(least, 3))/\(Decimal.text(average, 3))/\(Decimal.text(most, 3)) ms"
            )
        }
        guard times.count == count else {
            throw OuroborosError(
                .unreachable, "\(count - times.count) of \(count) were not answered by \(server)")
        }
    }
}
