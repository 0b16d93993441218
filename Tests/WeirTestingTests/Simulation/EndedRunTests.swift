import Testing
import WeirCore

@testable import WeirTesting

@Suite struct `A run that had ended` {
    /// The input has 3 transfers in the first life and 6 from then on, like a file that grows.
    private static let growing = Simulation { world in
        let path = world.file("transfers.jsonl")
        let events = Array(Transfer.some(6).prefix(world.life == 0 ? 3 : 6))
        return Topology("growing") {
            EventStream("transfers", from: world.source("transfers", events))
                .map(\.id)
                .sink(.transactionalJSONLines(toFile: path))
        }
    }

    @Test func `goes on with what has come since, wherever it was killed`() throws {
        let calls = Self.growing.perform(Trial(seed: 0)).size.calls
        for call in 0..<calls {
            var trial = Trial(seed: 0)
            trial.injections = [Injection(life: 0, fault: .crashAfterCall(call, loss: nil))]
            let run = Self.growing.perform(trial)
            #expect(run.crashes == 1)
            #expect(run.problem == nil, "killed after call \(call)")
            #expect(
                run.lines("transfers.jsonl") == (1...6).map(String.init),
                "killed after call \(call)")
        }
    }
}

@Suite struct `A checkpoint that a killed process has left` {
    private static let simulation = Simulation { world in
        let path = world.file("transfers.jsonl")
        return Topology("killed") {
            EventStream("transfers", from: world.source("transfers", Transfer.some(4)))
                .map(\.id)
                .sink(.transactionalJSONLines(toFile: path))
        }
    }

    @Test func `outlasts a power loss in the run that begins with it`() throws {
        let reference = try Self.simulation.makeReference(Trial(seed: 0))
        for kill in 20...reference.size.calls {
            for loss in 0..<30 as Range<UInt64> {
                var trial = Trial(seed: 0)
                trial.injections = [
                    Injection(life: 0, fault: .crashAfterCall(kill, loss: nil)),
                    Injection(life: 1, fault: .crashAfterCall(10 + 2 * Int(loss), loss: loss)),
                ]
                let problem = Self.simulation.problem(
                    of: Self.simulation.perform(trial), reference)
                try #require(problem == nil, "\(trial.text)")
            }
        }
    }
}
