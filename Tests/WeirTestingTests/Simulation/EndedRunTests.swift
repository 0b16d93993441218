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
