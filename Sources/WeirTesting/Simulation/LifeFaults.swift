import Synchronization
import WeirCore

/// An error that a simulation has a handler or a sink throw.
struct SimulatedError: Error, CustomStringConvertible {
    let description: String
}

/// Throws what one life of a process is to suffer, and counts what could have failed.
final class LifeFaults: FaultInjector {
    private struct State: Sendable {
        var transactions = 0
        var writes = 0
        var struck = 0
        /// Stages whose next transaction is let through, so that no event fails until it is given up.
        var spared: Set<String> = []
        var pending: (stage: String, number: Int)?
        var sparesWrite = false
        var isOver = false
    }

    private let handlers: [Int: Bool]
    private let writes: Set<Int>
    private let state = Mutex(State())

    init(_ faults: [Fault]) {
        var handlers: [Int: Bool] = [:]
        var writes: Set<Int> = []
        for fault in faults {
            switch fault {
            case .handlerError(let transaction, let isDone): handlers[transaction] = isDone
            case .writeError(let write): writes.insert(write)
            default: break
            }
        }
        self.handlers = handlers
        self.writes = writes
    }

    var isOver: Bool {
        get { state.withLock { $0.isOver } }
        set { state.withLock { $0.isOver = newValue } }
    }

    var transactionCount: Int { state.withLock { $0.transactions } }
    var writeCount: Int { state.withLock { $0.writes } }
    /// How many errors were thrown.
    var struckCount: Int { state.withLock { $0.struck } }

    func strike(stage: String, isDone: Bool) throws {
        let error = state.withLock { state -> SimulatedError? in
            if state.isOver { return nil }
            let number: Int
            if isDone {
                number = state.transactions - 1
            } else {
                number = state.transactions
                state.transactions += 1
                state.pending = nil
                if state.spared.remove(stage) != nil { return nil }
                state.pending = (stage, number)
            }
            guard let pending = state.pending, pending == (stage, number),
                handlers[number] == isDone
            else { return nil }
            state.spared.insert(stage)
            state.struck += 1
            return SimulatedError(
                description: "simulated: transaction \(number) fails \(isDone ? "at its end" : "")")
        }
        if let error { throw error }
    }

    func strikeWrite() throws {
        let error = state.withLock { state -> SimulatedError? in
            let number = state.writes
            state.writes += 1
            if state.sparesWrite {
                state.sparesWrite = false
                return nil
            }
            guard writes.contains(number) else { return nil }
            state.sparesWrite = true
            state.struck += 1
            return SimulatedError(description: "simulated: write \(number) fails")
        }
        if let error { throw error }
    }
}
