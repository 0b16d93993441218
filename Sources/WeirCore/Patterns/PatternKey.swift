/// All that is kept of a key: the events that wait for the watermark, and its partial matches.
@usableFromInline
struct PatternKey<Element: Sendable>: Sendable {
    @usableFromInline
    struct Waiting: Sendable {
        @usableFromInline let time: Int64
        /// Nil once it has been taken out.
        @usableFromInline var event: Element?

        @inlinable
        init(time: Int64, event: Element) {
            self.time = time
            self.event = event
        }
    }

    @usableFromInline var state = PatternState<Element>()
    /// By time, equal ones in the order of arrival; those before `next` are gone.
    @usableFromInline var waiting: ContiguousArray<Waiting> = []
    @usableFromInline var next = 0
    /// When the key is entered for time-outs.
    @usableFromInline var alarm: Int64?

    @inlinable
    init() {}

    @inlinable var waitingCount: Int { waiting.count - next }

    @inlinable var isEmpty: Bool { waitingCount == 0 && alarm == nil && state.isEmpty }

    @inlinable
    mutating func wait(_ event: Element, until time: Int64) {
        var low = next
        var high = waiting.count
        if let last = waiting.last, last.time <= time { low = high }
        while low < high {
            let middle = (low + high) / 2
            if waiting[middle].time <= time { low = middle + 1 } else { high = middle }
        }
        waiting.insert(Waiting(time: time, event: event), at: low)
    }

    /// Takes the first waiting event out if its time has come.
    @inlinable
    mutating func takeWaiting(upTo time: Int64) -> (time: Int64, event: Element)? {
        guard next < waiting.count, waiting[next].time <= time,
            let event = waiting[next].event
        else { return nil }
        let due = waiting[next].time
        waiting[next].event = nil
        next += 1
        if next == waiting.count {
            waiting.removeAll()
            next = 0
        } else if next >= 64, next * 2 >= waiting.count {
            waiting.removeFirst(next)
            next = 0
        }
        return (due, event)
    }
}

extension PatternKey.Waiting: Encodable where Element: Encodable {}
extension PatternKey.Waiting: Decodable where Element: Decodable {}
extension PatternKey: Encodable where Element: Encodable {}
extension PatternKey: Decodable where Element: Decodable {}
