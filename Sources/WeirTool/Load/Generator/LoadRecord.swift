import Histogram

/// What a load counts and times while it runs.
struct LoadRecord: Sendable {
    /// Messages that became due.
    var due = 0
    /// Messages given to a connection.
    var sent = 0
    /// Messages that came back, or were acknowledged.
    var answered = 0
    /// Requests that were answered by a status that was not expected.
    var refused = 0
    /// Messages that became due and were never given to a connection.
    var unsent = 0
    /// Messages whose answer did not come, or that the kernel did not take, before the end.
    var unfinished = 0
    /// Requests that found every connection busy when they became due.
    var waitedForConnection = 0
    var bytesSent = 0
    var bytesReceived = 0
    /// Connections that could not be opened, or were lost.
    var failedConnections = 0
    /// Connections that were made again.
    var reconnections = 0
    /// Messages sent once more over a new connection.
    var resent = 0
    /// Whether acknowledgements say that messages are durable; nil where the target does not tell.
    var isDurable: Bool?
    /// Answers that nothing had been sent for.
    var unexpectedAnswers = 0
    /// Responses by their status.
    var statuses: [Int: Int] = [:]
    /// The first few failures, in words.
    var failures: [String] = []
    /// From when a message was due to its answer, or to when the kernel had it; nanoseconds.
    var latency = LoadRecord.emptyHistogram
    /// From when an answered message was sent to its answer.
    var sinceSent = LoadRecord.emptyHistogram
    /// From when a request was due to an answer that was not expected.
    var refusedLatency = LoadRecord.emptyHistogram
    /// From when a message was due to the attempt to send it: what the target is not to blame for.
    var lateness = LoadRecord.emptyHistogram
    /// When the last message was given to a connection.
    var lastSentAt: UInt64 = 0

    static let failureTextsMax = 5

    /// The longest time that is told from longer ones: ten hours.
    static let latencyMax: UInt64 = 36_000_000_000_000

    /// Three significant digits.
    static var emptyHistogram: Histogram<UInt64> {
        Histogram(highestTrackableValue: latencyMax, numberOfSignificantValueDigits: .three)
    }

    mutating func fail(_ text: String) {
        if failures.count < Self.failureTextsMax && !failures.contains(text) {
            failures.append(text)
        }
    }
}
