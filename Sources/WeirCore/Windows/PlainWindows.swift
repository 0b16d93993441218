/// Windows with an accumulator each: tumbling, cumulative and global ones, and sliding ones that
/// can't share panes.
@usableFromInline
final class PlainWindows<Key: Hashable & Codable & Sendable, Fold: WindowFold>: WindowEngine {
    @usableFromInline typealias Element = Fold.Input
    @usableFromInline typealias Value = Fold.Output
    @usableFromInline typealias Results = BatchWriter<Windowed<Key, Fold.Output>>

    @usableFromInline let kind: Window.Kind
    @usableFromInline let fold: Fold
    @usableFromInline let trigger: WindowTrigger
    @usableFromInline let lateness: Int64
    @usableFromInline let table: KeyedTable<WindowKey<Key>, WindowState<Fold.Accumulator>>
    @usableFromInline let firing: WindowIndex<Key>
    @usableFromInline let dropping: WindowIndex<Key>
    @usableFromInline let changed: WindowIndex<Key>
    /// The tumbling window of the event before, which is likely to be that of the next one.
    @exclusivity(unchecked) @usableFromInline var recentStart = Int64.max
    @exclusivity(unchecked) @usableFromInline var recentEnd = Int64.min

    @inlinable
    init<Event>(
        _ kind: Window.Kind, _ fold: Fold, _ trigger: WindowTrigger, _ core: WindowCore<Key, Event>
    ) {
        self.kind = kind
        self.fold = fold
        self.trigger = trigger
        lateness = core.lateness
        firing = core.firing
        dropping = core.dropping
        changed = core.changed
        let (isTriggered, lateness) = (trigger.interval != nil, core.lateness)
        table = core.scope.makeTable(
            WindowKey<Key>.self, WindowState<Fold.Accumulator>.self, hash: WindowKey.stableHash
        ) { [unowned core] table, group in
            table.forEach(inGroup: group) { id, state, _ in
                fold.entered(state.value)
                let entry = WindowEntry(key: id.key, hash: stableHash(id.key), mark: id.mark)
                let deadline = id.mark &- 1
                switch state.stage {
                case .new: break
                case .firing: core.firing.add(entry, at: deadline)
                case .dropping:
                    core.dropping.add(entry, at: WindowArithmetic.add(deadline, lateness))
                }
                if isTriggered, state.news > 0 { core.changed.add(entry, at: 0) }
            }
            core.arm()
        }
    }

    @inlinable var keyCount: Int { table.count }

    @inlinable
    func hashesAhead(of keys: ContiguousArray<Key>) -> ContiguousArray<UInt64> {
        switch kind {
        case .tumbling, .global: table.isBig ? keys.mapped { stableHash($0) } : []
        case .sliding, .cumulative, .session, .count: []
        }
    }

    @inlinable
    @inline(__always)
    func hash(of key: Key, at index: Int, in hashes: ContiguousArray<UInt64>) -> UInt64 {
        if hashes.isEmpty { return stableHash(key) }
        // Likely the window of the events to come too.
        let end = isGlobal ? .max : recentEnd
        table.lookAhead { places in
            let next = index &+ places
            return next < hashes.count
                ? WindowKey<Key>.hash(ofKey: hashes[next], mark: end) : nil
        }
        return hashes[index]
    }

    @inlinable
    @inline(__always)
    func lookAhead(in index: WindowIndex<Key>) {
        table.lookAhead { places in
            index.entry(ahead: places).map { entry in
                WindowKey<Key>.hash(ofKey: entry.hash, mark: entry.mark)
            }
        }
    }

    @inlinable
    func add(
        _ events: WindowEvents<Key, Element>, from first: Int, hash: UInt64, watermark: Int64,
        into output: inout Results, late: inout Batch<Element>
    ) throws -> Int {
        let time = events.time(at: first)
        if case .tumbling(let size, let offset) = kind {
            if time < recentStart || time >= recentEnd {
                recentStart = WindowArithmetic.start(of: time, size: size, offset: offset)
                recentEnd = WindowArithmetic.end(of: time, size: size, offset: offset)
            }
            if recentEnd &- 1 > watermark, trigger.count == nil {
                return try put(events, from: first, hash: hash)
            }
        }
        let (element, key) = (events.batch.elements[first], events.keys[first])
        if try !add(element, key: key, hash: hash, at: time, watermark: watermark, into: &output) {
            late.append(element, at: events.batch.time(at: first))
        }
        return first &+ 1
    }

    /// Adds an event to its tumbling window, which is still to fire, and the events behind it that
    /// have the same key and window.
    @inlinable
    @inline(__always)
    func put(
        _ events: WindowEvents<Key, Element>, from first: Int, hash: UInt64
    ) throws -> Int {
        let key = events.keys[first]
        let (start, end) = (recentStart, recentEnd)
        let id = WindowKey(key, end)
        var next = first
        var isNew = false
        var isNews = false
        try table.update(
            id, hash: id.hash(ofKey: hash), default: WindowState(fold.initial())
        ) { state in
            isNews = state.news == 0
            isNew = state.stage == .new
            if isNew { state.stage = .firing }
            var time = events.time(at: first)
            repeat {
                try fold.add(events.batch.elements[next], to: &state.value)
                if time > state.latest { state.latest = time }
                next &+= 1
                if next == events.keys.count || events.keys[next] != key { break }
                time = events.time(at: next)
            } while time >= start && time < end
            state.news &+= next &- first
        }
        if isNew || isNews {
            let entry = WindowEntry(key: key, hash: hash, mark: end)
            if isNew { firing.add(entry, at: end &- 1) }
            if isNews, trigger.interval != nil { changed.add(entry, at: 0) }
        }
        return next
    }

    /// Adds an event to its windows; false if all of them are over.
    @inlinable
    func add(
        _ element: Element, key: Key, hash: UInt64, at time: Int64, watermark: Int64,
        into output: inout Results
    ) throws -> Bool {
        switch kind {
        case .tumbling:
            return try put(element, key, hash, at: time, end: recentEnd, watermark, &output)
        case .sliding(let size, let slide, let offset):
            var isTaken = false
            var ahead = size &- WindowArithmetic.past(time, size: slide, offset: offset)
            var later: Int64?
            while ahead > 0 {
                let end = WindowArithmetic.add(time, ahead)
                ahead &-= slide
                // Those that would end behind the end of time are one.
                if end == later { continue }
                later = end
                if try put(element, key, hash, at: time, end: end, watermark, &output) {
                    isTaken = true
                }
            }
            return isTaken
        case .cumulative(let size, let step, let offset):
            var isTaken = false
            let past = WindowArithmetic.past(time, size: size, offset: offset)
            var earlier: Int64?
            for number in (past / step &+ 1)...(size / step) {
                let end = WindowArithmetic.add(time, number &* step &- past)
                if end == earlier { break }
                earlier = end
                if try put(element, key, hash, at: time, end: end, watermark, &output) {
                    isTaken = true
                }
            }
            return isTaken
        case .global, .session, .count:
            return try put(element, key, hash, at: time, end: .max, watermark, &output)
        }
    }

    /// Adds an event to the window that ends at `end`; false if that is over.
    @inlinable
    @inline(__always)
    func put(
        _ element: Element, _ key: Key, _ hash: UInt64, at time: Int64, end: Int64,
        _ watermark: Int64, _ output: inout Results
    ) throws -> Bool {
        let deadline = isGlobal ? .max : end &- 1
        if WindowArithmetic.add(deadline, lateness) <= watermark { return false }
        let id = WindowKey(key, end)
        var isNew = false
        var isNews = false
        try table.update(
            id, hash: id.hash(ofKey: hash), default: WindowState(fold.initial())
        ) { state in
            try fold.add(element, to: &state.value)
            isNews = state.news == 0
            state.news &+= 1
            if time > state.latest { state.latest = time }
            if state.stage == .new, !isGlobal {
                state.stage = deadline > watermark ? .firing : .dropping
                isNew = true
            }
            if deadline <= watermark || state.news == trigger.count {
                emit(key, end, &state, into: &output)
            }
        }
        let entry = WindowEntry(key: key, hash: hash, mark: end)
        if isNew {
            if deadline > watermark {
                firing.add(entry, at: deadline)
            } else {
                dropping.add(entry, at: WindowArithmetic.add(deadline, lateness))
            }
        }
        if isNews, trigger.interval != nil { changed.add(entry, at: 0) }
        return true
    }

    @inlinable var isGlobal: Bool { kind == .global }

    @inlinable
    func emit(
        _ key: Key, _ end: Int64, _ state: inout WindowState<Fold.Accumulator>,
        into output: inout Results
    ) {
        state.news = 0
        let start: Int64
        switch kind {
        case .tumbling(let size, _), .sliding(let size, _, _):
            start = WindowArithmetic.add(end, -size)
        case .cumulative(let size, _, let offset):
            start = WindowArithmetic.start(of: end &- 1, size: size, offset: offset)
        case .global, .session, .count: start = .min
        }
        output.append(
            Windowed(
                key: key,
                window: EventTime(nanoseconds: start)..<EventTime(nanoseconds: end),
                value: fold.result(of: state.value)),
            at: EventTime(nanoseconds: isGlobal ? state.latest : end &- 1))
        if trigger.accumulation == .discarding {
            fold.left(state.value)
            state.value = fold.initial()
        }
    }

    @inlinable
    func fire(
        _ entry: WindowEntry<Key>, deadline: Int64, watermark: Int64, into output: inout Results
    ) throws {
        let id = WindowKey(entry.key, entry.mark)
        let hash = id.hash(ofKey: entry.hash)
        if lateness == 0 {
            guard var state = table.remove(id, hash: hash) else { return }
            // What has no news has been given already where each result is of its own events.
            if state.news > 0 || !isGlobal && trigger.accumulation == .accumulating {
                emit(entry.key, entry.mark, &state, into: &output)
            }
            fold.left(state.value)
            return
        }
        try table.update(id, hash: hash, default: WindowState(fold.initial())) { state in
            state.stage = .dropping
            if state.news > 0 || !isGlobal && trigger.accumulation == .accumulating {
                emit(entry.key, entry.mark, &state, into: &output)
            }
        }
        dropping.add(entry, at: WindowArithmetic.add(deadline, lateness))
    }

    @inlinable
    func drop(_ entry: WindowEntry<Key>, deadline: Int64, watermark: Int64) {
        let id = WindowKey(entry.key, entry.mark)
        if let state = table.remove(id, hash: id.hash(ofKey: entry.hash)) { fold.left(state.value) }
    }

    @inlinable
    func fireEarly(_ entry: WindowEntry<Key>, into output: inout Results) throws {
        let id = WindowKey(entry.key, entry.mark)
        let hash = id.hash(ofKey: entry.hash)
        guard let news = table.value(for: id, hash: hash)?.news, news > 0 else { return }
        try table.update(id, hash: hash, default: WindowState(fold.initial())) { state in
            emit(entry.key, entry.mark, &state, into: &output)
        }
    }

    @inlinable
    func end() {
        if !isGlobal { return }
        for group in 0..<KeyGroup.count {
            table.forEach(inGroup: group) { id, _, _ in
                firing.add(
                    WindowEntry(key: id.key, hash: stableHash(id.key), mark: id.mark), at: .max)
            }
        }
    }
}
