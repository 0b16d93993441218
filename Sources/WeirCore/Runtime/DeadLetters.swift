/// An event that could not be handled, with all that is needed to see why and to send it again.
public struct DeadLetter: Sendable, CustomStringConvertible {
    /// The stage or source that gave the event up.
    public let stage: String

    /// The event itself, or the bytes that could not be decoded as `[UInt8]`.
    public let event: any Sendable

    /// Why it was given up: the error's text.
    public let reason: String

    /// How often it was tried.
    public let attempts: Int

    /// When it was given up, in processing time.
    public let time: EventTime

    /// Where the event came from when that is known, such as the peer's address.
    public let origin: String?

    /// The way back to the stage; nil when there is none.
    package var route: DeadLetterRoute?
    /// Its number in its queue.
    var number = 0

    /// Whether the event can be sent to its stage again.
    ///
    /// It can when the stage gave up what it had got; it can't when the event never became one, as bytes that don't
    /// decode, or was made inside the stage.
    public var canBeRedriven: Bool { route != nil }

    /// Creates a dead letter.
    public init(
        stage: String, event: any Sendable, reason: String, attempts: Int, time: EventTime,
        origin: String? = nil
    ) {
        self.stage = stage
        self.event = event
        self.reason = reason
        self.attempts = attempts
        self.time = time
        self.origin = origin
    }

    /// One line: stage, origin, reason, event.
    public var description: String {
        let from = origin.map { " from \($0)" } ?? ""
        return "\(stage)\(from): \(reason) (attempts: \(attempts)): \(eventText)"
    }

    /// The event as text; bytes are shown as UTF-8 where they are, the first 1,000 of them.
    public var eventText: String {
        if let bytes = event as? [UInt8] {
            return String(decoding: bytes.prefix(1_000), as: UTF8.self)
        }
        return String(String(describing: event).prefix(1_000))
    }
}
