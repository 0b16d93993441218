import Foundation
import Histogram

/// Histogram files that other tools read.
enum HistogramLog {
    /// What a file holds, by the end of its name.
    enum Format: Equatable {
        /// A histogram of each second (log format 1.3).
        case log
        /// The percentiles of the whole load as text.
        case percentiles

        init(path: String) {
            self = path.lowercased().hasSuffix(".hgrm") ? .percentiles : .log
        }
    }

    static func text(_ format: Format, _ result: LoadResult) -> String {
        switch format {
        case .log: log(result)
        case .percentiles: percentiles(result.latency)
        }
    }

    /// One second as a line: start and length in seconds, the longest time in milliseconds, and the
    /// histogram in nanoseconds.
    static func line(_ interval: LoadInterval) -> String {
        let longest = Double(interval.latency.totalCount == 0 ? 0 : interval.latency.max) / 1e6
        let start = Double(interval.start) / 1e9
        let numbers = String(
            format: "%.3f,%.3f,%.3f", start, Double(interval.length) / 1e9, longest)
        let bytes = HistogramEncoding.compressed(interval.latency)
        return numbers + "," + Data(bytes).base64EncodedString()
    }

    private static func log(_ result: LoadResult) -> String {
        let date = Date(timeIntervalSince1970: result.startedAt).formatted(.iso8601)
        let lines =
            [
                "#[Logged by weir load: \(result.report.measured), in nanoseconds]",
                "#[Histogram log format version 1.3]",
                String(
                    format: "#[StartTime: %.3f (seconds since epoch), \(date)]", result.startedAt),
                #""StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram""#,
            ] + result.histogramLines
        return lines.joined(separator: "\n") + "\n"
    }

    private static func percentiles(_ latency: Histogram<UInt64>) -> String {
        var text = ""
        latency.outputPercentileDistribution(to: &text, outputValueUnitScalingRatio: 1e6)
        return text
    }
}

/// A file that is written at the end, and opened at the beginning: a name that cannot be written is
/// told before the load.
struct OutputFile: Sendable {
    let path: String
    private let handle: FileHandle

    init(_ path: String) throws(LoadError) {
        self.path = path
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw LoadError("\(path) cannot be written") }
        self.handle = handle
    }

    /// Checks that the name of a plot says what it is.
    ///
    /// - Throws: A ``LoadError`` for one that doesn't end with `.svg`.
    static func checkPlot(_ path: String?) throws(LoadError) {
        guard let path, !path.lowercased().hasSuffix(".svg") else { return }
        throw LoadError("--plot \(path): a plot is SVG, so its name ends with .svg")
    }

    func write(_ text: String) throws {
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
    }
}
