/// The rows that come too late to a join: they are given to it, and taken here as streams.
///
/// ```swift
/// let late = LateRows<Payment, Trip>()
/// payments.join(trips, within: .zero ... .minutes(30), .inner, late: late) { … }.sink(.print)
/// late.left.sink(.deadLetters("payment too late"))
/// late.right.sink(.deadLetters("trip too late"))
/// ```
///
/// Late rows are counted whether or not anybody takes these streams.
public struct LateRows<Left: Sendable, Right: Sendable>: Sendable {
    private let leftTap = TapID(
        "late rows", remedy: "give them to a join whose result goes to a sink", isExclusive: true)
    private let rightTap = TapID(
        "late rows", remedy: "give them to a join whose result goes to a sink")

    /// Makes the streams of one join.
    public init() {}

    /// Which output of a join's node each is.
    @usableFromInline var taps: [TapID: Int] { [leftTap: 1, rightTap: 2] }

    /// The rows of the left stream that came too late, with their times.
    ///
    /// **Emits when** a row is late. **Suspends upstream when** the next stage is full.
    /// **Finishes when** both inputs of the join have ended. **Cancels when** nobody takes its
    /// events any more.
    public var left: EventStream<Left> { EventStream(node: .tap(leftTap, "late left")) }

    /// The rows of the right stream that came too late, with their times.
    ///
    /// **Emits when** a row is late. **Suspends upstream when** the next stage is full.
    /// **Finishes when** both inputs of the join have ended. **Cancels when** nobody takes its
    /// events any more.
    public var right: EventStream<Right> { EventStream(node: .tap(rightTap, "late right")) }
}
