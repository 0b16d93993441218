/// A message under way, by what is needed of it later.
struct LoadMessage {
    let sequence: Int
    let due: UInt64
    var sentAt: UInt64 = 0
}

/// A connection and its messages under way, each queue in the order of sending.
final class LoadLine {
    var channel: (any LoadChannel)?
    /// Due, not taken by the connection yet.
    var waiting = FirstInFirstOut<LoadMessage>()
    /// Taken, perhaps not with the kernel yet; by when they were due.
    var handing = FirstInFirstOut<UInt64>()
    /// Sent, and to be answered.
    var unanswered = FirstInFirstOut<LoadMessage>()
    /// Whether it is among those that have room.
    var isOffered = false

    func hasRoom(for pipeline: Int) -> Bool {
        channel?.isReady == true && waiting.count + unanswered.count < pipeline
    }
}
