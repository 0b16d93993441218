import Testing
import WeirCore
import WeirTesting

struct Transfer: Codable, Sendable, Equatable {
    var id: Int
    var account: Int
    var amount: Int

    static func some(_ count: Int, accounts: Int = 3) -> [Transfer] {
        (1...count).map { Transfer(id: $0, account: $0 % accounts, amount: $0) }
    }
}

struct Refused: Error {}

@Suite struct `A simulation of a sound topology` {
    /// A table of balances behind a handler that may throw.
    static let ledger = Simulation { world in
        Topology("ledger") {
            EventStream("transfers", from: world.source("transfers", Transfer.some(20)))
                .map { transfer throws in
                    if transfer.id < 0 { throw Refused() }
                    return transfer
                }
                .keyed(by: \.account)
                .reduce(into: 0, name: "balances") { balance, transfer in
                    balance += transfer.amount
                }
                .sink(world.sink("balances"))
        }
    }

    @Test func `passes a thousand seeds`() throws {
        let report = try Self.ledger.run(seeds: 0..<1_000)
        #expect(report.seeds == 1_000)
        #expect(report.crashes > 500)
        #expect(report.faults > 300)
    }

    @Test func `does the same for the same seed`() throws {
        for seed in 0..<20 as Range<UInt64> {
            let first = try Self.ledger.run(seed: seed)
            let second = try Self.ledger.run(seed: seed)
            #expect(first.trace == second.trace)
        }
    }
}

@Suite struct `A simulation of a source with few positions` {
    /// Each position stands for more events than a batch has.
    private static let parcels = Simulation { world in
        let source = Source<Int>("parcels") { inlet in
            var sent = inlet.position.map { Int($0.offset) } ?? 0
            while sent < 6_000 {
                let next = sent + 2_000
                try await inlet.send(
                    Batch(ContiguousArray(sent..<next)),
                    position: SourcePosition(offset: Int64(next)))
                sent = next
            }
        }
        return Topology("parcels") {
            EventStream("in", from: source)
                .keyed { $0 % 3 }
                .reduce(into: 0, name: "counts") { count, _ in count += 1 }
                .filter { $0.value % 1_000 == 0 }
                .sink(world.sink("counts", order: .perKey { $0.key }))
        }
    }

    @Test func `takes no checkpoint between them`() throws {
        let report = try Self.parcels.run(seeds: 0..<40)
        #expect(report.crashes > 10)
    }
}

@Suite struct `A simulation of merged and parallel stages` {
    /// Two inputs, a merge, windows over it, and totals of parallel instances.
    private static let shop = Simulation { world in
        Topology("shop") {
            let first = EventStream("first", from: world.source("first", Transfer.some(20)))
            let second = EventStream("second", from: world.source("second", Transfer.some(15)))
            let all = first.merge(second)
            all.keyed(by: \.account, parallelism: 2)
                .reduce(into: 0, name: "counts") { count, _ in count += 1 }
                .sink(world.sink("counts", order: .perKey { $0.key }))
            all.keyed(by: \.account).reduce(into: 0, name: "more") { count, _ in count += 1 }
                .sink(world.sink("more", order: .perKey { $0.key }))
            all.map { transfer throws in
                if transfer.id < 0 { throw Refused() }
                return transfer.id
            }
            .sink(world.sink("ids", .atLeastOnce))
        }
    }

    @Test func `passes two hundred seeds`() throws {
        let report = try Self.shop.run(seeds: 0..<200)
        #expect(report.crashes > 100)
    }

    @Test func `does the same for the same seed`() throws {
        for seed in 0..<20 as Range<UInt64> {
            for instances in [1...1, 1...5] {
                let shop = Self.shop.parallelism(instances)
                let (once, again) = (try shop.run(seed: seed), try shop.run(seed: seed))
                #expect(once.trace == again.trace, "seed \(seed), instances \(instances)")
            }
        }
    }
}

@Suite struct `A transactional file on a disk that loses power` {
    private func ledger(_ events: Int) -> Simulation {
        Simulation { world in
            let path = world.file("balances.jsonl")
            return Topology("ledger") {
                EventStream("transfers", from: world.source("transfers", Transfer.some(events)))
                    .keyed(by: \.account)
                    .reduce(into: 0, name: "balances") { $0 += $1.amount }
                    .sink(.transactionalJSONLines(toFile: path))
            }
        }
    }

    @Test func `has each line once after ten thousand crash points`() throws {
        var crashes = 0
        for seed in 1...5 as ClosedRange<UInt64> {
            crashes += try ledger(6).checkpoints(upTo: 3)
                .crashEverywhere(seed: seed, losses: 0..<14).crashes
        }
        #expect(crashes >= 10_000)
    }

    @Test func `has each line once whatever fails`() throws {
        try ledger(20).diskErrors(upTo: 3).run(seeds: 0..<300)
    }

    @Test(
        arguments: [
            "seed:106 order:106 batch:512 uneven in:transfers=19 1:c1 1:y14 2:x2~555522 3:c1 "
                + "3:c3 3:d5*1@1 3:d5*1@10",
            "seed:11 order:0 batch:1 uneven 1:c12 1:c34 1:d3*1@10 1:y66 2:c17 2:y42~292841",
        ])
    func `has each line once in runs that have failed before`(_ text: String) throws {
        try ledger(20).replay(text)
    }
}
