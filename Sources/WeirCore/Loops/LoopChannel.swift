package import DequeModule
import Synchronization

/// What is on its way from the end of a loop back to its head: bounded, and never waited for.
///
/// The stage in which the loop ends may be the one that its head waits for, or the same one, so what it feeds back
/// can't wait for room. Every instance of that stage has its own way in.
package final class LoopChannel<Element: Sendable>: Sendable {
    /// What the head takes.
    package struct Arrival {
        package var batches: Deque<Batch<Element>>
        /// The last probe that all instances of the loop's end have got.
        package var round: Int
    }

    private struct Tail: Sendable {
        /// The last probe that has come here.
        var round = 0
        var hasEnded = false
        /// What was fed back since the head's part of a checkpoint was captured, and belongs to it.
        var log: [Batch<Element>]?
        var logDepth = 0
        /// The checkpoint that the log is for: it may be given up before its barrier comes here.
        var logCheckpoint = 0
        /// The last checkpoint that this end has its part in.
        var checkpoint = 0
    }

    private struct State: Sendable {
        var waiting = Deque<Batch<Element>>()
        var depth = 0
        var tails: [Int: Tail] = [:]
        var hasEnded = false
        /// The head's.
        var mailbox: Mailbox?
    }

    package let limit: Int
    private let state = Mutex(State())

    package init(limit: Int) {
        self.limit = limit
    }

    // MARK: The head

    package func attachHead(_ mailbox: Mailbox?) {
        state.withLock { $0.mailbox = mailbox }
    }

    /// The way into the loop for an event that was given up, as if it came from upstream.
    func route(_ event: Batch<Element>) -> DeadLetterRoute? {
        state.withLock(\.mailbox).map {
            DeadLetterRoute(mailbox: $0, input: 0, batch: BatchBox(event))
        }
    }

    /// How many events wait to go round again.
    package var depth: Int { state.withLock { $0.depth } }

    /// Takes all that waits.
    package func take() -> Arrival {
        state.withLock { state in
            defer {
                state.waiting = []
                state.depth = 0
            }
            let round = state.tails.values.lazy.filter { !$0.hasEnded }.map(\.round).min()
            return Arrival(batches: state.waiting, round: round ?? .max)
        }
    }

    /// Takes nothing more: what is fed back from now on is refused.
    package func end() {
        state.withLock { $0.hasEnded = true }
    }

    package var hasEnded: Bool { state.withLock { $0.hasEnded } }

    /// What waits belongs to the head's part of a checkpoint; what comes until the barrier is round, to that of the
    /// ends.
    package func beginCheckpoint(_ checkpoint: Int) -> [Batch<Element>] {
        state.withLock { state in
            for (id, tail) in state.tails where !tail.hasEnded && tail.checkpoint < checkpoint {
                state.tails[id]?.log = []
                state.tails[id]?.logDepth = 0
                state.tails[id]?.logCheckpoint = checkpoint
            }
            return state.waiting.array
        }
    }

    /// Brings back what a checkpoint has.
    package func restore(_ batches: [Batch<Element>]) {
        let head = state.withLock { state in
            for batch in batches {
                state.depth += batch.count
                state.waiting.append(batch)
            }
            return state.mailbox
        }
        head?.wake()
    }

    // MARK: The end

    package func attachTail(_ id: Int) {
        state.withLock { $0.tails[id] = Tail() }
    }

    /// Feeds events back; returns how many of them found room, the first ones.
    package func feedBack(_ batch: Batch<Element>, from id: Int) -> Int {
        let (count, head) = state.withLock { state -> (Int, Mailbox?) in
            let room = state.hasEnded ? 0 : max(0, limit - state.depth)
            let taken = min(room, batch.count)
            guard taken > 0 else { return (0, nil) }
            let batch = batch.slice(0..<taken)
            state.waiting.append(batch)
            state.depth += taken
            if state.tails[id]?.log != nil, (state.tails[id]?.logDepth ?? 0) <= limit {
                state.tails[id]?.log?.append(batch)
                state.tails[id]?.logDepth += taken
            }
            return (taken, state.mailbox)
        }
        head?.wake()
        return count
    }

    /// All that came of what the head has sent before the probe is in the channel.
    package func returned(round: Int, to id: Int) {
        let head = state.withLock { state in
            state.tails[id]?.round = round
            return state.mailbox
        }
        head?.wake()
    }

    /// Nothing more comes from this instance of the loop's end.
    package func tailEnded(_ id: Int) {
        let head = state.withLock { state in
            state.tails[id]?.hasEnded = true
            // For a checkpoint that was given up: what there is of it has gone round by now.
            state.tails[id]?.log = nil
            state.tails[id]?.logDepth = 0
            return state.mailbox
        }
        head?.wake()
    }

    /// What this end has in a checkpoint; nil when that is more than the loop may hold.
    package func finishCheckpoint(_ checkpoint: Int, of id: Int) -> [Batch<Element>]? {
        state.withLock { state in
            guard var tail = state.tails[id] else { return [] }
            let isOfAnother = tail.logCheckpoint != checkpoint
            let log = tail.log.take() ?? []
            let isWhole = tail.logDepth <= limit
            tail.logDepth = 0
            tail.checkpoint = checkpoint
            state.tails[id] = tail
            return isOfAnother ? [] : isWhole ? log : nil
        }
    }
}

/// More events were under way in a loop, while a checkpoint went round it, than the loop may hold.
struct LoopOverflow: Error, CustomStringConvertible {
    let loop: String
    let limit: Int

    var description: String {
        "more than \(limit) events of the loop '\(loop)' would be in a checkpoint: raise its "
            + "maximumWaiting"
    }
}
