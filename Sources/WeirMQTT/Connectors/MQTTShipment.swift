import Synchronization

/// A message on its way to a broker.
struct MQTTOutgoing: Sendable {
    let topic: String
    let payload: [UInt8]
    /// Which event of its batch it is.
    let index: Int
}

/// The messages of a batch, and what has become of each; outlives a connection.
final class MQTTShipment: Sendable {
    private struct State {
        var isDone: [Bool]
        var refused: [(index: Int, error: MQTTError)] = []
    }

    let messages: [MQTTOutgoing]
    private let state: Mutex<State>

    init(_ messages: [MQTTOutgoing]) {
        self.messages = messages
        state = Mutex(State(isDone: Array(repeating: false, count: messages.count)))
    }

    /// Numbers of the messages that are still to be sent.
    var remaining: [Int] {
        state.withLock { state in
            messages.indices.filter { !state.isDone[$0] }
        }
    }

    func done(_ number: Int) { state.withLock { $0.isDone[number] = true } }

    /// The broker wants this one never.
    func refused(_ number: Int, _ error: MQTTError) {
        let index = messages[number].index
        state.withLock { state in
            state.isDone[number] = true
            state.refused.append((index, error))
        }
    }

    /// The events that were refused, and why.
    var refusals: [(index: Int, error: MQTTError)] { state.withLock { $0.refused } }
}
