/// Sliding windows over shared panes: an event is added to one pane, and a result costs a constant
/// number of combinations on average, however many panes a window has.
///
/// Per key, the panes of the window that fires next stand in two stacks: `front` with the aggregate
/// from each pane to the last one of the stack, `back` with one aggregate of all that came later.
/// When the front is used up, the window's panes are stacked up anew (Tangwongsan, Hirzel,
/// Schneider: Low-Latency Sliding-Window Aggregation, 2017).
@usableFromInline
struct SlidingStacks<Accumulator: Sendable>: Sendable {
    /// The starts of the panes that hold events, ascending; those before `head` are gone.
    @usableFromInline var starts: ContiguousArray<Int64> = []
    @usableFromInline var head = 0
    /// Oldest pane last.
    @usableFromInline var front: ContiguousArray<Sum> = []
    @usableFromInline var back: Accumulator?
    /// Panes before this time are in one of the stacks, or have left them.
    @usableFromInline var covered = Int64.min
    /// The end of the window that fires next.
    @usableFromInline var nextEnd: Int64?

    /// What the panes of the front from one on to its last come to.
    @usableFromInline
    struct Sum: Sendable {
        @usableFromInline let start: Int64
        @usableFromInline let value: Accumulator

        @inlinable
        init(start: Int64, value: Accumulator) {
            self.start = start
            self.value = value
        }
    }

    @inlinable
    init() {}

    @inlinable
    mutating func insert(_ start: Int64) {
        if let last = starts.last, last > start {
            starts.insert(start, at: firstIndex(from: start))
        } else {
            starts.append(start)
        }
    }

    @inlinable
    mutating func remove(_ start: Int64) {
        let index = firstIndex(from: start)
        guard index < starts.count, starts[index] == start else { return }
        if index > head {
            starts.remove(at: index)
            return
        }
        head += 1
        if head >= 32, head * 2 >= starts.count {
            starts.removeFirst(head)
            head = 0
        }
    }

    @inlinable var isEmpty: Bool { head == starts.count }

    /// The position of the first pane that starts at `time` or later.
    @inlinable
    func firstIndex(from time: Int64) -> Int {
        var low = head
        var high = starts.count
        while low < high {
            let middle = (low + high) >> 1
            if starts[middle] < time { low = middle + 1 } else { high = middle }
        }
        return low
    }

    @inlinable
    mutating func forgetStacks() {
        front.removeAll()
        back = nil
        covered = .min
    }
}

extension SlidingStacks.Sum: Codable where Accumulator: Codable {}
extension SlidingStacks: Codable where Accumulator: Codable {}

/// See ``SlidingStacks``.
@usableFromInline
final class SlidingPanes<Key: Hashable & Codable & Sendable, Fold: WindowFold>: WindowEngine {
    @usableFromInline typealias Element = Fold.Input
    @usableFromInline typealias Value = Fold.Output
    @usableFromInline typealias Results = Batch<Windowed<Key, Fold.Output>>

    @usableFromInline let size: Int64
    @usableFromInline let slide: Int64
    @usableFromInline let offset: Int64
    @usableFromInline let pane: Int64
    @usableFromInline let fold: Fold
    @usableFromInline let lateness: Int64
    @usableFromInline let panes: KeyedTable<WindowKey<Key>, WindowState<Fold.Accumulator>>
    @usableFromInline let stacks: KeyedTable<Key, SlidingStacks<Fold.Accumulator>>
    @usableFromInline let firing: WindowIndex<Key>
    @usableFromInline let dropping: WindowIndex<Key>

    @inlinable
    init<Event>(
        size: Int64, slide: Int64, offset: Int64, _ fold: Fold, _ core: WindowCore<Key, Event>
    ) {
        self.size = size
        self.slide = slide
        self.offset = offset
        pane = WindowArithmetic.greatestCommonDivisor(size, slide)
        self.fold = fold
        lateness = core.lateness
        firing = core.firing
        dropping = core.dropping
        panes = core.scope.makeTable(
            of: WindowState<Fold.Accumulator>.self, hash: WindowKey<Key>.stableHash)
        let lateness = core.lateness
        stacks = core.scope.makeTable(Key.self, SlidingStacks<Fold.Accumulator>.self) {
            [unowned core] table, group in
            table.forEach(inGroup: group) { key, state, _ in
                let hash = stableHash(key)
                if let end = state.nextEnd {
                    core.firing.add(WindowEntry(key: key, hash: hash, mark: end), at: end &- 1)
                }
                for start in state.starts[state.head...] {
                    let last = WindowArithmetic.add(
                        WindowArithmetic.start(of: start, size: slide, offset: offset), size)
                    core.dropping.add(
                        WindowEntry(key: key, hash: hash, mark: start),
                        at: WindowArithmetic.add(WindowArithmetic.add(last, -1), lateness))
                }
            }
            core.arm()
        }
    }

    @inlinable var keyCount: Int { stacks.count }

    /// The end of the earliest window that ends behind `time`.
    @inlinable
    func firstEnd(after time: Int64) -> Int64 {
        let before = WindowArithmetic.start(
            of: WindowArithmetic.add(time, -size), size: slide, offset: offset)
        return WindowArithmetic.add(WindowArithmetic.add(before, slide), size)
    }

    @inlinable
    func add(
        _ element: Element, key: Key, hash: UInt64, at time: Int64, watermark: Int64,
        into output: inout Results
    ) throws -> Bool {
        let start = WindowArithmetic.start(of: time, size: pane, offset: offset)
        let over = WindowArithmetic.add(watermark, 1)
        // Wholly behind the watermark: its first windows may have fired.
        let isOld = WindowArithmetic.add(start, pane) <= over
        if isOld {
            let last = WindowArithmetic.add(lastEnd(of: start), -1)
            if WindowArithmetic.add(last, lateness) <= watermark { return false }
        }
        let id = WindowKey(key, start)
        var isNew = false
        try panes.update(
            id, hash: id.hash(ofKey: hash), default: WindowState(fold.initial())
        ) { state in
            isNew = state.stage == .new
            state.stage = .firing
            try fold.add(element, to: &state.value)
        }
        if isNew || isOld {
            try note(start, isNew: isNew, key, hash, over: over)
            if isOld, lateness > 0 { try fireAgain(start, key, hash, watermark, &output) }
        }
        return true
    }

    @inlinable
    func lastEnd(of start: Int64) -> Int64 {
        WindowArithmetic.add(
            WindowArithmetic.start(of: start, size: slide, offset: offset), size)
    }

    /// Takes note of a pane that is new, or that has changed after it may have been used.
    @inlinable
    func note(_ start: Int64, isNew: Bool, _ key: Key, _ hash: UInt64, over: Int64) throws {
        let last = lastEnd(of: start)
        let end = max(firstEnd(after: start), firstEnd(after: over))
        var isEarlier = false
        try stacks.update(key, hash: hash, default: SlidingStacks()) { state in
            if isNew { state.insert(start) }
            if start < state.covered { state.forgetStacks() }
            if end <= last, end < state.nextEnd ?? .max {
                state.nextEnd = end
                isEarlier = true
            }
        }
        if isEarlier {
            firing.add(WindowEntry(key: key, hash: hash, mark: end), at: end &- 1)
        }
        if isNew {
            let deadline = WindowArithmetic.add(WindowArithmetic.add(last, -1), lateness)
            dropping.add(WindowEntry(key: key, hash: hash, mark: start), at: deadline)
        }
    }

    /// Gives the results anew of the windows with a late event that have fired.
    @inlinable
    func fireAgain(
        _ start: Int64, _ key: Key, _ hash: UInt64, _ watermark: Int64, _ output: inout Results
    ) throws {
        let last = lastEnd(of: start)
        var end = firstEnd(after: start)
        while end <= last, end &- 1 <= watermark {
            if WindowArithmetic.add(end &- 1, lateness) > watermark {
                var total = fold.initial()
                try stacks.update(key, hash: hash, default: SlidingStacks()) { state in
                    var index = state.firstIndex(from: end &- size)
                    while index < state.starts.count, state.starts[index] < end {
                        if let value = value(key, hash, state.starts[index]) {
                            fold.combine(value, into: &total)
                        }
                        index += 1
                    }
                }
                emit(key, end, total, &output)
            }
            end = WindowArithmetic.add(end, slide)
        }
    }

    @inlinable
    func value(_ key: Key, _ hash: UInt64, _ start: Int64) -> Fold.Accumulator? {
        let id = WindowKey(key, start)
        return panes.value(for: id, hash: id.hash(ofKey: hash))?.value
    }

    @inlinable
    func emit(_ key: Key, _ end: Int64, _ total: Fold.Accumulator, _ output: inout Results) {
        output.append(
            Windowed(
                key: key,
                window: EventTime(
                    nanoseconds: WindowArithmetic.add(end, -size))..<EventTime(nanoseconds: end),
                value: fold.result(of: total)),
            at: EventTime(nanoseconds: end &- 1))
    }

    @inlinable
    func fire(
        _ entry: WindowEntry<Key>, deadline: Int64, watermark: Int64, into output: inout Results
    ) throws {
        let end = entry.mark
        var next: Int64?
        try stacks.update(entry.key, hash: entry.hash, default: SlidingStacks()) { state in
            // Else the window was entered again for an earlier end and has fired since.
            guard state.nextEnd == end else { return }
            if let total = slideTo(end, &state, entry.key, entry.hash) {
                emit(entry.key, end, total, &output)
            }
            let rest = state.firstIndex(from: WindowArithmetic.add(end, slide &- size))
            if rest < state.starts.count {
                next = max(WindowArithmetic.add(end, slide), firstEnd(after: state.starts[rest]))
            }
            state.nextEnd = next
        }
        if let next, next > end {
            firing.add(WindowEntry(key: entry.key, hash: entry.hash, mark: next), at: next &- 1)
        }
    }

    /// Moves the stacks on to the window that ends at `end`; returns its aggregate, nil if it has
    /// no events.
    @inlinable
    func slideTo(
        _ end: Int64, _ state: inout SlidingStacks<Fold.Accumulator>, _ key: Key, _ hash: UInt64
    ) -> Fold.Accumulator? {
        let start = WindowArithmetic.add(end, -size)
        while let oldest = state.front.last, oldest.start < start { state.front.removeLast() }
        if state.front.isEmpty {
            state.back = nil
            var index = state.firstIndex(from: end)
            while index > state.head, state.starts[index - 1] >= start {
                index -= 1
                guard var total = value(key, hash, state.starts[index]) else { continue }
                if let later = state.front.last { fold.combine(later.value, into: &total) }
                state.front.append(.init(start: state.starts[index], value: total))
            }
        } else {
            var index = state.firstIndex(from: state.covered)
            while index < state.starts.count, state.starts[index] < end {
                if let value = value(key, hash, state.starts[index]) {
                    if var total = state.back.take() {
                        fold.combine(value, into: &total)
                        state.back = total
                    } else {
                        state.back = value
                    }
                }
                index += 1
            }
        }
        state.covered = end
        guard var total = state.front.last?.value else { return nil }
        if let back = state.back { fold.combine(back, into: &total) }
        return total
    }

    @inlinable
    func drop(_ entry: WindowEntry<Key>, deadline: Int64, watermark: Int64) throws {
        let id = WindowKey(entry.key, entry.mark)
        panes.remove(id, hash: id.hash(ofKey: entry.hash))
        var isEmpty = false
        try stacks.update(entry.key, hash: entry.hash, default: SlidingStacks()) { state in
            state.remove(entry.mark)
            isEmpty = state.isEmpty
        }
        if isEmpty { stacks.remove(entry.key, hash: entry.hash) }
    }

    @inlinable
    func fireEarly(_ entry: WindowEntry<Key>, into output: inout Results) {}

    @inlinable
    func end() {}
}
