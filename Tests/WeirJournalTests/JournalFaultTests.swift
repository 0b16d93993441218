import Testing
import WeirJournal

@Suite struct `A journal on a disk whose calls fail now and then` {
    /// What the journal has to hold.
    private struct Model {
        /// All that was committed, from position 0 on.
        var committed: [[UInt8]] = []
        /// The records of each commit that has failed since: it may be found all the same.
        var failed: [[[UInt8]]] = []

        /// Compares a journal that has just been opened.
        mutating func take(over journal: Journal, _ context: String) throws {
            let payloads = try journal.payloads()
            let first = Int(journal.firstPosition)
            let end = Int(journal.endPosition)
            try #require(end >= committed.count, "\(context): lost \(committed.count - end)")
            try #require(payloads.count == end - first, "\(context)")
            let known = min(payloads.count, max(0, committed.count - first))
            try #require(
                Array(payloads[..<known]) == Array(committed[(committed.count - known)...]),
                "\(context)")
            let found = Array(payloads[known...])
            try #require(
                found.isEmpty || failed.contains { $0.starts(with: found) },
                "\(context): what was never written")
            committed += found
            failed = []
        }
    }

    private func live(_ disk: SimulatedFileSystem) throws -> Journal {
        // Opening may meet a fault that is still due.
        let journal = try? openJournal(disk)
        disk.clearFaults()
        return try journal ?? openJournal(disk)
    }

    private func run(_ seed: UInt64) throws {
        let disk = SimulatedFileSystem(seed: seed)
        var random = SimulatedRandom(seed: seed)
        var model = Model()
        let kinds = SimulatedFileSystem.Kind.allCases
        for life in 0..<6 {
            let journal = try live(disk)
            try model.take(over: journal, "seed \(seed), life \(life)")
            var pending: [[UInt8]] = []
            for _ in 0..<random.below(40) {
                switch random.below(8) {
                case 0:
                    disk.fail(
                        kinds[random.below(kinds.count)],
                        with: random.below(3) == 0 ? .noSpace : .io,
                        skipping: random.below(4), times: 1 + random.below(3))
                case 1:
                    let end = Int(journal.endPosition)
                    _ = try? journal.removeSegments(before: UInt64(random.below(end + 1)))
                default:
                    for _ in 0...random.below(3) {
                        let size = random.below(10) == 0 ? 3_000 : 120
                        let record = (0..<(8 + random.below(size))).map { _ in
                            UInt8(truncatingIfNeeded: random.next())
                        }
                        try journal.append(record)
                        pending.append(record)
                    }
                    do {
                        try journal.commit()
                        model.committed += pending
                        model.failed = []
                        pending = []
                    } catch {
                        model.failed.append(pending)
                        if random.below(2) == 0 {
                            journal.discardPending()
                            pending = []
                        }
                    }
                    try #require(Int(journal.endPosition) == model.committed.count)
                }
            }
            switch random.below(4) {
            case 0: journal.close()
            case 1: disk.kill()
            default: disk.crash(seed: random.next())
            }
        }
    }

    @Test(arguments: 0..<10) func `keeps what it has committed`(_ part: UInt64) throws {
        for seed in (part * 100)..<(part * 100 + 100) { try run(seed) }
    }
}
