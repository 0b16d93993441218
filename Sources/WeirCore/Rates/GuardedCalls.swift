import Logging
import Synchronization

/// The two outputs of calls behind a circuit breaker.
public struct GuardedCalls<Element: Sendable, Output: Sendable>: Sendable {
    @usableFromInline let calls: EventStream<GuardedCall<Element, Output>>
    let location: SourceLocation

    @usableFromInline
    init(calls: EventStream<GuardedCall<Element, Output>>, location: SourceLocation) {
        self.calls = calls
        self.location = location
    }

    /// What the calls return.
    @inlinable public var results: EventStream<Output> {
        calls.compactMap { call in
            if case .result(let output) = call { return output }
            return nil
        }
    }

    /// The events whose calls were not made because the breaker was open; none in the modes `wait`
    /// and `fail`.
    @inlinable public var rejected: EventStream<Element> {
        calls.compactMap { call in
            if case .rejected(let event) = call { return event }
            return nil
        }
    }
}

@usableFromInline
enum GuardedCall<Element: Sendable, Output: Sendable>: Sendable {
    case result(Output)
    case rejected(Element)
}

extension EventStream {
    /// Calls asynchronous code for each event as long as it works, behind a circuit breaker.
    ///
    /// As `mapAsync` without one, with a
    /// breaker that spares a service that fails, and spares events the waiting for it. Each try counts,
    /// one that runs into its timeout as a failure. The breaker is closed when a run begins: its state is
    /// not in checkpoints.
    ///
    /// ```swift
    /// let scored = payments.mapAsync(
    ///     breaker: CircuitBreaker(failures: 5, of: 20, pause: .seconds(10)),
    ///     timeout: .seconds(1), retry: .exponential(attempts: 2)
    /// ) { try score($0) }
    /// scored.results.sink(.print)
    /// scored.rejected.sink(.deadLetters("scoring was away"))
    /// ```
    ///
    /// - Parameters:
    ///   - breaker: When calls are stopped, for how long, and what becomes of events meanwhile.
    ///   - inFlight: How many events may be under way, at least 1. Default 16.
    ///   - ordered: Whether results leave in the order of the events. Default true.
    ///   - timeout: How long one try may take before it fails with ``AsyncTimeout``; nil for no limit.
    ///   - retry: How often a failed call is tried again before its failure counts. Default: not at
    ///     all.
    ///   - name: The stage's name, unique in its topology.
    ///   - call: What to call; it runs outside the stage.
    ///
    /// **Emits when** a call returns or is rejected, and in order when `ordered`.
    /// **Suspends upstream when** `inFlight` events are under way or the next stage is full.
    /// **Finishes when** the input has ended and all calls have returned.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the failed call is made again; the breaker stays as it is.
    @inlinable
    public func mapAsync<Output: Sendable, Failure: Error>(
        breaker: CircuitBreaker, inFlight: Int = 16, ordered: Bool = true,
        timeout: Duration? = nil, retry: RetryPolicy = .none, name: String? = nil,
        file: StaticString = #fileID, line: UInt = #line,
        _ call: @escaping @Sendable (Element) async throws(Failure) -> Output
    ) -> GuardedCalls<Element, Output> {
        var problem = breaker.problem
        if inFlight < 1 { problem = "mapAsync needs at least 1 event in flight, not \(inFlight)" }
        if let timeout, timeout <= .zero {
            problem = "mapAsync needs a timeout above zero, not \(timeout)"
        }
        let location = SourceLocation(file, line)
        typealias Result = GuardedCall<Element, Output>
        let calls: EventStream<Result> = transform(
            "mapAsync", name: name, boundary: true, traits: NodeTraits(problem: problem),
            at: location
        ) { scope, downstream in
            let environment = scope.environment
            let attempt = AsyncCall<Element, Output>(
                timeout: timeout, retry: .none, in: environment
            ) { event, _ in try await call(event) }
            let gate = CircuitGate(breaker, scope)
            let request = AsyncCalls<Element, Never, Result, Result>.Request(
                call: AsyncCall(timeout: nil, retry: retry, in: environment) { event, context in
                    guard let generation = try await gate.enter() else {
                        return .rejected(event)
                    }
                    let (outcome, _) = await attempt.run(event, context, seed: 0)
                    gate.report(outcome.map { _ in }, generation: generation)
                    return .result(try outcome.get())
                }, key: nil, combine: { $1 }, inFlight: inFlight, ordered: ordered)
            let work = AsyncCalls(scope, downstream, request)
            return work.receiver
        }
        return GuardedCalls(calls: calls, location: location)
    }
}

/// The circuit breaker of a running stage, which its calls pass on any thread.
@usableFromInline
final class CircuitGate: Sendable {
    private let machine: Mutex<CircuitBreakerStateMachine>
    private let breaker: CircuitBreaker
    private let clock: any RuntimeClock
    private let logger: Logger
    private let stage: String

    @usableFromInline
    init(_ breaker: CircuitBreaker, _ scope: StageScope) {
        self.breaker = breaker
        machine = Mutex(CircuitBreakerStateMachine(breaker))
        clock = scope.environment.clock
        logger = scope.logger
        stage = scope.name
    }

    /// Waits for admission if need be; nil when the event is rejected.
    @usableFromInline
    func enter() async throws -> Int? {
        while true {
            switch machine.withLock({ $0.admit(at: clock.now()) }) {
            case .call(let generation): return generation
            case .wait(let until):
                switch breaker.mode.kind {
                case .reject: return nil
                case .fail: throw CircuitOpen()
                case .wait: try await clock.sleep(for: clock.now().duration(to: until))
                }
            }
        }
    }

    @usableFromInline
    func report(_ outcome: Result<Void, any Error>, generation: Int) {
        var hasFailed: Bool?
        switch outcome {
        case .success: hasFailed = false
        case .failure(let error) where error is CancellationError: hasFailed = nil
        case .failure(let error): hasFailed = breaker.counts(error)
        }
        let (before, after) = machine.withLock { machine in
            let before = machine.state
            machine.report(hasFailed, generation: generation, at: clock.now())
            return (before, machine.state)
        }
        log(before, after)
    }

    private func log(
        _ before: CircuitBreakerStateMachine.State, _ after: CircuitBreakerStateMachine.State
    ) {
        switch (before, after) {
        case (.closed, .open), (.halfOpen, .open):
            logger.warning("circuit breaker opened", metadata: ["stage": "\(stage)"])
        case (.halfOpen, .closed):
            logger.info("circuit breaker closed", metadata: ["stage": "\(stage)"])
        default: break
        }
    }
}
