/// Sliding windows over shared panes: an event is added to one pane, and a result costs a constant
/// number of combinations on average, however many panes a window has; see ``SlidingStacks``.
@usableFromInline
final class SlidingPanes<Key: Hashable & Codable & Sendable, Fold: WindowFold>: KeyedWindowEngine {
    @usableFromInline typealias Element = Fold.Input
    @usableFromInline typealias Value = Fold.Output
    @usableFromInline typealias Results = BatchWriter<Windowed<Key, Fold.Output>>
    @usableFromInline typealias Stacks = SlidingStacks<Fold.Accumulator>

    @usableFromInline let size: Int64
    @usableFromInline let slide: Int64
    @usableFromInline let offset: Int64
    /// Of a pane.
    @usableFromInline let length: Int64
    @usableFromInline let fold: Fold
    @usableFromInline let lateness: Int64
    /// The panes that are not the latest of their keys.
    @usableFromInline let panes: KeyedTable<WindowKey<Key>, Fold.Accumulator>
    @usableFromInline let table: KeyedTable<Key, Stacks>
    @usableFromInline let firing: WindowIndex<Key>
    @usableFromInline let dropping: WindowIndex<Key>
    /// The pane of the event before, which is likely to be that of the next one.
    @exclusivity(unchecked) @usableFromInline var pane: SlidingPane

    @inlinable
    init<Event>(
        size: Int64, slide: Int64, offset: Int64, _ fold: Fold, _ core: WindowCore<Key, Event>
    ) {
        self.size = size
        self.slide = slide
        self.offset = offset
        self.fold = fold
        lateness = core.lateness
        firing = core.firing
        dropping = core.dropping
        let length = WindowArithmetic.greatestCommonDivisor(size, slide)
        self.length = length
        pane = SlidingPane(at: 0, size: size, slide: slide, offset: offset, length: length)
        panes = core.scope.makeTable(
            WindowKey<Key>.self, Fold.Accumulator.self, hash: WindowKey<Key>.stableHash
        ) { panes, group in
            if fold.counts { panes.forEach(inGroup: group) { _, value, _ in fold.entered(value) } }
        }
        let lateness = core.lateness
        table = core.scope.makeTable(Key.self, Stacks.self) { [unowned core] table, group in
            table.forEach(inGroup: group) { key, state, _ in
                fold.entered(state.latest)
                let hash = stableHash(key)
                if let end = state.nextEnd {
                    core.firing.add(WindowEntry(key: key, hash: hash, mark: end), at: end &- 1)
                }
                if lateness == 0 { return }
                for index in state.head..<state.end {
                    let pane = SlidingPane(
                        at: state.start(at: index), size: size, slide: slide, offset: offset,
                        length: length)
                    core.dropping.add(
                        WindowEntry(key: key, hash: hash, mark: pane.start),
                        at: WindowArithmetic.add(pane.lastEnd &- 1, lateness))
                }
            }
            core.arm()
        }
    }

    @inlinable
    func add(
        _ events: WindowEvents<Key, Element>, from first: Int, hash: UInt64, watermark: Int64,
        into output: inout Results, late: inout Batch<Element>
    ) throws -> Int {
        let key = events.keys[first]
        let time = events.time(at: first)
        if !pane.contains(time) {
            pane = SlidingPane(
                at: time, size: size, slide: slide, offset: offset, length: length)
        }
        let pane = self.pane
        let over = WindowArithmetic.add(watermark, 1)
        // Wholly behind the watermark: its first windows may have fired.
        let isOld = pane.end <= over
        if isOld, WindowArithmetic.add(pane.lastEnd &- 1, lateness) <= watermark {
            late.append(events.batch.elements[first], at: events.batch.time(at: first))
            return first &+ 1
        }
        var next = first
        try table.update(key, hash: hash, default: Stacks(fold.initial())) { state in
            if isOld || !state.hasLatest || state.latestStart != pane.start {
                try enter(
                    events.batch.elements[first], pane, over: isOld ? over : nil, key, hash, &state)
                next &+= 1
                return
            }
            repeat {
                try fold.add(events.batch.elements[next], to: &state.latest)
                next &+= 1
            } while next < events.keys.count && events.keys[next] == key
                && pane.contains(events.time(at: next))
        }
        if isOld, lateness > 0 { try fireAgain(pane, key, hash, watermark, &output) }
        return next
    }

    /// Adds an event to a pane that is not the latest of its key, or was not, or that may have been
    /// used already.
    ///
    /// - Parameter over: The end of what is behind the watermark, if the pane is.
    @inlinable
    @inline(never)
    func enter(
        _ element: Element, _ pane: SlidingPane, over: Int64?, _ key: Key, _ hash: UInt64,
        _ state: inout Stacks
    ) throws {
        var isNew = false
        if state.hasLatest, state.latestStart == pane.start {
            try fold.add(element, to: &state.latest)
        } else if state.isBehindAll(pane.start) {
            if state.hasLatest {
                let id = WindowKey(key, state.latestStart)
                try panes.update(id, hash: id.hash(ofKey: hash), default: state.latest) { _ in }
                state.starts.append(state.latestStart)
            }
            state.latest = fold.initial()
            state.latestStart = pane.start
            state.hasLatest = true
            isNew = true
            try fold.add(element, to: &state.latest)
        } else {
            let id = WindowKey(key, pane.start)
            try panes.update(id, hash: id.hash(ofKey: hash), default: noted(&isNew)) {
                try fold.add(element, to: &$0)
            }
            if isNew { state.insert(pane.start) }
        }
        if pane.start < state.covered { state.forgetStacks() }
        var end = pane.firstEnd
        if let over { end = max(end, firstEnd(after: over)) }
        if end <= pane.lastEnd, end > over ?? .min, state.nextEnd.map({ end < $0 }) ?? true {
            state.nextEnd = end
            firing.add(WindowEntry(key: key, hash: hash, mark: end), at: end &- 1)
        }
        if isNew, lateness > 0 {
            dropping.add(
                WindowEntry(key: key, hash: hash, mark: pane.start),
                at: WindowArithmetic.add(pane.lastEnd &- 1, lateness))
        }
    }

    /// The value of a pane that is not there yet.
    @inlinable
    func noted(_ isNew: inout Bool) -> Fold.Accumulator {
        isNew = true
        return fold.initial()
    }

    /// The end of the earliest window that ends behind `time`.
    @inlinable
    func firstEnd(after time: Int64) -> Int64 {
        SlidingPane.firstEnd(after: time, size: size, slide: slide, offset: offset)
    }

    /// Gives the results anew of the windows with a late event that have fired.
    @inlinable
    func fireAgain(
        _ pane: SlidingPane, _ key: Key, _ hash: UInt64, _ watermark: Int64,
        _ output: inout Results
    ) throws {
        var end = pane.firstEnd
        while end <= pane.lastEnd, end &- 1 <= watermark {
            if WindowArithmetic.add(end &- 1, lateness) > watermark {
                var total = fold.initial()
                try table.update(key, hash: hash, default: Stacks(fold.initial())) { state in
                    var index = state.firstIndex(from: end &- size)
                    while index < state.end, state.start(at: index) < end {
                        if let value = value(at: index, of: state, key, hash) {
                            fold.combine(value, into: &total)
                        }
                        index += 1
                    }
                }
                emit(key, end, total, &output)
            }
            if end == .max { return }
            end = WindowArithmetic.add(end, slide)
        }
    }

    @inlinable
    func value(
        at index: Int, of state: Stacks, _ key: Key, _ hash: UInt64
    ) -> Fold.Accumulator? {
        if index >= state.starts.count { return state.latest }
        let id = WindowKey(key, state.starts[index])
        return panes.value(for: id, hash: id.hash(ofKey: hash))
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
        let (key, hash) = (entry.key, entry.hash)
        var next: Int64?
        var isEmpty = false
        try table.update(key, hash: hash, default: Stacks(fold.initial())) { state in
            // Else the window was entered again for an earlier end and has fired since.
            if state.nextEnd == end {
                if let total = slideTo(end, &state, key, hash) {
                    emit(key, end, total, &output)
                }
                // The start of the window behind it.
                let start = end == .max ? end : WindowArithmetic.add(end, slide &- size)
                if lateness == 0 { forgetPanes(before: start, key, hash, &state) }
                let rest = state.firstIndex(from: start)
                if rest < state.end {
                    next = WindowArithmetic.add(end, slide)
                    let start = state.start(at: rest)
                    if start >= end { next = max(next ?? .min, firstEnd(after: start)) }
                }
                state.nextEnd = next
            }
            isEmpty = state.isEmpty
        }
        if isEmpty {
            table.remove(key, hash: hash)
        } else if let next, next > end {
            firing.add(WindowEntry(key: key, hash: hash, mark: next), at: next &- 1)
        }
    }

    /// Drops the panes that start before `time`.
    @inlinable
    func forgetPanes(before time: Int64, _ key: Key, _ hash: UInt64, _ state: inout Stacks) {
        while state.head < state.starts.count, state.starts[state.head] < time {
            removePane(at: state.starts[state.head], key, hash, &state)
        }
        if state.hasLatest, state.latestStart < time { removeLatest(&state) }
    }

    /// Drops a pane that is not the latest one.
    @inlinable
    func removePane(at start: Int64, _ key: Key, _ hash: UInt64, _ state: inout Stacks) {
        let id = WindowKey(key, start)
        if let value = panes.remove(id, hash: id.hash(ofKey: hash)) { fold.left(value) }
        state.remove(start)
    }

    @inlinable
    func removeLatest(_ state: inout Stacks) {
        fold.left(state.latest)
        state.removeLatest(fold.initial())
    }

    /// Moves the table on to the window that ends at `end`; returns its aggregate, nil if it has
    /// no events.
    @inlinable
    func slideTo(
        _ end: Int64, _ state: inout Stacks, _ key: Key, _ hash: UInt64
    ) -> Fold.Accumulator? {
        let start = WindowArithmetic.add(end, -size)
        while let oldest = state.front.last, oldest.start < start { state.front.removeLast() }
        if state.front.isEmpty {
            state.back = nil
            var index = state.firstIndex(from: end)
            if index == state.end, index &- state.head == 1, state.hasLatest {
                // The latest pane alone needs no table.
                state.covered = .min
                return state.latestStart >= start ? state.latest : nil
            }
            while index > state.head, state.start(at: index &- 1) >= start {
                index -= 1
                guard var total = value(at: index, of: state, key, hash) else { continue }
                if let later = state.front.last { fold.combine(later.value, into: &total) }
                state.front.append(.init(start: state.start(at: index), value: total))
            }
        } else {
            var index = state.firstIndex(from: state.covered)
            while index < state.end, state.start(at: index) < end {
                if let value = value(at: index, of: state, key, hash) {
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
        var isEmpty = false
        try table.update(
            entry.key, hash: entry.hash, default: Stacks(fold.initial())
        ) { state in
            if state.hasLatest, state.latestStart == entry.mark {
                removeLatest(&state)
            } else {
                removePane(at: entry.mark, entry.key, entry.hash, &state)
            }
            isEmpty = state.isEmpty
        }
        if isEmpty { table.remove(entry.key, hash: entry.hash) }
    }

    @inlinable
    func fireEarly(_ entry: WindowEntry<Key>, into output: inout Results) {}

    @inlinable
    func end() {}
}

/// A piece of the time line that lies in the same sliding windows as a whole.
@usableFromInline
struct SlidingPane {
    @usableFromInline let start: Int64
    @usableFromInline let end: Int64
    /// The ends of the first and of the last window that it lies in.
    @usableFromInline let firstEnd: Int64
    @usableFromInline let lastEnd: Int64

    /// The pane of a time.
    ///
    /// - Parameter length: Of panes, the greatest common divisor of the size and the slide.
    @inlinable
    init(at time: Int64, size: Int64, slide: Int64, offset: Int64, length: Int64) {
        start = WindowArithmetic.start(of: time, size: length, offset: offset)
        end = WindowArithmetic.end(of: time, size: length, offset: offset)
        firstEnd = Self.firstEnd(after: start, size: size, slide: slide, offset: offset)
        lastEnd = WindowArithmetic.add(
            start, size &- WindowArithmetic.past(start, size: slide, offset: offset))
    }

    @inlinable
    @inline(__always)
    func contains(_ time: Int64) -> Bool { time >= start && time < end }

    /// The end of the earliest window that ends behind `time`.
    @inlinable
    static func firstEnd(after time: Int64, size: Int64, slide: Int64, offset: Int64) -> Int64 {
        // Ends are as far from multiples of the slide as the offset and the size are together.
        WindowArithmetic.end(of: time, size: slide, offset: offset % slide &+ size % slide)
    }
}
