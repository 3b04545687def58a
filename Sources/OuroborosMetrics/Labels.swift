/// The labels of a series, as they are rendered: `{a="1",b="2"}`, or nothing.
struct Labels: Hashable, Comparable {
    let pairs: String

    init(_ dimensions: [(String, String)]) {
        var values: [String: String] = [:]
        for (name, value) in dimensions {
            // `le` is a histogram's own.
            let name = Self.name(name, colons: false)
            values[name == "le" ? "le_" : name] = value
        }
        pairs = values.sorted { $0.key < $1.key }
            .map { "\($0.key)=\"\(Self.escaped($0.value, quotes: true))\"" }.joined(separator: ",")
    }

    func rendered(adding extra: String? = nil) -> String {
        let all = [pairs, extra ?? ""].filter { !$0.isEmpty }.joined(separator: ",")
        return all.isEmpty ? "" : "{\(all)}"
    }

    static func < (left: Labels, right: Labels) -> Bool {
        left.pairs < right.pairs
    }

    /// A name that Prometheus takes.
    static func name(_ text: String, colons: Bool = true) -> String {
        var name = ""
        for scalar in text.unicodeScalars {
            let isDigit = ("0"..."9").contains(scalar)
            if isDigit, name.isEmpty {
                name = "_"
            }
            let isKept =
                isDigit || ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || scalar == "_"
                || colons && scalar == ":"
            name.unicodeScalars.append(isKept ? scalar : "_")
        }
        return name.isEmpty ? "_" : name
    }

    static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
