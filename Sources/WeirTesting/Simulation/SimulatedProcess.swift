import Logging
import Synchronization
import WeirCore
import WeirJournal

/// One life of the simulated process: from its start to its end or crash.
final class SimulatedProcess {
    enum Ending {
        case finished
        case crashed(loss: UInt64?)
        case failed(any Error)
        /// Nothing can happen any more, though the run hasn't ended.
        case stuck
        /// It goes on and on.
        case endless
    }

    private final class Course: Sendable {
        struct State: Sendable {
            var running: RunningTopology?
            var result: Result<Void, any Error>?
        }

        let state = Mutex(State())
    }

    let files: SimulatedFileSystem
    let clock: VirtualClock
    let executor: SteppingExecutor
    private(set) var size = RunSize()
    private(set) var checkpointsAsked = 0
    private let faults: LifeFaults
    private let plan: [Fault]
    private let course = Course()
    private let callsAtStart: [SimulatedFileSystem.Kind: Int]
    private let totalAtStart: Int

    init(
        trial: Trial, life: Int, files: SimulatedFileSystem, faults: LifeFaults,
        startingAt start: EventTime
    ) {
        self.files = files
        self.faults = faults
        plan = trial.faults(of: life)
        clock = VirtualClock(startingAt: start)
        executor = SteppingExecutor(
            seed: trial.order == 0 ? 0 : trial.order &* 64 &+ UInt64(life))
        totalAtStart = files.operationCount
        callsAtStart = Self.calls(files)
    }

    private static func calls(_ files: SimulatedFileSystem) -> [SimulatedFileSystem.Kind: Int] {
        var calls: [SimulatedFileSystem.Kind: Int] = [:]
        for kind in SimulatedFileSystem.Kind.allCases { calls[kind] = files.operationCount(kind) }
        return calls
    }

    /// Starts the topology and lets it run until it ends, in whatever way.
    func run(_ topology: Topology, _ configuration: RunConfiguration, limit: Int) -> Ending {
        var configuration = configuration
        configuration.clock = clock
        configuration.executor = executor
        configuration.faults = faults
        arm()
        let course = course
        let task = Task(executorPreference: executor) { [configuration] in
            do {
                let running = try await topology.start(configuration)
                course.state.withLock { $0.running = running }
                try await running.waitUntilFinished()
                course.state.withLock { $0.result = .success(()) }
            } catch {
                course.state.withLock { $0.result = .failure(error) }
            }
        }
        let ending = goOn(limit: limit)
        measure()
        if case .finished = ending {
        } else {
            task.cancel()
        }
        return ending
    }

    /// Sets up what the file system does.
    private func arm() {
        for fault in plan {
            switch fault {
            case .crashAfterCall(let call, _): files.crashAfter(operations: call)
            case .diskError(let kind, let call, let isFull, let times):
                files.fail(kind, with: isFull ? .noSpace : .io, skipping: call, times: times)
            default: break
            }
        }
    }

    private func goOn(limit: Int) -> Ending {
        var checkpoints = plan.compactMap { fault in
            if case .checkpoint(let step) = fault { step } else { nil }
        }.sorted(by: >)
        var crash: (step: Int, loss: UInt64?)?
        for case .crashAtStep(let step, let loss) in plan { crash = (step, loss) }
        while true {
            if files.hasStopped { return .crashed(loss: lossAtCall) }
            if let crash, size.steps >= crash.step { return .crashed(loss: crash.loss) }
            if let next = checkpoints.last, size.steps >= next,
                let running = course.state.withLock({ $0.running })
            {
                checkpoints.removeLast()
                checkpointsAsked += 1
                Task(executorPreference: executor) { _ = try? await running.checkpoint() }
            }
            if executor.step() {
                size.steps += 1
                if size.steps > limit { return .endless }
                continue
            }
            switch course.state.withLock({ $0.result }) {
            case .success: return .finished
            case .failure(let error): return .failed(error)
            case nil: if !clock.performNext(upTo: .max) { return .stuck }
            }
        }
    }

    private var lossAtCall: UInt64? {
        for case .crashAfterCall(_, let loss) in plan { return loss }
        return nil
    }

    private func measure() {
        size.calls = files.operationCount - totalAtStart
        size.transactions = faults.transactionCount
        size.writes = faults.writeCount
        for (kind, count) in Self.calls(files) {
            size.callsOfKind[kind] = count - callsAtStart[kind, default: 0]
        }
    }

    /// How many of the faults that were to happen did, the crash left out.
    var faultsSuffered: Int {
        faults.struckCount
            + plan.count { fault in
                guard case .diskError(let kind, let call, _, _) = fault else { return false }
                return size.callsOfKind[kind, default: 0] > call
            }
    }

    /// Has what is left of a dead process end, so that its memory is given back.
    ///
    /// Nothing of it reaches the disk or a receiver.
    func bury() {
        faults.isOver = true
        files.crashAfter(operations: 0)
        course.state.withLock { $0.running }?.cancel()
        _ = executor.runUntilIdle(limit: 100_000)
        course.state.withLock { $0.running = nil }
    }
}
