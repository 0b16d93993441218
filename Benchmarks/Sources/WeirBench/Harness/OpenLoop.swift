import CMeasure
import Foundation
import Histogram
import Synchronization

/// A load of events at a fixed rate that does not wait for whoever receives them.
///
/// Every event has an intended time, `start + index / rate`. Latency is taken from that time, not
/// from the time of sending, so a receiver that holds the sender up is charged for all the events
/// that come late by it (no coordinated omission).
struct OpenLoop: Sendable {
    var eventsPerSecond: Double
    var count: Int
    /// The time between the call and the first event.
    var lead: Duration = .milliseconds(20)

    /// Calls `send` at each event's intended time, on a thread of its own.
    ///
    /// - Parameter send: must not block for long; it gets the event's index and intended time, in
    ///   nanoseconds of the monotonic clock.
    /// - Returns: how late `send` was called, in nanoseconds.
    func run(
        _ send: @escaping @Sendable (_ index: Int, _ intended: UInt64) -> Void
    ) async -> Histogram<UInt64> {
        await withCheckedContinuation { continuation in
            let thread = Thread {
                var lateness = LatencyRecorder.emptyHistogram()
                for (index, intended) in schedule().enumerated() {
                    let now = Self.wait(until: intended)
                    lateness.record(now - intended)
                    send(index, intended)
                }
                continuation.resume(returning: lateness)
            }
            thread.start()
        }
    }

    /// The intended times as an `AsyncSequence`, for a receiver that pulls.
    ///
    /// Waiting blocks the thread that pulls, as an event that comes from outside would wake it.
    func times() -> Times { Times(load: self) }

    struct Times: AsyncSequence, Sendable {
        typealias Element = UInt64
        typealias Failure = Never
        let load: OpenLoop

        struct Iterator: AsyncIteratorProtocol {
            fileprivate var intended: [UInt64].Iterator

            mutating func next() async -> UInt64? {
                guard let time = intended.next() else { return nil }
                _ = OpenLoop.wait(until: time)
                return time
            }
        }

        func makeAsyncIterator() -> Iterator { Iterator(intended: load.schedule().makeIterator()) }
    }

    private func schedule() -> [UInt64] {
        let start = cmeasure_now() + UInt64(max(0, lead / .nanoseconds(1)))
        let interval = 1e9 / eventsPerSecond
        return (0..<count).map { start + UInt64(Double($0) * interval) }
    }

    /// Sleeps while that is exact enough, then spins; returns the time of the end.
    private static func wait(until intended: UInt64) -> UInt64 {
        /// A sleeping thread may wake this much late, in nanoseconds.
        let spinning: UInt64 = 30_000
        var now = cmeasure_now()
        if now + spinning < intended {
            cmeasure_sharpen_sleep()
            cmeasure_sleep_until(intended - spinning)
            now = cmeasure_now()
        }
        while now < intended { now = cmeasure_now() }
        return now
    }
}

/// Gathers the latencies of an open-loop run.
final class LatencyRecorder: Sendable {
    private let histogram = Mutex(LatencyRecorder.emptyHistogram())

    /// Records the time from `intended` (monotonic nanoseconds) to now.
    func recordArrival(intended: UInt64) {
        let now = cmeasure_now()
        histogram.withLock { _ = $0.record(now > intended ? now - intended : 0) }
    }

    var count: UInt64 { histogram.withLock { $0.totalCount } }

    func latency(lateness: Histogram<UInt64>) -> Latency {
        histogram.withLock { histogram in
            Latency(
                p50: Double(histogram.valueAtPercentile(50)) / 1e3,
                p99: Double(histogram.valueAtPercentile(99)) / 1e3,
                maximum: Double(histogram.maxRecorded) / 1e3,
                senderLatenessP99: Double(lateness.valueAtPercentile(99)) / 1e3)
        }
    }

    /// Up to 60 seconds, three significant digits.
    static func emptyHistogram() -> Histogram<UInt64> {
        Histogram(highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
    }
}
