/// The segments of a journal and what of them is durable: all that readers need to know.
struct SegmentIndex: Sendable {
    struct Segment: Sendable, Hashable {
        var first: UInt64
        var identity: SegmentIdentity
        var path: String
        /// Bytes of the file, preallocated ones included.
        var size: Int
    }

    /// In order; never empty once there was a commit.
    var segments: [Segment] = []

    /// The number that the next record to be durable gets.
    var end: UInt64

    var first: UInt64 { segments.first?.first ?? end }

    var size: Int { segments.reduce(0) { $0 + $1.size } }

    /// The segment that holds a position, or will hold it, and where the one after begins.
    func segment(holding position: UInt64) -> (Segment, next: UInt64?)? {
        var low = 0
        var high = segments.count
        while low < high {
            let middle = (low + high) / 2
            if segments[middle].first <= position { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        return (segments[low - 1], low < segments.count ? segments[low].first : nil)
    }

    /// Adds the newest segment, in place of one that begins at the same record.
    mutating func add(_ segment: Segment) {
        if segments.last?.first == segment.first { segments.removeLast() }
        segments.append(segment)
    }
}
