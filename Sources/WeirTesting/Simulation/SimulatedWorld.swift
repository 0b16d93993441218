import Synchronization
public import WeirCore
package import WeirJournal

/// What a topology under simulation is connected to: inputs and receivers in place of the real
/// ones, and a disk that crashes.
///
/// There is one for each life of the simulated process; the receivers and the disk outlive it.
public final class SimulatedWorld: Sendable {
    /// The disk, on which the run's store is.
    package let fileSystem: SimulatedFileSystem
    let trial: Trial
    let life: Int
    let outside: SimulatedOutside
    private let options: SimulationOptions
    private let faults: LifeFaults

    init(
        trial: Trial, life: Int, outside: SimulatedOutside, fileSystem: SimulatedFileSystem,
        faults: LifeFaults, options: SimulationOptions
    ) {
        self.trial = trial
        self.life = life
        self.outside = outside
        self.fileSystem = fileSystem
        self.faults = faults
        self.options = options
    }

    /// The directory that holds everything on the simulated disk.
    static let directory = "/simulated"
    static let store = "\(directory)/store"

    /// The events of an input as this run has them: the shrinking leaves some out, a simulation with
    /// ``Simulation/reordering(within:)`` gives them in another order.
    ///
    /// For a source of your own; ``source(_:_:)`` is one that exists already.
    ///
    /// - Parameters:
    ///   - name: The input's name in failures; each input has its own.
    ///   - events: All the events, the same in each run.
    public func events<Element: Sendable>(_ name: String, _ events: [Element]) -> [Element] {
        let kept = trial.events[name] ?? Array(events.indices)
        outside.add(
            SimulatedOutside.Input(
                kept: kept, count: events.count, describe: { "\(events[$0])" }), named: name)
        return order(of: name, events.count, kept).map { events[$0] }
    }

    private func order(of name: String, _ count: Int, _ kept: [Int]) -> [Int] {
        let kept = kept.filter { $0 < count }
        guard trial.isReordered, options.reordering > 0 else { return kept }
        var random = generator(name, salt: 1)
        let places = (0..<count).map { $0 + random.below(options.reordering + 1) }
        return kept.sorted { (places[$0], $0) < (places[$1], $1) }
    }

    private func generator(_ name: String, salt: UInt64) -> SimulatedRandom {
        let mixed = name.utf8.reduce(trial.seed &* 31 &+ salt) {
            ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3
        }
        return SimulatedRandom(seed: mixed)
    }

    /// A source that can be read again, of these events.
    ///
    /// It sends them in batches of random sizes, at random moments.
    ///
    /// - Parameters:
    ///   - name: The input's name in failures; each input has its own.
    ///   - events: All the events, the same in each run.
    public func source<Element: Sendable>(_ name: String, _ events: [Element]) -> Source<Element> {
        let events = self.events(name, events)
        let random = generator(name, salt: 2 &+ UInt64(life))
        return Source("simulated") { [self] inlet in
            var random = random
            var next = Int(inlet.position?.offset ?? 0)
            while next < events.count {
                try checkAlive()
                let size = trial.isUneven ? 1 + random.below(random.below(8) + 1) : 64
                let end = min(events.count, next + size)
                let batch = Batch(ContiguousArray(events[next..<end]))
                let position = SourcePosition(offset: Int64(end))
                if trial.isUneven, random.below(2) == 0 {
                    try await inlet.sendAsLoop(batch, position: position)
                } else {
                    try await inlet.send(batch, position: position)
                }
                next = end
                let delay = options.delay.inNanoseconds
                if trial.isUneven, delay > 0, random.below(2) == 0 {
                    try await inlet.context.sleep(for: .nanoseconds(random.below(delay) + 1))
                }
            }
        }
    }

    /// A sink whose receiver is compared with that of the run without faults.
    ///
    /// - Parameters:
    ///   - name: The receiver's name in failures.
    ///   - guarantee: Whether an event may be received again after a crash. Default: exactly once.
    ///   - order: In which order they have to be received. Default: in that of the run without faults.
    public func sink<Element: Sendable & Equatable>(
        _ name: String, _ guarantee: SimulatedGuarantee = .exactlyOnce,
        order: SimulatedOrder<Element> = .whole
    ) -> Sink<Element> {
        let receiver = known(name, guarantee, order)
        let opening = SimulatedSinkOpening(
            world: self, name: name, receiver: receiver,
            isTransactional: !guarantee.allowsRepetition)
        return Sink("simulated", name: "receiver \(name)", open: opening.open)
    }

    private func known<Element: Sendable & Equatable>(
        _ name: String, _ guarantee: SimulatedGuarantee, _ order: SimulatedOrder<Element>
    ) -> SimulatedReceiver<Element>? {
        outside.receiver(name) {
            SimulatedReceiver<Element>(order: order, guarantee: guarantee, isEqual: ==)
        }
    }

    /// A place outside of the machine to which a sink of your own writes, such as a database.
    ///
    /// What it has is compared with that of the run without faults.
    ///
    /// - Parameters:
    ///   - name: The receiver's name in failures.
    ///   - guarantee: Whether an event may be received again after a crash. Default: exactly once.
    ///   - order: In which order they have to be received. Default: in that of the run without faults.
    public func receiver<Element: Sendable & Equatable>(
        _ name: String, of type: Element.Type = Element.self,
        _ guarantee: SimulatedGuarantee = .exactlyOnce, order: SimulatedOrder<Element> = .whole
    ) -> SimulatedDatabase<Element> {
        SimulatedDatabase(world: self, name: name, receiver: known(name, guarantee, order))
    }

    /// The path of a file on the simulated disk, for a `.transactionalJSONLines(toFile:)` sink; its
    /// lines are compared with those of the run without faults.
    public func file(_ name: String) -> String {
        outside.add(file: name)
        return "\(Self.directory)/\(name)"
    }

    /// Whether the process has crashed: nothing of it may reach the outside any more.
    var isOver: Bool { faults.isOver || fileSystem.hasStopped }

    func checkAlive() throws {
        if isOver { throw CancellationError() }
    }

    func beginWrite() throws {
        try checkAlive()
        try faults.strikeWrite()
    }
}

struct SimulatedNameInUse: Error, CustomStringConvertible {
    let name: String

    var description: String {
        "the simulated sink '\(name)' is used for two types of events: give each its own name"
    }
}

extension Duration {
    var inNanoseconds: Int {
        let (seconds, attoseconds) = components
        return Int(clamping: seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
    }
}

extension Inlet {
    /// Sends a batch as an event loop does, which takes the turn of a light stage itself.
    func sendAsLoop(_ batch: Batch<Element>, position: SourcePosition) async throws {
        let wakeUps = ConsumerWakeUps()
        if try trySend(batch, position: position, wakeUps: wakeUps) {
            wakeUps.wakeAll()
        } else {
            try await send(batch, position: position)
        }
    }
}
