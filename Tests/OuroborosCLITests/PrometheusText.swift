/// A strict reader of Prometheus' text format, version 0.0.4: what it takes, every scraper takes.
struct PrometheusText {
    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    private(set) var samples: [String: Double] = [:]
    private(set) var types: [String: String] = [:]
    private var help: Set<String> = []
    private var family: String?

    init(_ text: String) throws {
        guard text.hasSuffix("\n") else { throw Problem(description: "the last line does not end") }
        for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
            do {
                try read(line)
            } catch let problem as Problem {
                throw Problem(description: "“\(line)”: \(problem)")
            }
        }
        try checkHistograms()
    }

    private mutating func read(_ line: Substring) throws {
        if line.hasPrefix("# HELP ") {
            let parts = line.dropFirst(7).split(separator: " ", maxSplits: 1)
            guard parts.count == 2, isName(parts[0]), help.insert(String(parts[0])).inserted,
                types[String(parts[0])] == nil
            else { throw Problem(description: "no HELP, a second one, or one after TYPE") }
        } else if line.hasPrefix("# TYPE ") {
            let parts = line.dropFirst(7).split(separator: " ", omittingEmptySubsequences: false)
            guard parts.count == 2, isName(parts[0]), types[String(parts[0])] == nil,
                ["counter", "gauge", "histogram"].contains(parts[1])
            else { throw Problem(description: "no TYPE, or a second one") }
            family = String(parts[0])
            types[String(parts[0])] = String(parts[1])
        } else {
            try readSample(line)
        }
    }

    private mutating func readSample(_ line: Substring) throws {
        guard let space = line.lastIndex(of: " "), let family, let type = types[family] else {
            throw Problem(description: "a sample without a value or a TYPE before it")
        }
        let series = line[..<space]
        let name = series.prefix { $0 != "{" }
        let suffixes = type == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
        guard isName(name), suffixes.contains(where: { name == family + $0 }) else {
            throw Problem(description: "a name that does not belong to \(family)")
        }
        if type == "counter", !name.hasSuffix("_total") {
            throw Problem(description: "a counter's name ends in _total")
        }
        try readLabels(series.dropFirst(name.count))
        let text = line[line.index(after: space)...]
        guard let value = ["+Inf": .infinity, "-Inf": -.infinity, "NaN": .nan][text] ?? Double(text),
            type == "gauge" || value >= 0
        else { throw Problem(description: "no number, or a count below 0") }
        guard samples.updateValue(value, forKey: String(series)) == nil else {
            throw Problem(description: "the series is there twice")
        }
    }

    private func readLabels(_ text: Substring) throws {
        guard !text.isEmpty else { return }
        guard text.first == "{", text.last == "}" else { throw Problem(description: "labels without braces") }
        var rest = text.dropFirst().dropLast()
        while true {
            let name = rest.prefix { $0 != "=" }
            rest = rest.dropFirst(name.count)
            guard isName(name), !name.contains(":"), rest.hasPrefix("=\"") else {
                throw Problem(description: "a label without a name or quotes")
            }
            rest = rest.dropFirst(2)
            while let character = rest.first, character != "\"" {
                rest = rest.dropFirst()
                if character == "\\" {
                    guard let escaped = rest.first, "\\\"n".contains(escaped) else {
                        throw Problem(description: "an unknown escape")
                    }
                    rest = rest.dropFirst()
                }
            }
            guard rest.first == "\"" else { throw Problem(description: "a label's value does not end") }
            rest = rest.dropFirst()
            if rest.isEmpty { return }
            guard rest.first == "," else { throw Problem(description: "no comma between labels") }
            rest = rest.dropFirst()
        }
    }

    /// Buckets grow, and the last one is the count.
    private func checkHistograms() throws {
        for name in types.filter({ $0.value == "histogram" }).keys {
            let prefix = "\(name)_bucket{le=\""
            let buckets = samples.filter { $0.key.hasPrefix(prefix) }
                .map { (bound($0.key.dropFirst(prefix.count).dropLast(2)), $0.value) }
                .sorted { $0.0 < $1.0 }
            guard buckets.last?.0 == .infinity, buckets.last?.1 == samples["\(name)_count"],
                zip(buckets, buckets.dropFirst()).allSatisfy({ $0.1 <= $1.1 }), samples["\(name)_sum"] != nil
            else { throw Problem(description: "\(name) is no histogram") }
        }
    }

    private func bound(_ text: Substring) -> Double {
        text == "+Inf" ? .infinity : Double(text) ?? .nan
    }

    private func isName(_ text: Substring) -> Bool {
        guard let first = text.unicodeScalars.first else { return false }
        func isLetter(_ scalar: Unicode.Scalar) -> Bool {
            ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || scalar == "_" || scalar == ":"
        }
        return isLetter(first)
            && text.unicodeScalars.allSatisfy { isLetter($0) || ("0"..."9").contains($0) }
    }
}
