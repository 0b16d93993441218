import Synchronization

/// One call of user code outside the actor: with its tries, their waits and their timeout.
@usableFromInline
struct AsyncCall<Input: Sendable, Result: Sendable>: Sendable {
    @usableFromInline let perform: @Sendable (Input, AsyncCallContext) async throws -> Result
    @usableFromInline let isPlain: Bool
    let timeout: Duration?
    let retry: RetryPolicy
    let clock: any RuntimeClock
    let executor: (any TaskExecutor)?

    /// - Parameter environment: That of the run, with its clock and where tasks run.
    @usableFromInline
    init(
        timeout: Duration?, retry: RetryPolicy, in environment: RunEnvironment,
        perform: @escaping @Sendable (Input, AsyncCallContext) async throws -> Result
    ) {
        self.perform = perform
        self.timeout = timeout
        self.retry = retry
        clock = environment.clock
        executor = environment.executor
        isPlain = timeout == nil && retry.attempts <= 1
    }

    /// Makes the call; returns how often it was tried besides what came of it.
    @inlinable
    func run(
        _ input: Input, _ context: AsyncCallContext, seed: UInt64
    ) async -> (outcome: Swift.Result<Result, any Error>, attempts: Int) {
        guard isPlain else { return await runWithTries(input, context, seed: seed) }
        do {
            return (.success(try await perform(input, context)), 1)
        } catch {
            return (.failure(error), 1)
        }
    }

    @usableFromInline
    func runWithTries(
        _ input: Input, _ context: AsyncCallContext, seed: UInt64
    ) async -> (outcome: Swift.Result<Result, any Error>, attempts: Int) {
        var random = SplitMix64(seed: seed)
        var attempts = 0
        while true {
            do {
                attempts += 1
                return (.success(try await attempt(input, context)), attempts)
            } catch {
                if Task.isCancelled || attempts >= retry.attempts {
                    return (.failure(error), attempts)
                }
                let fraction = Double(random.next() >> 11) * 0x1p-53
                let delay = retry.delay(afterFailures: attempts, random: fraction)
                if delay > .zero {
                    guard (try? await clock.sleep(for: delay)) != nil else {
                        return (.failure(error), attempts)
                    }
                }
            }
        }
    }

    private func attempt(_ input: Input, _ context: AsyncCallContext) async throws -> Result {
        guard let timeout else { return try await perform(input, context) }
        let first = FirstOutcome<Result>()
        let perform = perform
        let task = startTask(on: executor) {
            do {
                first.settle(.success(try await perform(input, context)))
            } catch {
                first.settle(.failure(error))
            }
        }
        let timer = clock.schedule(after: timeout) {
            first.settle(.failure(AsyncTimeout(timeout: timeout)))
            task.cancel()
        }
        defer { timer.cancel() }
        return try await withTaskCancellationHandler {
            try await first.value()
        } onCancel: {
            task.cancel()
            first.settle(.failure(CancellationError()))
        }
    }
}

/// The first of several outcomes; later ones are ignored.
private final class FirstOutcome<Value: Sendable>: Sendable {
    private enum State: Sendable {
        case open
        case awaited(UnsafeContinuation<Value, any Error>)
        case settled(Result<Value, any Error>)
    }

    private let state = Mutex(State.open)

    func settle(_ outcome: Result<Value, any Error>) {
        let waiting = state.withLock { state -> UnsafeContinuation<Value, any Error>? in
            switch state {
            case .settled: return nil
            case .open:
                state = .settled(outcome)
                return nil
            case .awaited(let continuation):
                state = .settled(outcome)
                return continuation
            }
        }
        waiting?.resume(with: outcome)
    }

    func value() async throws -> Value {
        try await withUnsafeThrowingContinuation { continuation in
            let outcome = state.withLock { state -> Result<Value, any Error>? in
                if case .settled(let outcome) = state { return outcome }
                state = .awaited(continuation)
                return nil
            }
            if let outcome { continuation.resume(with: outcome) }
        }
    }
}
