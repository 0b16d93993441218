import WeirCore

/// Opens the writers of one simulated sink.
struct SimulatedSinkOpening<Element: Sendable>: Sendable {
    let world: SimulatedWorld
    let name: String
    let receiver: SimulatedReceiver<Element>?
    let isTransactional: Bool

    func open(_ context: SinkContext) async throws -> any SinkWriter<Element> {
        try world.checkAlive()
        guard let receiver else { throw SimulatedNameInUse(name: name) }
        guard isTransactional else {
            return PlainSimulatedWriter(world: world, receiver: receiver)
        }
        receiver.begin(life: world.life, restored: context.restoredState)
        return TransactionalSimulatedWriter(world: world, receiver: receiver)
    }
}

private final class PlainSimulatedWriter<Element: Sendable>: SinkWriter {
    private let world: SimulatedWorld
    private let receiver: SimulatedReceiver<Element>

    init(world: SimulatedWorld, receiver: SimulatedReceiver<Element>) {
        self.world = world
        self.receiver = receiver
    }

    func write(_ batch: Batch<Element>) async throws {
        try world.beginWrite()
        receiver.receive(batch.elements)
    }
}

private final class TransactionalSimulatedWriter<Element: Sendable>: TransactionalSinkWriter {
    private let world: SimulatedWorld
    private let receiver: SimulatedReceiver<Element>

    init(world: SimulatedWorld, receiver: SimulatedReceiver<Element>) {
        self.world = world
        self.receiver = receiver
    }

    func write(_ batch: Batch<Element>) async throws {
        try world.beginWrite()
        receiver.stage(batch.elements)
    }

    func prepare(checkpoint: Int) async throws -> [UInt8] {
        try world.checkAlive()
        return receiver.prepare(checkpoint: checkpoint)
    }

    func commit(checkpoint: Int) async throws {
        try world.checkAlive()
        receiver.commit(checkpoint: checkpoint)
    }
}
