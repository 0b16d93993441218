/// Why keyed state refused an operation.
///
/// Every code is definite: the refused operation has changed nothing.
public struct StateError: Error, Hashable, CustomStringConvertible {
    /// The kind of a ``StateError``.
    public struct Code: Hashable, Sendable {
        let name: String

        /// The table holds its maximum of keys; retrying helps only after keys were removed or have
        /// expired.
        public static let tooManyKeys = Code(name: "tooManyKeys")
        /// The queue holds its maximum of timers; retrying helps only after timers fired or were
        /// cancelled.
        public static let tooManyTimers = Code(name: "tooManyTimers")
    }

    /// What kind of error this is.
    public var code: Code
    /// What happened and what to do about it.
    public var message: String

    /// The code and the message in one line.
    public var description: String { "\(code.name): \(message)" }

    @usableFromInline
    static func tooManyKeys(_ maximum: Int) -> StateError {
        StateError(
            code: .tooManyKeys,
            message: "the keyed state holds its maximum of \(maximum) keys; "
                + "set a time-to-live, remove keys that are done, or raise maximumKeys")
    }

    @usableFromInline
    static func tooManyTimers(_ maximum: Int) -> StateError {
        StateError(
            code: .tooManyTimers,
            message: "the timer queue holds its maximum of \(maximum) timers; "
                + "cancel timers that are not needed, or raise maximumTimers")
    }
}
