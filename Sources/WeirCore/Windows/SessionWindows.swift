/// Windows around events that are close to each other; they grow, and merge when an event joins
/// them.
@usableFromInline
final class SessionWindows<Key: Hashable & Codable & Sendable, Fold: WindowFold>: KeyedWindowEngine
{
    @usableFromInline typealias Element = Fold.Input
    @usableFromInline typealias Value = Fold.Output
    @usableFromInline typealias Results = BatchWriter<Windowed<Key, Fold.Output>>

    @usableFromInline
    struct Session: Sendable {
        @usableFromInline var first: Int64
        @usableFromInline var latest: Int64
        @usableFromInline var value: Fold.Accumulator
        @usableFromInline var news = 0
        /// The deadline under which it is entered for firing; it may have grown since.
        ///
        /// `.max` once
        /// it has fired.
        @usableFromInline var entered = Int64.max

        @inlinable
        init(_ time: Int64, _ value: Fold.Accumulator) {
            first = time
            latest = time
            self.value = value
        }
    }

    @usableFromInline let gap: Int64
    @usableFromInline let fold: Fold
    @usableFromInline let trigger: WindowTrigger
    @usableFromInline let lateness: Int64
    /// The sessions of each key, in the order of time, with gaps between them.
    @usableFromInline let table: KeyedTable<Key, ContiguousArray<Session>>
    @usableFromInline let firing: WindowIndex<Key>
    @usableFromInline let dropping: WindowIndex<Key>
    @usableFromInline let changed: WindowIndex<Key>

    @inlinable
    init<Event>(gap: Int64, _ fold: Fold, _ trigger: WindowTrigger, _ core: WindowCore<Key, Event>)
    {
        self.gap = gap
        self.fold = fold
        self.trigger = trigger
        lateness = core.lateness
        firing = core.firing
        dropping = core.dropping
        changed = core.changed
        let (isTriggered, lateness) = (trigger.interval != nil, core.lateness)
        table = core.scope.makeTable(Key.self, ContiguousArray<Session>.self) {
            [unowned core] table, group in
            table.forEach(inGroup: group) { key, sessions, _ in
                let entry = WindowEntry(key: key, hash: stableHash(key), mark: 0)
                for session in sessions {
                    fold.entered(session.value)
                    if session.entered < .max {
                        core.firing.add(entry, at: session.entered)
                    } else {
                        let deadline = Self.deadline(session.latest, gap: gap)
                        core.dropping.add(entry, at: WindowArithmetic.add(deadline, lateness))
                    }
                    if isTriggered, session.news > 0 { core.changed.add(entry, at: 0) }
                }
            }
            core.arm()
        }
    }

    @inlinable
    func deadline(of session: Session) -> Int64 { Self.deadline(session.latest, gap: gap) }

    /// When a session with its latest event at `time` is over; `.max` stands for one that has fired.
    @inlinable
    static func deadline(_ time: Int64, gap: Int64) -> Int64 {
        min(WindowArithmetic.add(time, gap &- 1), .max &- 1)
    }

    @inlinable
    func add(
        _ events: WindowEvents<Key, Element>, from first: Int, hash: UInt64, watermark: Int64,
        into output: inout Results, late: inout Batch<Element>
    ) throws -> Int {
        let key = events.keys[first]
        var next = first
        var isEmpty = false
        try table.update(key, hash: hash, default: []) { sessions in
            repeat {
                let time = events.time(at: next)
                let last = sessions.count &- 1
                if last >= 0, goesOn(sessions[last], at: time, watermark) {
                    try extend(&sessions[last], by: events.batch.elements[next], at: time)
                } else if try !add(
                    events.batch.elements[next], key, hash, at: time, watermark, to: &sessions,
                    &output)
                {
                    late.append(events.batch.elements[next], at: events.batch.time(at: next))
                }
                next &+= 1
            } while next < events.keys.count && events.keys[next] == key
            isEmpty = sessions.isEmpty
        }
        if isEmpty { table.remove(key, hash: hash) }
        return next
    }

    /// Whether an event does no more than go into the last session of its key.
    @inlinable
    @inline(__always)
    func goesOn(_ session: Session, at time: Int64, _ watermark: Int64) -> Bool {
        time >= session.first && time < WindowArithmetic.add(session.latest, gap)
            && session.entered != .max && deadline(of: session) > watermark && !trigger.isEarly
    }

    @inlinable
    @inline(__always)
    func extend(_ session: inout Session, by element: Element, at time: Int64) throws {
        try fold.add(element, to: &session.value)
        if time > session.latest { session.latest = time }
        session.news &+= 1
    }

    /// Adds an event to the sessions of its key; false if it is late.
    @inlinable
    @inline(never)
    func add(
        _ element: Element, _ key: Key, _ hash: UInt64, at time: Int64, _ watermark: Int64,
        to sessions: inout ContiguousArray<Session>, _ output: inout Results
    ) throws -> Bool {
        // The sessions that the event belongs to are neighbours.
        var end = sessions.count
        while end > 0, sessions[end - 1].first >= WindowArithmetic.add(time, gap) { end -= 1 }
        var start = end
        while start > 0, WindowArithmetic.add(sessions[start - 1].latest, gap) > time {
            start -= 1
        }
        let isNew = start == end
        if isNew {
            let over = WindowArithmetic.add(Self.deadline(time, gap: gap), lateness)
            if over <= watermark { return false }
            sessions.insert(Session(time, fold.initial()), at: start)
            end += 1
        }
        let endBefore = deadline(of: sessions[start])
        try fold.add(element, to: &sessions[start].value)
        sessions[start].first = min(sessions[start].first, time)
        sessions[start].latest = max(sessions[start].latest, time)
        let isNews = sessions[start].news == 0
        sessions[start].news &+= 1
        if end - start > 1 { merge(&sessions, start..<end) }
        let deadline = self.deadline(of: sessions[start])
        if deadline <= watermark {
            emit(key, &sessions[start], into: &output)
            if deadline > endBefore || isNew {
                sessions[start].entered = .max
                dropping.add(
                    WindowEntry(key: key, hash: hash, mark: 0),
                    at: WindowArithmetic.add(deadline, lateness))
            }
            return true
        }
        if sessions[start].entered == .max {
            sessions[start].entered = deadline
            firing.add(WindowEntry(key: key, hash: hash, mark: 0), at: deadline)
        }
        if sessions[start].news == trigger.count {
            emit(key, &sessions[start], into: &output)
        } else if isNews, trigger.interval != nil {
            changed.add(WindowEntry(key: key, hash: hash, mark: 0), at: 0)
        }
        return true
    }

    /// Joins neighbouring sessions into the first of them.
    @inlinable
    func merge(_ sessions: inout ContiguousArray<Session>, _ range: Range<Int>) {
        for index in range { fold.left(sessions[index].value) }
        for index in range.dropFirst() {
            fold.combine(sessions[index].value, into: &sessions[range.lowerBound].value)
            sessions[range.lowerBound].latest = max(
                sessions[range.lowerBound].latest, sessions[index].latest)
            sessions[range.lowerBound].news &+= sessions[index].news
            sessions[range.lowerBound].entered = min(
                sessions[range.lowerBound].entered, sessions[index].entered)
        }
        sessions.removeSubrange(range.dropFirst())
        fold.entered(sessions[range.lowerBound].value)
    }

    @inlinable
    func emit(_ key: Key, _ session: inout Session, into output: inout Results) {
        session.news = 0
        let end = WindowArithmetic.add(session.latest, gap)
        output.append(
            Windowed(
                key: key,
                window: EventTime(nanoseconds: session.first)..<EventTime(nanoseconds: end),
                value: fold.result(of: session.value)), at: EventTime(nanoseconds: end &- 1))
        if trigger.accumulation == .discarding {
            fold.left(session.value)
            session.value = fold.initial()
        }
    }

    @inlinable
    func fire(
        _ entry: WindowEntry<Key>, deadline: Int64, watermark: Int64, into output: inout Results
    ) throws {
        var isEmpty = false
        try table.update(entry.key, hash: entry.hash, default: []) { sessions in
            defer { isEmpty = sessions.isEmpty }
            var found: Int?
            for index in sessions.indices where sessions[index].entered == deadline {
                found = index
            }
            guard let found else { return }
            let grown = self.deadline(of: sessions[found])
            if grown > deadline {
                sessions[found].entered = grown
                firing.add(entry, at: grown)
                return
            }
            if sessions[found].news > 0 || trigger.accumulation == .accumulating {
                emit(entry.key, &sessions[found], into: &output)
            }
            if lateness == 0 {
                fold.left(sessions.remove(at: found).value)
            } else {
                sessions[found].entered = .max
                dropping.add(entry, at: WindowArithmetic.add(deadline, lateness))
            }
        }
        if isEmpty { table.remove(entry.key, hash: entry.hash) }
    }

    @inlinable
    func drop(_ entry: WindowEntry<Key>, deadline: Int64, watermark: Int64) throws {
        var isEmpty = false
        try table.update(entry.key, hash: entry.hash, default: []) { sessions in
            sessions.removeAll { session in
                let isOver =
                    session.entered == .max
                    && WindowArithmetic.add(self.deadline(of: session), lateness) <= watermark
                if isOver { fold.left(session.value) }
                return isOver
            }
            isEmpty = sessions.isEmpty
        }
        if isEmpty { table.remove(entry.key, hash: entry.hash) }
    }

    @inlinable
    func fireEarly(_ entry: WindowEntry<Key>, into output: inout Results) throws {
        var isEmpty = false
        try table.update(entry.key, hash: entry.hash, default: []) { sessions in
            // Each session with news has an entry of its own.
            if let index = sessions.firstIndex(where: { $0.news > 0 }) {
                emit(entry.key, &sessions[index], into: &output)
            }
            isEmpty = sessions.isEmpty
        }
        if isEmpty { table.remove(entry.key, hash: entry.hash) }
    }

    @inlinable
    func end() {}
}

extension SessionWindows.Session: Codable where Fold.Accumulator: Codable {}
