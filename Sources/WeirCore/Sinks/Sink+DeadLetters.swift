import Synchronization

extension Sink {
    /// Gives each event up: it goes to the run's dead letters.
    ///
    /// **Guarantee:** once, in order. The run keeps the newest dead letters and counts them all.
    ///
    /// - Parameter reason: Why they are given up; it is the reason that each dead letter states.
    public static func deadLetters(_ reason: String) -> Sink {
        Sink("deadLetters") { context in
            ImmediateWriter { batch in
                for event in batch.elements { context.deadLetter(event, reason: reason) }
            }
        }
    }

    /// Takes each event and does nothing with it.
    ///
    /// **Guarantee:** none is kept; all are counted as handled.
    public static var discard: Sink {
        Sink("discard") { _ in ImmediateWriter { _ in } }
    }
}

/// Tells the first opening of a sink in a run from those after restarts.
final class OpenedBefore: Sendable {
    private let opened = Atomic<Bool>(false)

    func isFirst() -> Bool {
        !opened.exchange(true, ordering: .relaxed)
    }
}
