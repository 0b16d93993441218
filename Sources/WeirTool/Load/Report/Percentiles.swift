import Histogram

extension LoadReport {
    /// Percentiles in microseconds.
    struct Percentiles: Codable, Sendable {
        let count: UInt64
        let p50: Double
        let p90: Double
        let p99: Double
        let p999: Double
        let p9999: Double
        let maximum: Double

        init(_ histogram: Histogram<UInt64>) {
            func at(_ percentile: Double) -> Double {
                LoadReport.microseconds(histogram, percentile)
            }
            count = histogram.totalCount
            p50 = at(50)
            p90 = at(90)
            p99 = at(99)
            p999 = at(99.9)
            p9999 = at(99.99)
            maximum = count == 0 ? 0 : at(100)
        }

        /// All of them, with the names that reports and bounds use.
        var named: [(name: String, microseconds: Double)] {
            [
                ("p50", p50), ("p90", p90), ("p99", p99), ("p99.9", p999), ("p99.99", p9999),
                ("max", maximum),
            ]
        }
    }

    /// A point of the curve of times by percentile.
    struct CurvePoint: Codable, Sendable, Equatable {
        let percentile: Double
        let microseconds: Double
    }

    /// One second of a load.
    struct Second: Codable, Sendable {
        /// Seconds from the start.
        let start: Double
        let length: Double
        /// Messages that became due in it, a second.
        let messagesPerSecond: Double
        let sent: Int
        /// What came to an end in it.
        let count: UInt64
        let p50Microseconds: Double
        let p99Microseconds: Double
        let maximumMicroseconds: Double

        init(_ interval: LoadInterval) {
            start = Double(interval.start) / 1e9
            length = Double(interval.length) / 1e9
            messagesPerSecond = Double(interval.due) / max(length, 1e-9)
            sent = interval.sent
            count = interval.latency.totalCount
            p50Microseconds = LoadReport.microseconds(interval.latency, 50)
            p99Microseconds = LoadReport.microseconds(interval.latency, 99)
            maximumMicroseconds = count == 0 ? 0 : LoadReport.microseconds(interval.latency, 100)
        }
    }

    static func microseconds(_ histogram: Histogram<UInt64>, _ percentile: Double) -> Double {
        Double(histogram.valueAtPercentile(percentile) / 100) / 10
    }

    /// The times at percentiles that stand ever closer together, up to the one that a single
    /// message decides.
    static func curve(_ histogram: Histogram<UInt64>) -> [CurvePoint] {
        guard histogram.totalCount > 0 else { return [] }
        var points = [CurvePoint(percentile: 0, microseconds: microseconds(histogram, 0))]
        var rest = 1.0
        let smallest = 1 / Double(histogram.totalCount)
        // Ten steps for each nine.
        while rest > smallest, points.count < 100 {
            rest *= 0.794_328_234_724_281_5
            let percentile = 100 * (1 - max(rest, smallest))
            points.append(
                CurvePoint(
                    percentile: (percentile * 1e7).rounded() / 1e7,
                    microseconds: microseconds(histogram, percentile)))
        }
        points.append(CurvePoint(percentile: 100, microseconds: microseconds(histogram, 100)))
        return points
    }
}
