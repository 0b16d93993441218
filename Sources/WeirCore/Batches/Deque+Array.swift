import DequeModule

extension Deque {
    /// The elements as an array.
    ///
    /// `Array(_:)` of an empty deque writes to what all empty arrays share, which the thread
    /// sanitizer takes for a race.
    var array: [Element] { isEmpty ? [] : Array(self) }
}
