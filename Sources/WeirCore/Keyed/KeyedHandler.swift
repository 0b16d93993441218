/// Handles the events of each key with state of that key: the place for logic that remembers.
///
/// A handler is a value without state of its own; the runtime owns the state and calls for one
/// event at a time, so nothing here can race. Time and randomness come from the context, which
/// makes a replay give the same result.
///
/// ```swift
/// struct ImpossibleTravel: KeyedHandler {
///     struct State: Codable, Sendable { var country: String?; var at = EventTime() }
///     func initialState(for card: String) -> State { State() }
///     func on(
///         _ payment: Payment, state: inout State, _ context: inout Context<String, Alert>
///     ) {
///         if let last = state.country, last != payment.country {
///             context.emit(Alert(card: context.key, reason: .travel))
///         }
///         state.country = payment.country
///     }
/// }
/// ```
public protocol KeyedHandler<Key, Input, Output>: Sendable {
    /// What the events are grouped by.
    associatedtype Key: Hashable & Codable & Sendable
    /// The events that come in.
    associatedtype Input: Sendable
    /// The events that go out.
    associatedtype Output: Sendable
    /// What is remembered of each key; Codable so that checkpoints can hold it.
    associatedtype State: Codable & Sendable
    /// What ``on(_:state:_:)`` and ``onTimer(_:state:_:)`` may throw: `Never` unless said
    /// otherwise.
    associatedtype Failure: Error = Never

    /// The version of ``State``, counted up when a checkpoint's state can't be decoded as it is.
    ///
    /// Default 1. A property that is added as an optional needs no new version.
    static var stateVersion: Int { get }

    /// Makes state of what an earlier version of the code has left in a checkpoint.
    ///
    /// Called for each key while a run is restored. State of a later version is refused.
    ///
    /// - Parameters:
    ///   - old: The earlier state, to be decoded as the type it was.
    ///   - version: The ``stateVersion`` of then.
    /// - Throws: What keeps the run from being restored; by default always.
    static func migrate(_ old: OldState, from version: Int) throws -> State

    /// The state of a key that has none: at its first event, and after its state was cleared or has
    /// expired.
    func initialState(for key: Key) -> State

    /// Handles an event.
    ///
    /// If it throws, the state, the timers and what was emitted are as before the event, and the
    /// stage restarts.
    func on(
        _ event: Input, state: inout State, _ context: inout Context<Key, Output>
    ) throws(Failure)

    /// Handles a timer that was set for this key.
    func onTimer(
        _ timer: FiredTimer, state: inout State, _ context: inout Context<Key, Output>
    ) throws(Failure)
}

extension KeyedHandler {
    /// 1.
    @inlinable
    public static var stateVersion: Int { 1 }

    /// Refuses all earlier versions.
    public static func migrate(_ old: OldState, from version: Int) throws -> State {
        throw StateMigrationError(handler: "\(Self.self)", version: version, current: stateVersion)
    }

    /// Does nothing.
    @inlinable
    public func onTimer(
        _ timer: FiredTimer, state: inout State, _ context: inout Context<Key, Output>
    ) throws(Failure) {}
}

/// A timer of a key that has come due.
@frozen
public struct FiredTimer: Sendable, Hashable {
    /// The time that it was set for.
    public let time: EventTime
    /// The kind of time that it was set in.
    public let domain: TimeDomain

    @inlinable
    init(time: EventTime, domain: TimeDomain) {
        self.time = time
        self.domain = domain
    }
}

/// The name and type of a further output of a handler, beside its main one.
///
/// ```swift
/// let large = SideOutput<Payment>("large")
/// // in the handler: context.emit(payment, to: large)
/// let handled = payments.keyed(by: \.card).handle("check") { Check() }
/// handled.sideOutput(large).sink(.print)
/// ```
public struct SideOutput<Element: Sendable>: Sendable, Hashable {
    /// What tells it apart from the handler's other side outputs of the same type.
    public let name: String

    /// Creates a tag; equal names and types are the same output.
    public init(_ name: String) {
        self.name = name
    }

    @usableFromInline var identity: SideEvent.Identity {
        SideEvent.Identity(name: name, type: ObjectIdentifier(Element.self))
    }
}

/// An event on its way to one of several side outputs.
@usableFromInline
struct SideEvent: Sendable {
    @usableFromInline
    struct Identity: Hashable, Sendable {
        let name: String
        let type: ObjectIdentifier
    }

    @usableFromInline let output: Identity
    @usableFromInline let event: any Sendable

    @inlinable
    init(output: Identity, event: any Sendable) {
        self.output = output
        self.event = event
    }
}
