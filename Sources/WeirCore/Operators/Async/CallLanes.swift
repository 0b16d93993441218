public import DequeModule
public import Synchronization

/// Makes calls outside the actor, each at once, in tasks that go on with the next call when their own is over.
///
/// So many quick calls take few tasks, and what they return wakes the stage once for all that has come back meanwhile.
@usableFromInline
final class CallLanes<Job: Sendable, Completion: Sendable>: Sendable {
    @usableFromInline
    struct State: Sendable {
        @usableFromInline var jobs = Deque<Job>()
        /// Tasks that have been started and have not looked for a call yet.
        @usableFromInline var starting = 0
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

    /// Has a call made at once, however long others take.
    @inlinable
    func launch(_ job: Job) {
        state.withLock { state in
            state.jobs.append(job)
            // A task that is about to look takes one call, and there is no telling how long that takes.
            if state.starting < state.jobs.count { startTask(&state) }
        }
    }

    @inlinable
    func startTask(_ state: inout State) {
        let id = state.nextTask
        state.nextTask += 1
        state.starting += 1
        state.tasks[id] = WeirCore.startTask(on: executor) { [self] in await work(as: id) }
    }

    @inlinable
    func work(as id: Int) async {
        var job = state.withLock { state in
            state.starting -= 1
            return state.takeJob(as: id)
        }
        while let current = job {
            let completion = await perform(current)
            // A call may have cancelled the task it runs in, which is nothing to the next one.
            let isCancelled = Task.isCancelled
            let (next, wasEmpty) = state.withLock { state in
                let wasEmpty = state.completions.isEmpty
                state.completions.append(completion)
                if isCancelled { replaceTask(id, &state) }
                return (isCancelled ? nil : state.takeJob(as: id), wasEmpty)
            }
            if wasEmpty { wake() }
            job = next
        }
    }

    @usableFromInline
    func replaceTask(_ id: Int, _ state: inout State) {
        state.tasks[id] = nil
        if state.starting < state.jobs.count { startTask(&state) }
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

extension CallLanes.State {
    /// The next call for a task, which is over when there is none.
    @inlinable
    mutating func takeJob(as id: Int) -> Job? {
        if let job = jobs.popFirst() { return job }
        tasks[id] = nil
        return nil
    }
}
