/// What an asynchronous call may know of itself besides its event.
public struct AsyncCallContext: Sendable {
    package let stage: String
    package let number: CallNumber

    @usableFromInline
    init(stage: String, number: CallNumber) {
        self.stage = stage
        self.number = number
    }

    /// Names the event for the service that is called, so that it can tell a repeated call from a new one.
    ///
    /// It is the same whenever the call for this event is made again: by the retry policy, after a restart of the stage.
    /// Another event has another one, also in another run that does not go on where this one was. It holds the
    /// stage's name, the run's part in base 36 and the event's number: `score-1y8q3k0d7f2xa-42`.
    public var idempotencyKey: String {
        "\(stage)-\(String(number.epoch, radix: 36))-\(number.sequence)"
    }
}

/// The number of an event at an asynchronous operator: part of the operator's state.
@usableFromInline
package struct CallNumber: Sendable, Hashable, Codable {
    /// Drawn when the operator begins with no state, so that numbers of different beginnings differ.
    package let epoch: UInt64
    /// Counts the events from 0.
    @usableFromInline package var sequence: UInt64 = 0

    @usableFromInline
    package init(epoch: UInt64) {
        self.epoch = epoch
    }
}
