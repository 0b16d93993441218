import Testing
import WeirJournal

/// A writer that knows what it was promised.
private struct Workload {
    var submitted: UInt64 = 0
    var durable: UInt64 = 0
    var removed: UInt64 = 0

    /// Commits of one to nine records, and retention now and then.
    mutating func run(
        _ journal: Journal, commits: Int, seed: UInt64
    ) throws {
        var random = SimulatedRandom(seed: seed)
        for commit in 0..<commits {
            for _ in 0...random.below(9) {
                try journal.append(longPayloads[Int(submitted)])
                submitted += 1
            }
            durable = try journal.commit()
            if commit % 7 == 6, durable > 30 {
                removed = durable - 30
                try journal.removeSegments(before: removed)
            }
        }
    }

    /// What is durable is there, what is there was submitted, and it can be written on.
    func check(_ files: SimulatedFileSystem, _ note: Comment) throws {
        let journal = try openJournal(files)
        let first = journal.firstPosition
        let end = journal.endPosition
        #expect(first <= removed && durable <= end && end <= submitted, note)
        try journal.append(longPayloads[Int(end)])
        try journal.commit()
        #expect(try holds(journal, first..<(end + 1), longPayloads), note)
        journal.close()
        files.crash(seed: 5)
        #expect(try holds(try openJournal(files), first..<(end + 1), longPayloads), note)
    }
}

@Suite struct `A journal on a disk that crashes` {
    @Test(arguments: 0..<4)
    func `has all that was committed after a crash at every operation`(part: Int) throws {
        let seed = UInt64(part)
        var total = 0
        // A run without a crash tells how many operations there are.
        do {
            let files = SimulatedFileSystem(seed: seed)
            var workload = Workload()
            try workload.run(try openJournal(files), commits: 40, seed: seed)
            total = files.operationCount
        }
        // With the four parts at least 10,000 crashes.
        #expect(total * 14 >= 2500)
        for point in 0..<total {
            let files = SimulatedFileSystem(seed: seed)
            files.crashAfter(operations: point)
            var workload = Workload()
            do {
                try workload.run(try openJournal(files), commits: 40, seed: seed)
            } catch let error as StorageError {
                #expect(error.code == .crashed)
            }
            for crash in UInt64(0)..<14 {
                let copy = files.fork()
                copy.crash(seed: crash &* 1000 &+ UInt64(point))
                try workload.check(copy, "seed \(seed), operation \(point), crash \(crash)")
            }
        }
    }

    @Test func `recovers from crashes while it recovers`() throws {
        for seed in UInt64(0)..<150 {
            let files = SimulatedFileSystem(seed: seed)
            var workload = Workload()
            var random = SimulatedRandom(seed: seed)
            for _ in 0..<12 {
                files.crashAfter(operations: random.below(60))
                do {
                    let journal = try openJournal(files)
                    #expect(journal.endPosition >= workload.durable, "seed \(seed)")
                    workload.submitted = journal.endPosition
                    workload.durable = journal.endPosition
                    try workload.run(journal, commits: 20, seed: random.next())
                } catch let error as StorageError {
                    #expect(error.code == .crashed, "seed \(seed)")
                }
                files.crash(seed: random.next())
            }
            try workload.check(files, "seed \(seed)")
        }
    }

    @Test func `keeps the process's records when only the process dies`() throws {
        let files = SimulatedFileSystem()
        let journal = try openJournal(files)
        try journal.append([1])
        files.fail(.synchronize, with: .io, times: 1)
        #expect(throws: StorageError.self) {
            try journal.commit()
            try journal.append([2])
            files.fail(.synchronize, with: .io)
            try journal.commit()
        }
        files.kill()
        let again = try openJournal(files)
        let seen = try again.payloads()
        again.close()
        files.crash(seed: 3)
        #expect(try openJournal(files).payloads().starts(with: seen))
    }
}

@Suite struct `A journal on a disk that fails` {
    static let kinds: [SimulatedFileSystem.Kind] = [
        .open, .write, .allocate, .synchronize, .syncDirectory, .rename, .remove, .truncate,
        .exists,
    ]

    @Test(arguments: kinds)
    func `loses nothing by one failed call and goes on`(kind: SimulatedFileSystem.Kind) throws {
        for code in [StorageError.Code.io, .noSpace] {
            for skipping in 0..<30 {
                let files = SimulatedFileSystem(seed: UInt64(skipping))
                let journal = try openJournal(files)
                files.fail(kind, with: code, skipping: skipping)
                var durable: UInt64 = 0
                var number: UInt64 = 0
                var failures = 0
                while number < 120 {
                    for _ in 0..<3 {
                        try journal.append(shortPayloads[Int(number)])
                        number += 1
                    }
                    do throws(StorageError) {
                        durable = try journal.commit()
                        if number == 90 { try journal.removeSegments(before: 40) }
                    } catch {
                        #expect(error.code == code)
                        failures += 1
                    }
                    #expect(journal.endPosition == durable)
                    if durable == number, number % 30 != 0 { continue }
                    let crashed = files.fork()
                    crashed.crash(seed: number)
                    let after = try openJournal(crashed)
                    #expect(after.endPosition >= durable)
                    #expect(
                        try holds(
                            after, after.firstPosition..<after.endPosition, shortPayloads),
                        "\(kind) \(code) \(skipping) \(number)")
                }
                #expect(failures <= 1)
                files.clearFaults()
                try journal.commit()
                #expect(try holds(journal, journal.firstPosition..<120, shortPayloads))
            }
        }
    }

    @Test func `waits for room on a full disk and then writes what it kept`() throws {
        let files = SimulatedFileSystem(capacity: 6000)
        let journal = try openJournal(files)
        var number: UInt64 = 0
        let error = #expect(throws: StorageError.self) {
            while true {
                try journal.append(payload(number))
                number += 1
                try journal.commit()
            }
        }
        #expect(error?.code == .noSpace)
        #expect(throws: StorageError.self) { try journal.commit() }
        #expect(try journal.payloads() == (0..<(number - 1)).map { payload($0) })
        files.setCapacity(nil)
        try journal.commit()
        #expect(try journal.payloads() == (0..<number).map { payload($0) })
    }

    @Test func `makes a smaller segment on a disk that is nearly full`() throws {
        let files = SimulatedFileSystem(capacity: 700)
        let journal = try openJournal(files)
        try journal.append([1])
        try journal.commit()
        #expect(journal.byteSize <= 700)
    }
}
