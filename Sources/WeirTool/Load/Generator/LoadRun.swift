import Histogram
import Synchronization
import Weir

/// What a load has measured.
struct LoadResult: Sendable {
    let report: LoadReport
    /// From when messages were due, in nanoseconds.
    let latency: Histogram<UInt64>
    /// Seconds since 1970 when the first message was due.
    let startedAt: Double
    /// The seconds as lines of a histogram log, where they were asked for.
    let histogramLines: [String]
    /// Which messages were acknowledged, where that was asked for.
    let acknowledged: SequenceSet?
}

/// One load, from the first connection to the report.
final class LoadRun: Sendable {
    private let plan: LoadPlan
    private let loop: Loop
    private let generator: LoopBound<LoadGenerator>
    private let intervals: IntervalLog
    private let pacer = Pacer()
    private let wasInterrupted = Atomic<Bool>(false)

    /// The time that what is under way gets after an interruption.
    private static let graceAfterInterruption = Duration.seconds(1)
    /// From the last handshake to the first message.
    private static let leadNanoseconds: UInt64 = 20_000_000

    /// Prepares a load.
    ///
    /// - Parameter keepsHistograms: Keeps each second for a histogram log.
    /// - Throws: A ``LoadError`` when the plan is not valid, a `NetworkError` when its certificates
    ///   can't be used.
    init(_ plan: LoadPlan, keepsHistograms: Bool = false) throws {
        try plan.validate()
        self.plan = plan
        let tls = plan.target.isSecure ? try TLSClientContext(plan.tls) : nil
        loop = try Loop(name: "weir-load")
        intervals = IntervalLog(keepsHistograms: keepsHistograms)
        generator = LoopBound(LoadGenerator(plan, tls: tls, intervals: intervals), on: loop)
    }

    /// Sends the load; see ``measure(onSecond:)``.
    func run(onSecond: (@Sendable (LoadRecord) -> Void)? = nil) async throws -> LoadReport {
        try await measure(onSecond: onSecond).report
    }

    /// Sends the load.
    ///
    /// - Parameter onSecond: Gets what has happened so far, each second, on the loop's thread.
    /// - Throws: A ``LoadError`` when no connection could be opened.
    func measure(
        onSecond: (@Sendable (LoadRecord) -> Void)? = nil
    ) async throws -> LoadResult {
        do {
            let result = try await sendAll(onSecond)
            await loop.stop()
            return result
        } catch {
            await loop.stop()
            throw error
        }
    }

    /// Ends the load early; ``run(onSecond:)`` then returns its report soon.
    func interrupt() {
        wasInterrupted.store(true, ordering: .relaxed)
        pacer.stop()
        let generator = generator
        loop.execute { generator.value.endEarly(within: Self.graceAfterInterruption) }
    }

    private func sendAll(_ onSecond: (@Sendable (LoadRecord) -> Void)?) async throws -> LoadResult {
        let (generator, loop) = (generator, loop)
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.execute { generator.value.open(on: loop) { continuation.resume() } }
        }
        let opened = try await loop.run { generator.value.openConnections }
        guard opened > 0 else {
            let record = try await loop.run { generator.value.record }
            throw LoadError(
                "no connection to \(plan.target.url): \(record.failures.first ?? "unknown")")
        }
        let processor = ProcessorTime.current
        let start = MonotonicTime.now + Self.leadNanoseconds
        let startedAt = MonotonicTime.secondsSince1970 + Double(Self.leadNanoseconds) / 1e9
        try await send(from: start, onSecond)
        let used = ProcessorTime.current.nanoseconds - processor.nanoseconds
        // It may be over before the first message is due.
        let wall = MonotonicTime.now + Self.leadNanoseconds - start
        let (record, acknowledged) = try await loop.run {
            (generator.value.record, generator.value.acknowledged)
        }
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.execute { generator.value.close { continuation.resume() } }
        }
        let (seconds, lines) = intervals.contents()
        let usage = GeneratorUsage(
            start: start, processorNanoseconds: used, wallNanoseconds: wall,
            wasInterrupted: wasInterrupted.load(ordering: .relaxed))
        return LoadResult(
            report: LoadReport(plan, record, connections: opened, usage, seconds),
            latency: record.latency, startedAt: startedAt, histogramLines: lines,
            acknowledged: acknowledged)
    }

    private func send(
        from start: UInt64, _ onSecond: (@Sendable (LoadRecord) -> Void)?
    ) async throws {
        let (generator, loop, pacer, schedule) = (generator, loop, pacer, plan.schedule)
        try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<Void, any Error>) in
            loop.execute {
                do {
                    try generator.value.begin(at: start, on: loop, onSecond: onSecond) {
                        pacer.stop()
                        continuation.resume()
                    }
                } catch {
                    continuation.resume(throwing: error)
                }
            }
            pacer.run(schedule, from: start, on: loop) { due in generator.value.send(upTo: due) }
        }
    }
}
