import Synchronization
import Testing
import WeirCore
import WeirJournal
import WeirTesting

/// What a simulation says about a topology with a bug.
private func failure(
    of simulation: Simulation, within seeds: Range<UInt64> = 0..<100
) throws -> SimulationFailure {
    var found: SimulationFailure?
    do {
        try simulation.run(seeds: seeds)
    } catch let failure as SimulationFailure {
        found = failure
    }
    return try #require(found, "the bug was not found in \(seeds.count) seeds")
}

private func expectSmall(_ failure: SimulationFailure, _ simulation: Simulation) {
    #expect(failure.events <= 5, "\(failure)")
    #expect(throws: SimulationFailure.self) { try simulation.replay(failure.replay) }
}

private final class Memory: Sendable {
    let total = Mutex(0)
}

private struct Stamping: KeyedHandler {
    struct State: Codable, Sendable { var count = 0 }

    func initialState(for account: Int) -> State { State() }

    func on(
        _ transfer: Transfer, state: inout State, _ context: inout Context<Int, [Int64]>
    ) {
        context.emit([Int64(transfer.id), context.now.nanoseconds])
    }
}

@Suite struct `A bug planted on purpose` {
    /// A handler that keeps state outside of the framework.
    private let remembering = Simulation { world in
        let memory = Memory()
        return Topology("memory") {
            EventStream("transfers", from: world.source("transfers", Transfer.some(40)))
                .map { transfer throws -> Int in
                    if transfer.id < 0 { throw Refused() }
                    return memory.total.withLock { total in
                        total += transfer.amount
                        return total
                    }
                }
                .sink(world.sink("totals"))
        }
    }

    @Test func `in a handler that keeps state outside of the framework is found`() throws {
        expectSmall(try failure(of: remembering), remembering)
    }

    @Test func `in such a handler is found without crashes, by errors that are undone`() throws {
        let simulation = remembering.crashes(upTo: 0)
        let failure = try failure(of: simulation)
        expectSmall(failure, simulation)
        #expect(failure.events == 1)
    }

    private final class CountingWriter: SinkWriter {
        private let database: SimulatedDatabase<[Int]>
        private var count = 0

        init(_ database: SimulatedDatabase<[Int]>) { self.database = database }

        func write(_ batch: Batch<Transfer>) async throws {
            try database.write(
                batch.elements.map { transfer in
                    count += 1
                    return [count, transfer.id]
                })
        }
    }

    @Test(arguments: [SimulatedGuarantee.exactlyOnce, .atLeastOnce])
    func `in a sink that counts in memory is found`(_ guarantee: SimulatedGuarantee) throws {
        let simulation = Simulation { world in
            let database = world.receiver("database", of: [Int].self, guarantee)
            return Topology("counting") {
                EventStream("transfers", from: world.source("transfers", Transfer.some(40)))
                    .sink(Sink("counting") { _ in CountingWriter(database) })
            }
        }
        expectSmall(try failure(of: simulation), simulation)
    }

    @Test(arguments: [-1, 1])
    func `in a source that reports a wrong position is found`(_ error: Int) throws {
        let simulation = Simulation { world in
            let events = world.events("transfers", Transfer.some(40))
            return Topology("positions") {
                EventStream(
                    "transfers",
                    from: Source<Transfer>("erring") { inlet in
                        var next = Int(inlet.position?.offset ?? 0)
                        while next < events.count {
                            let batch = Batch(ContiguousArray(events[next..<(next + 1)]))
                            next += 1
                            let reported = next == events.count ? next : max(0, next + error)
                            try await inlet.send(
                                batch, position: SourcePosition(offset: Int64(reported)))
                            try await inlet.context.sleep(for: .milliseconds(1))
                        }
                    }
                )
                .sink(world.sink("transfers"))
            }
        }
        expectSmall(try failure(of: simulation), simulation)
    }

    /// Prepares and commits as it should, but leaves it to luck when the bytes reach the disk.
    private final class ForgetfulWriter: TransactionalSinkWriter {
        private let files: SimulatedFileSystem
        private let path: String
        private var lines: [UInt8] = []
        private var prepared: [UInt8]

        init(_ world: SimulatedWorld, _ path: String, restored: [UInt8]?) {
            files = world.fileSystem
            self.path = path
            prepared = restored ?? []
        }

        func write(_ batch: Batch<Transfer>) async throws {
            for transfer in batch.elements { lines += Array("\(transfer.id)\n".utf8) }
        }

        func prepare(checkpoint: Int) async throws -> [UInt8] {
            prepared += lines
            lines = []
            return prepared
        }

        func commit(checkpoint: Int) async throws {
            let file = try files.open(path, .readWrite)
            defer { file.close() }
            try prepared.withUnsafeBytes { try file.write($0, at: 0) }
            try files.syncDirectory("/simulated")
        }
    }

    @Test func `in a transactional writer that forgets to synchronize is found`() throws {
        let simulation = Simulation { world in
            let path = world.file("transfers")
            return Topology("forgetful") {
                EventStream("transfers", from: world.source("transfers", Transfer.some(40)))
                    .sink(
                        Sink<Transfer>("forgetful") { context in
                            ForgetfulWriter(world, path, restored: context.restoredState)
                        })
            }
        }.diskErrors(upTo: 0)
        expectSmall(try failure(of: simulation), simulation)
    }

    @Test func `in an operator that looks at the clock is found`() throws {
        let simulation = Simulation { world in
            Topology("clock") {
                EventStream("transfers", from: world.source("transfers", Transfer.some(40)))
                    .keyed(by: \.account)
                    .handle("stamping") { Stamping() }
                    .sink(world.sink("stamps"))
            }
        }
        expectSmall(try failure(of: simulation), simulation)
    }

    @Test func `in an operator that keeps state by instance is found by another number of them`()
        throws
    {
        let simulation = Simulation { world in
            Topology("chunks") {
                EventStream("transfers", from: world.source("transfers", Transfer.some(40)))
                    .keyed(by: \.account)
                    .scan(into: 0, name: "totals") { total, transfer -> [Int] in
                        total += transfer.amount
                        return [transfer.account, total]
                    }
                    .enumerated().map(\.element)
                    .sink(world.sink("totals", order: .perKey { $0[0] }))
            }
        }
        try simulation.parallelism(3).run(seeds: 0..<40)
        let rescaled = simulation.parallelism(1...4).shrinking(upTo: 400)
        let failure = try failure(of: rescaled)
        #expect(throws: SimulationFailure.self) { try rescaled.replay(failure.replay) }
        #expect(failure.problem.contains("totals"))
        // As few instances as show it, in two lives.
        let simplest = ["instances:1,2 ", "instances:2,1 "]
        #expect(simplest.contains { failure.replay.contains($0) }, "\(failure)")
        #expect(failure.story.contains { $0.contains("life 2 and later: parallelism") })
    }

    @Test func `that needs no other number of instances is shown without one`() throws {
        let simulation = remembering.crashes(upTo: 0).parallelism(1...4)
        let failure = try failure(of: simulation)
        expectSmall(failure, simulation)
        #expect(!failure.replay.contains("instances"))
    }

    @Test(arguments: ["instances:", "instances:0", "instances:2,x", "instances:1,-3"])
    func `has a text that says numbers of instances`(_ text: String) throws {
        let simulation = Simulation { world in
            Topology("nothing") {
                EventStream("none", from: world.source("none", [Int]())).sink(world.sink("none"))
            }
        }
        #expect(throws: (any Error).self) { try simulation.replay("seed:1 \(text)") }
        #expect(throws: Never.self) { try simulation.replay("seed:1 instances:2,1") }
    }

    @Test func `in an operator that depends on the order of a set is found`() throws {
        let simulation = Simulation { world in
            Topology("set") {
                EventStream("transfers", from: world.source("transfers", Transfer.some(40)))
                    .keyed(by: \.account)
                    .scan(into: Set<Int>(), name: "ids") { ids, transfer -> [Int] in
                        ids.insert(transfer.id)
                        return Array(ids)
                    }
                    .sink(world.sink("ids"))
            }
        }
        // The order differs even between equal runs, so that the smallest need not fail again.
        #expect(try failure(of: simulation).events <= 5)
    }
}
