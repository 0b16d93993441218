public import DequeModule
public import Synchronization

/// Makes calls outside the actor, each at once, in tasks that go on with the next call when their own is over.
///
/// So many quick calls take few tasks, and what they return wakes the stage once for all that has come back meanwhile.
/// As long as calls wait to be taken a task is about to look for one: each that takes a call and leaves others starts
/// the next task first, since there is no telling how long its own call takes.
@usableFromInline
final class CallLanes<Job: Sendable, Completion: Sendable>: Sendable {
    @usableFromInline
    struct State: Sendable {
        @usableFromInline var jobs = Deque<Job>()
        /// Whether a task has been started that has not looked for a call yet.
        @usableFromInline var isStarting = false
        @usableFromInline var tasks: [Int: Task<Void, any Error>] = [:]
        @usableFromInline var nextTask = 0
        @usableFromInline var completions = Deque<Completion>()

        @inlinable
        init() {}
    }

    @usableFromInline let state = Mutex(State())
    @usableFromInline let perform: @Sendable (Job) async -> Completion
    @usableFromInline let executor: (any TaskExecutor)?
    @usableFromInline let wake: @Sendable () -> Void

    /// - Parameters:
    ///   - executor: What the calls run on; nil for the default.
    ///   - wake: Says that something has come back where nothing was waiting to be taken; called on any thread.
    ///   - perform: Makes one call.
    @inlinable
    init(
        on executor: (any TaskExecutor)?, wake: @escaping @Sendable () -> Void,
        perform: @escaping @Sendable (Job) async -> Completion
    ) {
        self.executor = executor
        self.wake = wake
        self.perform = perform
    }

    /// Has calls made at once, however long others take.
    @inlinable
    func launch(_ jobs: [Job]) {
        state.withLock { state in
            state.jobs.append(contentsOf: jobs)
            startTask(&state)
        }
    }

    /// Starts a task for calls that wait, unless one is about to look for them.
    @inlinable
    func startTask(_ state: inout State) {
        if state.jobs.isEmpty || state.isStarting { return }
        let id = state.nextTask
        state.nextTask += 1
        state.isStarting = true
        state.tasks[id] = WeirCore.startTask(on: executor) { [self] in await work(as: id) }
    }

    @inlinable
    func work(as id: Int) async {
        var job = state.withLock { state in
            state.isStarting = false
            return takeJob(as: id, &state)
        }
        while let current = job {
            let completion = await perform(current)
            // A call may have cancelled the task it runs in, which is nothing to the next one.
            let isCancelled = Task.isCancelled
            let (next, wasEmpty) = state.withLock { state in
                let wasEmpty = state.completions.isEmpty
                state.completions.append(completion)
                if isCancelled {
                    state.tasks[id] = nil
                    startTask(&state)
                    return (nil as Job?, wasEmpty)
                }
                return (takeJob(as: id, &state), wasEmpty)
            }
            if wasEmpty { wake() }
            job = next
        }
    }

    /// The next call for a task, which is over when there is none.
    @inlinable
    func takeJob(as id: Int, _ state: inout State) -> Job? {
        guard let job = state.jobs.popFirst() else {
            state.tasks[id] = nil
            return nil
        }
        startTask(&state)
        return job
    }

    /// What has come back since the last time, in the order of completion.
    @inlinable
    func takeCompletions() -> Deque<Completion> {
        state.withLock { state in
            var taken = Deque<Completion>()
            swap(&taken, &state.completions)
            return taken
        }
    }

    /// Cancels all calls and waits for them.
    @usableFromInline
    func stop() async {
        let tasks = state.withLock { state in
            state.jobs.removeAll()
            return Array(state.tasks.values)
        }
        for task in tasks { task.cancel() }
        for task in tasks { _ = await task.result }
    }
}
