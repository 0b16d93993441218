public import DequeModule

/// Puts what comes back from calls into the order in which it is to leave.
///
/// Ordered: that of the events. Unordered: that of completion, but nothing passes a signal in either direction.
@usableFromInline
struct CompletionOrder<Output> {
    /// Where a call's output goes.
    @usableFromInline
    typealias Ticket = Int

    @usableFromInline
    enum Departure {
        /// The output of a call.
        case output(Output)
        case signal(Signal)
    }

    @usableFromInline
    enum Slot {
        case pending
        case done(Output?)
        case signal(Signal)
    }

    /// The calls between two signals.
    @usableFromInline
    struct Segment {
        @usableFromInline var pending = 0
        @usableFromInline var done = Deque<Output>()
        @usableFromInline var end: Signal?

        @inlinable
        init() {}
    }

    @usableFromInline let isOrdered: Bool
    @usableFromInline var slots = Deque<Slot>()
    @usableFromInline var segments: Deque<Segment> = [Segment()]
    /// The ticket of the first slot or segment.
    @usableFromInline var first = 0
    /// Calls that have been opened and whose output has not left.
    @usableFromInline var openCount = 0

    @inlinable
    init(ordered: Bool) {
        isOrdered = ordered
    }

    @inlinable
    var isEmpty: Bool { openCount == 0 && slots.isEmpty && segments.count == 1 }

    @inlinable
    mutating func open() -> Ticket {
        openCount += 1
        if isOrdered {
            slots.append(.pending)
            return first + slots.count - 1
        }
        segments[segments.count - 1].pending += 1
        return first + segments.count - 1
    }

    /// A call is over; nil when nothing comes of it.
    @inlinable
    mutating func complete(_ ticket: Ticket, _ output: Output?) {
        if isOrdered {
            slots[ticket - first] = .done(output)
            return
        }
        segments[ticket - first].pending -= 1
        if let output {
            segments[ticket - first].done.append(output)
        } else {
            openCount -= 1
        }
    }

    @inlinable
    mutating func append(_ signal: Signal) {
        if isOrdered {
            slots.append(.signal(signal))
        } else {
            segments[segments.count - 1].end = signal
            segments.append(Segment())
        }
    }

    /// What may leave next, if it is there.
    @inlinable
    mutating func next() -> Departure? {
        isOrdered ? nextSlot() : nextOfSegment()
    }

    @inlinable
    mutating func nextSlot() -> Departure? {
        while let slot = slots.first {
            switch slot {
            case .pending: return nil
            case .done(let output):
                slots.removeFirst()
                first += 1
                openCount -= 1
                if let output { return .output(output) }
            case .signal(let signal):
                slots.removeFirst()
                first += 1
                return .signal(signal)
            }
        }
        return nil
    }

    @inlinable
    mutating func nextOfSegment() -> Departure? {
        if let output = segments[0].done.popFirst() {
            openCount -= 1
            return .output(output)
        }
        guard segments[0].pending == 0, let signal = segments[0].end else { return nil }
        segments.removeFirst()
        first += 1
        return .signal(signal)
    }
}
