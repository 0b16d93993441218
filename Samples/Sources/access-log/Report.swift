import Weir

/// What happened in one window.
struct Summary: Codable, Sendable, Equatable {
    /// What happened on one path.
    struct Path: Codable, Sendable, Equatable {
        var requests = 0
        var errors = 0
        var seconds = 0.0
        var slowest = 0.0
        /// Requests whose time is known.
        var timed = 0
    }

    /// How many paths a window tells apart; further ones are counted together.
    static let pathMaximum = 1_000
    static let others = "(other paths)"

    private(set) var requests = 0
    private(set) var serverErrors = 0
    private(set) var clientErrors = 0
    private(set) var bytes = 0
    private(set) var paths: [String: Path] = [:]

    mutating func add(_ line: LogLine) {
        requests += 1
        bytes = bytes.addingReportingOverflow(line.bytes).partialValue
        if line.status >= 500 { serverErrors += 1 }
        if (400..<500).contains(line.status) { clientErrors += 1 }
        let isKnown = paths.count < Self.pathMaximum || paths[line.path] != nil
        var path = paths[isKnown ? line.path : Self.others] ?? Path()
        path.requests += 1
        if line.status >= 500 { path.errors += 1 }
        if let seconds = line.seconds {
            path.timed += 1
            path.seconds += seconds
            path.slowest = max(path.slowest, seconds)
        }
        paths[isKnown ? line.path : Self.others] = path
    }
}

/// What is printed of a window.
struct Report: Codable, Sendable, Equatable {
    struct SlowPath: Codable, Sendable, Equatable {
        var path: String
        var requests: Int
        var errors: Int
        /// Mean and maximum in seconds.
        var mean: Double
        var slowest: Double
    }

    static let slowPathMaximum = 5

    var start: EventTime
    var end: EventTime
    var requests: Int
    var clientErrors: Int
    var serverErrors: Int
    /// The part of the requests that the server failed, 0...1.
    var errorRate: Double
    var bytes: Int
    /// The slowest first; empty when the log doesn't say how long requests took.
    var slow: [SlowPath]

    init(_ window: Range<EventTime>, _ summary: Summary) {
        start = window.lowerBound
        end = window.upperBound
        requests = summary.requests
        clientErrors = summary.clientErrors
        serverErrors = summary.serverErrors
        errorRate = Self.rounded(Double(summary.serverErrors) / Double(max(1, summary.requests)))
        bytes = summary.bytes
        slow = summary.paths.compactMap { name, path in
            if path.timed == 0 { return nil }
            return SlowPath(
                path: name, requests: path.requests, errors: path.errors,
                mean: Self.rounded(path.seconds / Double(path.timed)), slowest: path.slowest)
        }
        slow.sort { ($1.mean, $0.path) < ($0.mean, $1.path) }
        slow.removeLast(max(0, slow.count - Self.slowPathMaximum))
    }

    private static func rounded(_ value: Double) -> Double {
        (value * 10_000).rounded() / 10_000
    }
}

extension Report: CustomStringConvertible {
    /// A line for the window, and one for each of its slowest paths.
    var description: String {
        let percent = (errorRate * 1_000).rounded() / 10
        var lines = [
            """
            \(start)  requests \(requests)  errors \(serverErrors) (\(percent) %)  \
            client errors \(clientErrors)
            """
        ]
        for path in slow {
            let failed = path.errors == 0 ? "" : "  errors \(path.errors)"
            lines.append(
                """
                    mean \(path.mean) s  slowest \(path.slowest) s  requests \(path.requests)\(failed)  \
                \(path.path)
                """)
        }
        return lines.joined(separator: "\n")
    }
}
