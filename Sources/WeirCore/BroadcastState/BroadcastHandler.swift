/// Handles the events of each key with state of that key and with rules that change while it runs.
///
/// As ``KeyedHandler``; the rules are the same for all keys, and only to be read here. They are changed by
/// the closure of ``KeyedStream/connect(broadcast:into:start:file:line:_:)``.
public protocol BroadcastHandler<Key, Input, Rules, Output>: Sendable {
    /// What the events are grouped by.
    associatedtype Key: Hashable & Codable & Sendable
    /// The events that come in.
    associatedtype Input: Sendable
    /// What is broadcast to all instances.
    associatedtype Rules: Codable & Sendable
    /// The events that go out.
    associatedtype Output: Sendable
    /// What is remembered of each key; Codable so that checkpoints can hold it.
    associatedtype State: Codable & Sendable
    /// What the methods may throw: `Never` unless said otherwise.
    associatedtype Failure: Error = Never

    /// The state of a key that has none.
    func initialState(for key: Key) -> State

    /// Handles an event under the rules of the moment.
    func on(
        _ event: Input, rules: Rules, state: inout State, _ context: inout Context<Key, Output>
    ) throws(Failure)

    /// Handles a timer that was set for this key.
    func onTimer(
        _ timer: FiredTimer, rules: Rules, state: inout State,
        _ context: inout Context<Key, Output>
    ) throws(Failure)
}

extension BroadcastHandler {
    /// Does nothing.
    @inlinable
    public func onTimer(
        _ timer: FiredTimer, rules: Rules, state: inout State,
        _ context: inout Context<Key, Output>
    ) throws(Failure) {}
}

/// A keyed stream and the rules under which its events are handled.
public struct BroadcastConnectedStream<
    Key: Hashable & Codable & Sendable, Element: Sendable, Rule: Sendable,
    Rules: Codable & Sendable
>: Sendable {
    @usableFromInline let keyed: KeyedStream<Key, Element>
    @usableFromInline let rules: EventStream<Rule>
    @usableFromInline let initial: Rules
    @usableFromInline let start: TableStart
    @usableFromInline let isFallible: Bool
    @usableFromInline let update: @Sendable (inout Rules, Rule) throws -> Void

    @usableFromInline
    init(
        keyed: KeyedStream<Key, Element>, rules: EventStream<Rule>, initial: Rules,
        start: TableStart, isFallible: Bool,
        update: @escaping @Sendable (inout Rules, Rule) throws -> Void
    ) {
        self.keyed = keyed
        self.rules = rules
        self.initial = initial
        self.start = start
        self.isFallible = isFallible
        self.update = update
    }
}

extension KeyedStream {
    /// Connects the events of each key with a stream of rules that all instances get: broadcast state.
    ///
    /// Each parallel instance gets all rules in the same order and makes the same value of them. The two
    /// streams are not ordered with respect to each other: an event may be handled before a rule that was there
    /// first. With `start: .whenLoaded()` events wait until a first watermark has come over both
    /// streams or the rules have ended; later rules still come when they come.
    ///
    /// ```swift
    /// let limits = EventStream("limits", from: .collection([Payment]()))
    /// payments.keyed(by: \.card)
    ///     .connect(broadcast: limits, into: [String: Double]()) { limits, limit in
    ///         limits[limit.card] = limit.amount
    ///     }
    ///     .compactMap { payment, limits in
    ///         payment.amount > limits[payment.card] ?? 1_000 ? payment : nil
    ///     }
    ///     .sink(.print)
    /// ```
    ///
    /// - Parameters:
    ///   - rules: The stream of rules. It goes through a stage of its own, `broadcast`, that orders it.
    ///   - initial: The value before the first rule. It is held once in each instance, so keep it small:
    ///     rows for each key are better joined.
    ///   - start: Whether events wait for rules. Default: they don't.
    ///   - update: Adds a rule to the value; a pure function of the two.
    @inlinable
    public func connect<Rule: Sendable, Rules: Codable & Sendable, Failure: Error>(
        broadcast rules: EventStream<Rule>, into initial: Rules, start: TableStart = .immediate,
        file: StaticString = #fileID, line: UInt = #line,
        _ update: @escaping @Sendable (inout Rules, Rule) throws(Failure) -> Void
    ) -> BroadcastConnectedStream<Key, Element, Rule, Rules> {
        // One sender, so that all instances see one order.
        let ordered: EventStream<Rule> = rules.transform(
            "broadcast", boundary: true, at: SourceLocation(file, line)
        ) { _, downstream in downstream }
        return BroadcastConnectedStream(
            keyed: self, rules: ordered, initial: initial, start: start,
            isFallible: Failure.self != Never.self, update: update)
    }
}
