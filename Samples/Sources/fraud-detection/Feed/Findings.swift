/// Which of the planted frauds the alerts name, and which alerts name something else.
struct Findings: CustomStringConvertible {
    private let frauds: [Traffic.Fraud]
    private var found: Set<Int> = []
    private(set) var falseAlarms = 0

    init(_ frauds: [Traffic.Fraud]) {
        self.frauds = frauds
    }

    mutating func add(_ alert: Alert) {
        let match = frauds.firstIndex { fraud in
            fraud.rule == alert.rule && fraud.card == alert.card
                && fraud.payments.contains { alert.payments.contains($0) }
        }
        if let match { found.insert(match) } else { falseAlarms += 1 }
    }

    var missed: Int { frauds.count - found.count }

    var description: String {
        var lines = ["rule       planted   found"]
        for rule in Alert.Rule.allCases {
            let planted = frauds.indices.filter { frauds[$0].rule == rule }
            let hits = planted.filter { found.contains($0) }
            lines.append(
                rule.rawValue.padded(to: 10) + "\(planted.count)".padded(to: -8)
                    + "\(hits.count)".padded(to: -8))
        }
        return lines.joined(separator: "\n") + "\nfalse alarms: \(falseAlarms)"
    }
}

extension String {
    /// Filled with spaces behind it, or before it when the width is negative.
    func padded(to width: Int) -> String {
        let spaces = String(repeating: " ", count: max(0, abs(width) - count))
        return width < 0 ? spaces + self : self + spaces
    }
}
