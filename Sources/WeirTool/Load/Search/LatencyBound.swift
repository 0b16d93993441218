/// A time that a percentile may not exceed, such as `p99=5ms`.
struct LatencyBound: Codable, Sendable, Equatable {
    /// `p50`, `p90`, `p99`, `p99.9`, `p99.99` or `max`.
    let percentile: String
    let microseconds: Double

    private static let names = ["p50", "p90", "p99", "p99.9", "p99.99", "max"]
    private static let units = [("us", 1.0), ("µs", 1), ("ms", 1e3), ("s", 1e6)]

    /// Reads a bound.
    ///
    /// - Throws: A ``LoadError`` that says how to write one.
    init(_ text: String) throws(LoadError) {
        let parts = text.split(separator: "=", omittingEmptySubsequences: false)
        guard parts.count == 2, Self.names.contains(String(parts[0])),
            let unit = Self.units.first(where: { parts[1].hasSuffix($0.0) }),
            let number = Double(parts[1].dropLast(unit.0.count)), number > 0, number.isFinite
        else {
            throw LoadError(
                "--until-late '\(text)': write a percentile and a time, such as p99=5ms; the"
                    + " percentiles are \(Self.names.joined(separator: ", ")), the units us, ms, s")
        }
        percentile = String(parts[0])
        microseconds = number * unit.1
    }

    func value(in percentiles: LoadReport.Percentiles) -> Double {
        percentiles.named.first { $0.name == percentile }?.microseconds ?? percentiles.maximum
    }

    var text: String { "\(percentile) of \(LoadReport.time(microseconds))" }
}
