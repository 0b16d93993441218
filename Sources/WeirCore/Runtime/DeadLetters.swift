import DequeModule
import Synchronization

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

/// The dead letters of a run: a bounded list of the newest, and how many there were in all.
public final class DeadLetterQueue: Sendable {
    private struct Locked: Sendable {
        var letters = Deque<DeadLetter>()
        var total = 0
        var listener: (@Sendable (DeadLetter) -> Void)?
    }

    private let locked = Mutex(Locked())
    private let capacity: Int

    package init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    /// How many events were given up since the start, also those no longer kept.
    public var total: Int { locked.withLock { $0.total } }

    /// How many have been pushed out of the list by newer ones.
    public var discarded: Int { locked.withLock { $0.total - $0.letters.count } }

    /// The newest dead letters, oldest first.
    public var letters: [DeadLetter] { locked.withLock { Array($0.letters) } }

    package func append(_ letter: DeadLetter) {
        let listener = locked.withLock { locked in
            locked.total += 1
            locked.letters.append(letter)
            if locked.letters.count > capacity { locked.letters.removeFirst() }
            return locked.listener
        }
        listener?(letter)
    }

    /// Calls back for every dead letter from now on, on the thread of whoever gave it up.
    package func onLetter(_ listener: @escaping @Sendable (DeadLetter) -> Void) {
        locked.withLock { $0.listener = listener }
    }
}
