import HeapModule
import Synchronization

/// Processing time that goes by what was recorded.
final class ReplayClock: RuntimeClock {
    private struct Entry: Comparable, Sendable {
        let deadline: EventTime
        let id: UInt64
        let action: @Sendable () -> Void

        static func < (left: Entry, right: Entry) -> Bool {
            (left.deadline, left.id) < (right.deadline, right.id)
        }

        static func == (left: Entry, right: Entry) -> Bool { left.id == right.id }
    }

    private struct State: Sendable {
        var now: EventTime
        var entries = Heap<Entry>()
        var pending: Set<UInt64> = []
        var nextID: UInt64 = 0
    }

    private let state: Mutex<State>
    private let start: EventTime

    init(startingAt start: EventTime) {
        self.start = start
        state = Mutex(State(now: start))
    }

    func now() -> EventTime { state.withLock { $0.now } }

    func monotonicNanoseconds() -> Int64 {
        // Never 0, which stands for "not" where a beginning is noted.
        start.duration(to: now()).nanosecondsClamped &+ 1_000_000_000
    }

    func schedule(
        at deadline: EventTime, _ action: @escaping @Sendable () -> Void
    ) -> ScheduledAction {
        let id = state.withLock { state in
            state.nextID += 1
            state.entries.insert(Entry(deadline: deadline, id: state.nextID, action: action))
            state.pending.insert(state.nextID)
            return state.nextID
        }
        return ScheduledAction { [weak self] in
            self?.state.withLock { _ = $0.pending.remove(id) }
        }
    }

    /// Goes on to a time, never back; `rest` lets everything happen that an action has started.
    func move(to time: EventTime, rest: () -> Void) {
        while let action = nextAction(upTo: time) {
            action()
            rest()
        }
        state.withLock { $0.now = max($0.now, time) }
    }

    /// Goes on to the next thing to be done, if there is one up to a limit.
    func moveToNext(upTo limit: EventTime) -> Bool {
        guard let action = nextAction(upTo: limit) else { return false }
        action()
        return true
    }

    private func nextAction(upTo limit: EventTime) -> (@Sendable () -> Void)? {
        state.withLock { state in
            while let first = state.entries.min, first.deadline <= limit {
                state.entries.removeMin()
                guard state.pending.remove(first.id) != nil else { continue }
                state.now = max(state.now, first.deadline)
                return first.action
            }
            return nil
        }
    }
}
