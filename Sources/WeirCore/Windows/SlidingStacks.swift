/// The panes of a key with sliding windows, and what of them has been added up.
///
/// The latest pane, which nearly all events are for, stands here; the earlier ones stand in a table
/// of their own. So a key whose events all fall into one pane costs one look-up and no allocation.
///
/// The panes of the window that fires next stand in two stacks: `front` with the aggregate from
/// each pane to the last one of the stack, `back` with one aggregate of all that came later. When
/// the front is used up, the window's panes are stacked up anew (Tangwongsan, Hirzel, Schneider:
/// Low-Latency Sliding-Window Aggregation, 2017).
@usableFromInline
struct SlidingStacks<Accumulator: Sendable>: Sendable {
    @usableFromInline var latest: Accumulator
    @usableFromInline var latestStart = Int64.min
    @usableFromInline var hasLatest = false
    /// The starts of the earlier panes, ascending; those before `head` are gone.
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
    init(_ initial: Accumulator) {
        latest = initial
    }

    @inlinable var isEmpty: Bool { !hasLatest && head == starts.count }

    /// The position behind the last pane.
    @inlinable var end: Int { starts.count &+ (hasLatest ? 1 : 0) }

    /// The start of the pane at a position from `head` on.
    @inlinable
    func start(at index: Int) -> Int64 { index < starts.count ? starts[index] : latestStart }

    /// Whether a pane would be the latest one.
    @inlinable
    func isBehindAll(_ start: Int64) -> Bool {
        if hasLatest { return start > latestStart }
        guard head < starts.count, let last = starts.last else { return true }
        return start > last
    }

    /// The position of the first pane that starts at `time` or later.
    @inlinable
    func firstIndex(from time: Int64) -> Int {
        var low = head
        var high = end
        while low < high {
            let middle = (low &+ high) &>> 1
            if start(at: middle) < time { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// Takes note of a pane that is not the latest one.
    @inlinable
    mutating func insert(_ start: Int64) {
        if let last = starts.last, last > start {
            starts.insert(start, at: min(firstIndex(from: start), starts.count))
        } else {
            starts.append(start)
        }
    }

    /// Forgets a pane that is not the latest one.
    @inlinable
    mutating func remove(_ start: Int64) {
        let index = firstIndex(from: start)
        guard index < starts.count, starts[index] == start else { return }
        if index > head {
            starts.remove(at: index)
            return
        }
        head &+= 1
        if head >= 32, head &* 2 >= starts.count {
            starts.removeFirst(head)
            head = 0
        }
    }

    @inlinable
    mutating func removeLatest(_ initial: Accumulator) {
        latest = initial
        hasLatest = false
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
