import Logging
import Synchronization
public import WeirCore

/// A topology that runs on the test's own thread, in virtual time, in an order that a seed decides.
///
/// Nothing happens behind the test's back: events move only while ``run()`` or ``advance(by:)`` is under way, and time
/// stands still except in the latter. Equal seeds give equal runs; other seeds give other interleavings of the stages.
///
/// ```swift
/// let numbers = SourceProbe<Int>()
/// let doubled = SinkProbe<Int>()
/// let topology = Topology("doubling") {
///     EventStream("numbers", from: numbers.source).map { $0 * 2 }.sink(doubled.sink)
/// }
/// let test = try TopologyTest(topology, seed: 1)
/// numbers.send(1, 2, 3)
/// try test.run()
/// // doubled.received is [2, 4, 6]
/// numbers.finish()
/// try test.finish()
/// ```
///
/// What the seed can't order: a `Task { }` or `Task.detached { }` that a handler starts runs on the global pool unless it
/// is given `executorPreference:`, and so does whatever calls back from a thread of its own. Child tasks (`async let`,
/// task groups), continuations and `Task.yield()` are in the test's hand. Time comes from `context.now` and
/// `context.sleep`; `Task.sleep` sleeps in real time.
public final class TopologyTest: CustomStringConvertible {
    /// What decided the order of things; a failing test prints it to be run again with it.
    public let seed: UInt64

    /// The running topology: status, stages, dead letters, steering.
    public let running: RunningTopology

    /// How many jobs may run before a run is given up because it never comes to rest.
    ///
    /// Default 10,000,000.
    public var jobLimit = 10_000_000

    package let executor: SteppingExecutor
    package let clock: VirtualClock

    /// Starts a topology and runs it until nothing is left to do for now; pause sinks before.
    ///
    /// - Parameters:
    ///   - topology: What to run.
    ///   - seed: Decides the order of what could happen in any order, and is the run's seed. 0 is first come, first served.
    ///   - start: The time to begin with. Default: 1970.
    ///   - configuration: Batch size, parallelism and the like; metrics are not reported unless it says so.
    /// - Throws: ``TopologyError``, or what a sink throws when it can't be opened.
    public init(
        _ topology: Topology, seed: UInt64 = 0, startingAt start: EventTime = EventTime(),
        configuration: RunConfiguration = TopologyTest.configuration
    ) throws {
        self.seed = seed
        let executor = SteppingExecutor(seed: seed)
        let clock = VirtualClock(startingAt: start)
        self.executor = executor
        self.clock = clock
        var configuration = configuration
        configuration.seed = seed
        configuration.clock = clock
        configuration.executor = executor
        running = try Self.outcome(of: "start", seed: seed, on: executor, limit: 10_000_000) {
            [configuration] in
            try await topology.start(configuration)
        }
    }

    deinit {
        running.cancel()
        _ = executor.runUntilIdle(limit: 1_000_000)
    }

    /// What a test runs with when it says nothing: the defaults, without a log and without reports
    /// to swift-metrics.
    public static var configuration: RunConfiguration {
        var configuration = RunConfiguration()
        configuration.metricsInterval = .zero
        configuration.logger = Logger(label: "weir.test") { _ in SwiftLogNoOpLogHandler() }
        return configuration
    }

    /// The seeds 0 up to `count`, for a test that is to hold in any order.
    public static func seeds(_ count: Int) -> [UInt64] { (0..<UInt64(max(0, count))).map { $0 } }

    // MARK: Going on

    /// Lets everything happen that can happen without time going on.
    ///
    /// - Throws: ``TopologyTestError`` when the topology doesn't come to rest.
    public func run() throws {
        guard executor.runUntilIdle(limit: jobLimit) else {
            throw TopologyTestError(seed: seed, problem: "no rest after \(jobLimit) jobs")
        }
    }

    /// Lets time go on, performing what becomes due, in order, each before the next.
    ///
    /// - Throws: ``TopologyTestError`` when the topology doesn't come to rest.
    public func advance(by duration: Duration) throws {
        try advance(to: now.advanced(by: duration))
    }

    /// Lets time go on to a point; see ``advance(by:)``.
    public func advance(to time: EventTime) throws {
        try run()
        while clock.performNext(upTo: time) { try run() }
        clock.move(to: time)
        try run()
    }

    /// The virtual time.
    public var now: EventTime { clock.now() }

    // MARK: The end

    /// Waits, without letting time go on, until the topology has ended by itself.
    ///
    /// - Throws: What ended the run, or ``TopologyTestError`` when it is still running.
    public func finish() throws {
        try perform("finish") { [running] in try await running.waitUntilFinished() }
    }

    /// Ends in good order: the sources stop, everything under way is handled.
    ///
    /// - Throws: What ended the run, or ``TopologyTestError`` when something holds it up.
    public func drain() throws {
        try perform("drain") { [running] in try await running.drain() }
    }

    /// Ends at once; what waits in mailboxes is dropped and counted.
    public func cancel() throws {
        running.cancel()
        try run()
    }

    /// Runs an asynchronous action among the topology's own until it returns.
    ///
    /// - Parameters:
    ///   - label: What to call it when it doesn't return.
    ///   - action: What to run; it must not need virtual time to go on.
    /// - Throws: What the action throws, or ``TopologyTestError`` when it waits for something that doesn't come.
    public func perform<Result: Sendable>(
        _ label: String = "perform", _ action: @escaping @Sendable () async throws -> Result
    ) throws -> Result {
        try Self.outcome(of: label, seed: seed, on: executor, limit: jobLimit, action)
    }

    /// Starts an asynchronous action among the topology's own, and returns at once.
    @discardableResult
    public func start<Result: Sendable>(
        _ action: @escaping @Sendable () async throws -> Result
    ) -> Task<Result, any Error> {
        Task(executorPreference: executor) { try await action() }
    }

    private static func outcome<Value: Sendable>(
        of label: String, seed: UInt64, on executor: SteppingExecutor, limit: Int,
        _ action: @escaping @Sendable () async throws -> Value
    ) throws -> Value {
        let outcome = Outcome<Value>()
        let task = Task(executorPreference: executor) {
            do {
                outcome.set(.success(try await action()))
            } catch {
                outcome.set(.failure(error))
            }
        }
        _ = executor.runUntilIdle(limit: limit)
        guard let result = outcome.result else {
            task.cancel()
            throw TopologyTestError(
                seed: seed, problem: "'\(label)' waits for something that doesn't come")
        }
        return try result.get()
    }

    /// The seed and the time, for the comment of an expectation.
    public var description: String { "seed \(seed), time \(now)" }
}

/// The topology under test did not do what the test needs; names the seed.
public struct TopologyTestError: Error, CustomStringConvertible {
    /// The seed to run the test with again.
    public let seed: UInt64

    /// What is wrong.
    public let problem: String

    /// The problem and the seed.
    public var description: String { "\(problem) (seed \(seed))" }
}

/// Carries a result out of a task.
private final class Outcome<Value: Sendable>: Sendable {
    private let locked = Mutex<Result<Value, any Error>?>(nil)

    var result: Result<Value, any Error>? { locked.withLock { $0 } }

    func set(_ result: Result<Value, any Error>) {
        locked.withLock { $0 = result }
    }
}
