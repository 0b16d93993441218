/// Identifies a loop of a topology, for its two ends to find each other.
package final class LoopID: Sendable, Hashable {
    package let name: String

    package init(_ name: String) {
        self.name = name
    }

    package static func == (left: LoopID, right: LoopID) -> Bool { left === right }

    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// Which end of a loop a node is.
package enum LoopEnd: Sendable {
    case head(LoopID)
    case tail(LoopID)
}

/// Goes once round a loop behind all that its head has sent before: when it is back, so is what came of that.
package struct LoopProbe: Sendable, Hashable {
    package let loop: LoopID
    package let round: Int
}

/// What a stage knows of the loops that go through it; confined to the stage's actor.
package final class LoopRelay {
    /// The channels by which each loop comes in here.
    package var channels: [LoopID: Set<Int>] = [:]
    private var open: [LoopID: (round: Int, seen: Set<Int>)] = [:]
    private var tails: [LoopID: (_ round: Int) -> Void] = [:]
    private var heads: [() -> Void] = []

    package init() {}

    /// Says what is to be done when a probe has come to the end of its loop in this stage.
    func addTail(of loop: LoopID, _ action: @escaping (_ round: Int) -> Void) {
        tails[loop] = action
    }

    /// Says how to ask a loop that begins in this stage to come to rest.
    func addHead(_ ask: @escaping () -> Void) {
        heads.append(ask)
    }

    /// Whether a probe has come by some of the channels and not by all.
    package var hasOpenRounds: Bool { !open.isEmpty }

    /// Takes note of a probe; those of loops that the stage is not in come to nothing.
    func note(_ probe: LoopProbe, on channel: Int) {
        guard channels[probe.loop]?.contains(channel) == true else { return }
        if open[probe.loop]?.round != probe.round { open[probe.loop] = (probe.round, []) }
        open[probe.loop]?.seen.insert(channel)
    }

    /// Takes the probes that have come by all channels that have not ended.
    func takeComplete(hasEnded: (Int) -> Bool) -> [LoopProbe] {
        var complete: [LoopProbe] = []
        for (loop, round) in open {
            let isComplete =
                channels[loop]?.allSatisfy { round.seen.contains($0) || hasEnded($0) } ?? true
            if isComplete { complete.append(LoopProbe(loop: loop, round: round.round)) }
        }
        for probe in complete { open[probe.loop] = nil }
        return complete
    }

    func askHeads() {
        for ask in heads { ask() }
    }

    /// Tells the end of the probe's loop, if it is in this stage.
    func reachedTail(_ probe: LoopProbe) {
        tails[probe.loop]?(probe.round)
    }
}

extension StageActor {
    /// Lets the probes go on that have come by all inputs, behind what came of all that was before them.
    func passProbes() async throws {
        let states = channels.states
        let complete = scope.loops.takeComplete { states[$0].hasEnded }
        if complete.isEmpty { return }
        scope.loops.askHeads()
        while scope.hasAsyncWork { try await waitForAsyncWork() }
        for probe in complete {
            scope.loops.reachedTail(probe)
            for port in scope.ports { port.emit(Barrier(probe: probe)) }
        }
    }
}
