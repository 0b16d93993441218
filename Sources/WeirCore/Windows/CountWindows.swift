/// Windows of a number of events, in panes of gcd(size, slide) events.
@usableFromInline
final class CountWindows<Key: Hashable & Codable & Sendable, Fold: WindowFold>: KeyedWindowEngine {
    @usableFromInline typealias Element = Fold.Input
    @usableFromInline typealias Value = Fold.Output
    @usableFromInline typealias Results = BatchWriter<Windowed<Key, Fold.Output>>

    @usableFromInline
    struct Pane: Sendable {
        @usableFromInline var value: Fold.Accumulator
        @usableFromInline var count = 0
        @usableFromInline var earliest = Int64.max
        @usableFromInline var latest = Int64.min

        @inlinable
        init(_ value: Fold.Accumulator) {
            self.value = value
        }
    }

    @usableFromInline
    struct Panes: Sendable {
        @usableFromInline var current: Pane
        /// Complete panes, oldest first.
        @usableFromInline var complete: ContiguousArray<Pane> = []
        @usableFromInline var panesSinceResult = 0

        @inlinable
        init(_ current: Pane) {
            self.current = current
        }
    }

    @usableFromInline let paneSize: Int
    @usableFromInline let panesPerWindow: Int
    @usableFromInline let panesPerSlide: Int
    @usableFromInline let fold: Fold
    @usableFromInline let table: KeyedTable<Key, Panes>
    @usableFromInline let firing: WindowIndex<Key>

    @inlinable
    init<Event>(size: Int, slide: Int, _ fold: Fold, _ core: WindowCore<Key, Event>) {
        let divisor = Int(WindowArithmetic.greatestCommonDivisor(Int64(size), Int64(slide)))
        paneSize = max(1, divisor)
        panesPerWindow = size / paneSize
        panesPerSlide = slide / paneSize
        self.fold = fold
        firing = core.firing
        table = core.scope.makeTable(Key.self, Panes.self) { table, group in
            if !fold.counts { return }
            table.forEach(inGroup: group) { _, panes, _ in
                fold.entered(panes.current.value)
                for pane in panes.complete { fold.entered(pane.value) }
            }
        }
    }

    @inlinable
    func add(
        _ events: WindowEvents<Key, Element>, from first: Int, hash: UInt64, watermark: Int64,
        into output: inout Results, late: inout Batch<Element>
    ) throws -> Int {
        let key = events.keys[first]
        var next = first
        var isEmpty = false
        try table.update(key, hash: hash, default: Panes(Pane(fold.initial()))) { panes in
            repeat {
                let time = events.time(at: next)
                try fold.add(events.batch.elements[next], to: &panes.current.value)
                panes.current.count &+= 1
                panes.current.earliest = min(panes.current.earliest, time)
                panes.current.latest = max(panes.current.latest, time)
                if panes.current.count == paneSize { complete(&panes, of: key, into: &output) }
                next &+= 1
            } while next < events.keys.count && events.keys[next] == key
            isEmpty = panes.current.count == 0 && panes.complete.isEmpty
        }
        if isEmpty { table.remove(key, hash: hash) }
        return next
    }

    @inlinable
    func complete(_ panes: inout Panes, of key: Key, into output: inout Results) {
        if panesPerWindow == 1 {
            emit(key, panes.current, into: &output)
            fold.left(panes.current.value)
        } else {
            if panes.complete.count == panesPerWindow {
                fold.left(panes.complete.removeFirst().value)
            }
            panes.complete.append(panes.current)
            panes.panesSinceResult &+= 1
            if panes.panesSinceResult == panesPerSlide {
                panes.panesSinceResult = 0
                emitAll(key, panes.complete, into: &output)
            }
        }
        panes.current = Pane(fold.initial())
    }

    @inlinable
    func emitAll(_ key: Key, _ panes: ContiguousArray<Pane>, into output: inout Results) {
        var total = Pane(fold.initial())
        for pane in panes {
            fold.combine(pane.value, into: &total.value)
            total.earliest = min(total.earliest, pane.earliest)
            total.latest = max(total.latest, pane.latest)
        }
        emit(key, total, into: &output)
    }

    @inlinable
    func emit(_ key: Key, _ pane: Pane, into output: inout Results) {
        let start = EventTime(nanoseconds: pane.earliest)
        let latest = EventTime(nanoseconds: pane.latest)
        output.append(
            Windowed(
                key: key, window: start..<latest.advanced(byNanoseconds: 1),
                value: fold.result(of: pane.value)), at: latest)
    }

    @inlinable
    func fire(
        _ entry: WindowEntry<Key>, deadline: Int64, watermark: Int64, into output: inout Results
    ) {
        guard let panes = table.remove(entry.key, hash: entry.hash), panes.current.count > 0 else {
            return
        }
        fold.left(panes.current.value)
        emit(entry.key, panes.current, into: &output)
    }

    @inlinable
    func drop(_ entry: WindowEntry<Key>, deadline: Int64, watermark: Int64) {}

    @inlinable
    func fireEarly(_ entry: WindowEntry<Key>, into output: inout Results) {}

    @inlinable
    func end() {
        if panesPerWindow > 1 { return }
        for group in 0..<KeyGroup.count {
            table.forEach(inGroup: group) { key, _, _ in
                firing.add(WindowEntry(key: key, hash: stableHash(key), mark: 0), at: .max)
            }
        }
    }
}

extension CountWindows.Pane: Codable where Fold.Accumulator: Codable {}
extension CountWindows.Panes: Codable where Fold.Accumulator: Codable {}
