/// Small charts, as the numbers that SVG wants.
enum PageCharts {
    static let width = 600.0
    static let height = 100.0

    /// The points of a line from left to right, one a value, the newest at the right edge.
    static func line(_ values: [Double], of slots: Int) -> String {
        guard values.count > 1 else { return "" }
        let most = max(values.max() ?? 0, 1)
        let step = width / Double(max(slots - 1, 1))
        let left = width - step * Double(values.count - 1)
        return values.enumerated().map { index, value in
            let x = left + step * Double(index)
            let y = height - value / most * (height - 4) - 2
            return "\(PageText.number(x, decimals: 1)),\(PageText.number(y, decimals: 1))"
        }.joined(separator: " ")
    }

    /// The same line, closed along the bottom.
    static func area(_ values: [Double], of slots: Int) -> String {
        let line = line(values, of: slots)
        guard let first = line.split(separator: ",").first else { return "" }
        return "\(first),\(Int(height)) \(line) \(Int(width)),\(Int(height))"
    }

    /// Shares of a bar's width, one beside the other.
    static func bar(_ counts: [Int]) -> [(x: String, width: String)] {
        let all = Double(max(counts.reduce(0, +), 1))
        var x = 0.0
        return counts.map { count in
            let share = Double(count) / all * width
            defer { x += share }
            return (PageText.number(x, decimals: 1), PageText.number(share, decimals: 1))
        }
    }
}
