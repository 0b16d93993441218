import Synchronization
import Weir

/// One load, from the first connection to the report.
final class LoadRun: Sendable {
    private let plan: LoadPlan
    private let loop: Loop
    private let generator: LoopBound<LoadGenerator>
    private let pacer = Pacer()
    private let wasInterrupted = Atomic<Bool>(false)

    /// The time that what is under way gets after an interruption.
    private static let graceAfterInterruption = Duration.seconds(1)
    /// From the last handshake to the first message.
    private static let leadNanoseconds: UInt64 = 20_000_000

    /// Prepares a load.
    ///
    /// - Throws: A ``LoadError`` when the plan is not valid, a `NetworkError` when its certificates can't be used.
    init(_ plan: LoadPlan) throws {
        try plan.validate()
        self.plan = plan
        let tls = plan.target.isSecure ? try TLSClientContext(plan.tls) : nil
        loop = try Loop(name: "weir-load")
        generator = LoopBound(LoadGenerator(plan, tls: tls), on: loop)
    }

    /// Sends the load.
    ///
    /// - Parameter onSecond: Gets what has happened so far, each second, on the loop's thread.
    /// - Throws: A ``LoadError`` when no connection could be opened.
    func run(onSecond: (@Sendable (LoadRecord) -> Void)? = nil) async throws -> LoadReport {
        do {
            let report = try await measure(onSecond)
            await loop.stop()
            return report
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

    private func measure(_ onSecond: (@Sendable (LoadRecord) -> Void)?) async throws -> LoadReport {
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
        try await send(from: start, onSecond)
        let used = ProcessorTime.current.nanoseconds - processor.nanoseconds
        let wall = MonotonicTime.now - start + Self.leadNanoseconds
        let record = try await loop.run { generator.value.record }
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.execute { generator.value.close { continuation.resume() } }
        }
        return LoadReport(
            plan, record, connections: opened, start: start, processorNanoseconds: used,
            wallNanoseconds: wall, wasInterrupted: wasInterrupted.load(ordering: .relaxed))
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
