import ArgumentParser
import Foundation
import Weir

/// What `weir load` takes for HTTP targets alone.
struct HTTPLoadOptions: ParsableArguments {
    @Option(help: "The method of the requests. (default: POST)")
    var method: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: "A header of the requests, as in 'Name: value'. Repeatable.")
    var header: [String] = []

    @Option(help: "Content-Type. (default: application/json, or text/plain with --size)")
    var contentType: String?

    @Option(help: "Statuses that count as answers, such as 200,404 or 2xx. (default: 2xx)")
    var expectStatus: String?

    @Option(help: "Requests that a connection carries at one time. (default: 1)")
    var pipeline: Int?

    @Option(help: "Connect to the socket at this path; the target's host is only named.")
    var unixSocket: String?

    /// The requests that the options describe.
    func requests(for target: LoadTarget) throws(LoadError) -> HTTPRequests {
        var requests = HTTPRequests()
        guard target.transport == .http else {
            let given: [(String, Bool)] = [
                ("--method", method != nil), ("--header", !header.isEmpty),
                ("--content-type", contentType != nil), ("--expect-status", expectStatus != nil),
                ("--pipeline", pipeline != nil), ("--unix-socket", unixSocket != nil),
            ]
            if let option = given.first(where: { $0.1 }) {
                throw LoadError("\(option.0) is for http:// and https:// targets")
            }
            return requests
        }
        if let method { requests.method = method.uppercased() }
        for text in header { requests.headers.append(try HTTPRequests.Header(text)) }
        requests.contentType = contentType
        if let expectStatus { requests.expected = try StatusSet(expectStatus) }
        if let pipeline { requests.pipeline = pipeline }
        return requests
    }

    /// Whether requests have a body where nothing is said of it.
    var hasBody: Bool {
        guard let method else { return true }
        return ["POST", "PUT", "PATCH"].contains(method.uppercased())
    }
}

/// What `weir load` takes for rates that change.
struct RateOptions: ParsableArguments {
    @Option(help: "Rates to try one after the other, such as 1000,2000,5000.")
    var steps: String?

    @Option(
        help: "1000..20000/1000: steps; 1000..20000: one load whose rate changes all the time.")
    var ramp: String?

    @Option(help: "Seconds of a step. (default: 5)")
    var stepDuration: Double?

    @Option(
        help: "A bound such as p99=5ms: find the highest rate at which it holds, by the steps.")
    var untilLate: String?

    /// What the options say; nil for a steady rate.
    func rates() throws(LoadError) -> Rates? {
        if steps != nil && ramp != nil { throw LoadError("give only one of --steps and --ramp") }
        if let steps { return try .steps(steps) }
        if let ramp { return try .ramp(ramp) }
        return nil
    }

    func bound() throws(LoadError) -> LatencyBound? {
        guard let untilLate else { return nil }
        return try LatencyBound(untilLate)
    }
}

/// Where `weir load` leaves what it has measured.
struct ReportOptions: ParsableArguments {
    @Flag(help: "Print the report as JSON.")
    var json = false

    @Option(
        help:
            """
            Write a histogram file: an HdrHistogram log, or percentiles when it ends with .hgrm. \
            Repeatable.
            """
    )
    var histogram: [String] = []

    @Option(help: "Draw the latency by percentile into this SVG file.")
    var plot: String?

    @Flag(help: "Write a line each second, also when standard error is no terminal.")
    var progress = false

    var showsProgress: Bool { progress || isatty(STDERR_FILENO) == 1 }
}

/// What `weir load` takes to check that nothing was lost.
struct AcknowledgementOptions: ParsableArguments {
    @Option(help: "Speak the acknowledging protocol as this producer, and time acknowledgements.")
    var acknowledge: String?

    @Option(
        help: "With --acknowledge: look for each acknowledged {{seq}} in this file of JSON lines.")
    var verify: String?

    @Option(help: "The member that holds it, with dots for inner ones. (default: by the message)")
    var verifyMember: String?
}
