import Synchronization
import WeirCore
import WeirTesting

/// The events that the inputs of the last run had: a simulation that makes a failure smaller leaves
/// some out.
final class CompositionInputs: Sendable {
    private let items = Mutex<[Int: [Item]]>([:])
    private let drawing = Mutex("")

    func note(_ items: [Item], of input: Int) { self.items.withLock { $0[input] = items } }

    func all(_ count: Int) -> [[Item]] {
        items.withLock { items in (0..<count).map { items[$0] ?? [] } }
    }

    /// Notes more than before: a source that nobody takes anything of any more may begin anew.
    func noteMore(_ items: [Item], of input: Int) {
        self.items.withLock { if $0[input]?.count ?? -1 < items.count { $0[input] = items } }
    }

    func draw(_ topology: Topology) { drawing.withLock { $0 = "\(topology)" } }

    var lastDrawing: String { drawing.withLock { $0 } }
}

/// A topology that has not given what it is to give, and how to see it again.
struct CompositionFailure: Error, CustomStringConvertible {
    let composition: Composition
    let drawing: String
    let failure: any Error

    var description: String { "\(composition)\n\(drawing)\n\(failure)" }
}

extension Composition {
    func simulation(_ inputs: CompositionInputs) -> Simulation {
        Simulation { world in
            let topology = topology(in: world, inputs)
            inputs.draw(topology)
            return topology
        }.parallelism(isRescaled ? 1...parallelism : parallelism...parallelism).ignoringState()
            .check { outcome in
                try check(outcome, of: inputs.all(self.inputs.count))
            }
    }

    /// Runs it without faults and with them.
    ///
    /// What fails is shown with one of its ends only, if that fails as well.
    func run(_ seeds: Range<UInt64>) throws(CompositionFailure) {
        guard let failure = failure(seeds) else { return }
        for end in ends where ends.count > 1 {
            if let smaller = keeping(end).failure(seeds) { throw smaller }
        }
        throw failure
    }

    private func failure(_ seeds: Range<UInt64>) -> CompositionFailure? {
        let inputs = CompositionInputs()
        do {
            try simulation(inputs).run(seeds: seeds)
            return nil
        } catch {
            return CompositionFailure(
                composition: self, drawing: inputs.lastDrawing, failure: error)
        }
    }
}
