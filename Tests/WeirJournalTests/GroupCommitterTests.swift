import Synchronization
import Testing
import WeirJournal

/// What completions report, in the order in which they run.
private final class Log: Sendable {
    private let entries = Mutex<[Result<Range<UInt64>, StorageError>]>([])
    private let states = Mutex<[StorageError.Code?]>([])

    func add(_ entry: Result<Range<UInt64>, StorageError>) { entries.withLock { $0.append(entry) } }
    func note(_ error: StorageError?) { states.withLock { $0.append(error?.code) } }

    var results: [Result<Range<UInt64>, StorageError>] { entries.withLock { $0 } }
    var positions: [UInt64] { results.flatMap { (try? $0.get()).map(Array.init) ?? [] } }
    var blocked: [StorageError.Code?] { states.withLock { $0 } }
}

private func group(_ numbers: Range<UInt64>) -> RecordGroup {
    var group = RecordGroup()
    for number in numbers { payload(number).withUnsafeBytes { group.append($0) } }
    return group
}

@Suite struct `A group committer` {
    private let files = SimulatedFileSystem()
    private let log = Log()

    private func makeCommitter(
        _ journal: Journal, _ options: GroupCommitter.Options = .init()
    ) throws -> GroupCommitter {
        try GroupCommitter(journal, options: options, mode: .manual) { [log] in log.note($0) }
    }

    private func submit(_ committer: GroupCommitter, _ numbers: Range<UInt64>) -> Bool {
        committer.trySubmit(group(numbers)) { [log] in log.add($0) }
    }

    @Test func `makes all that waits durable by one synchronization`() throws {
        let journal = try openJournal(files)
        let committer = try makeCommitter(journal)
        try journal.append([])
        try journal.commit()
        let before = files.operationCount(.synchronize)
        for start in stride(from: UInt64(1), to: 31, by: 3) {
            #expect(submit(committer, start..<(start + 3)))
        }
        #expect(log.results.isEmpty)
        #expect(committer.step())
        #expect(log.positions == Array(1..<31))
        #expect(files.operationCount(.synchronize) <= before + 2)
        #expect(!committer.step())
        #expect(committer.pendingBytes == 0)
    }

    @Test func `acknowledges nothing on a full disk and goes on when there is room`() throws {
        let journal = try openJournal(files)
        let committer = try makeCommitter(journal)
        #expect(submit(committer, 0..<5))
        committer.step()
        files.setCapacity(files.usedBytes)
        var number: UInt64 = 5
        while log.blocked.isEmpty {
            #expect(submit(committer, number..<(number + 5)))
            committer.step()
            number += 5
        }
        #expect(log.blocked == [.noSpace])
        #expect(log.positions == Array(0..<(number - 5)))
        #expect(submit(committer, number..<(number + 1)))
        for _ in 0..<3 { #expect(committer.step()) }
        #expect(log.positions == Array(0..<(number - 5)))
        files.setCapacity(nil)
        while committer.step() {}
        #expect(log.blocked == [.noSpace, nil])
        #expect(log.positions == Array(0..<(number + 1)))
        #expect(try journal.payloads() == (0...number).map { payload($0) })
    }

    @Test func `writes again what a failed synchronization may have lost`() throws {
        let journal = try openJournal(files)
        let committer = try makeCommitter(journal)
        for round in UInt64(0)..<20 {
            files.fail(.synchronize, with: .io)
            #expect(submit(committer, (round * 2)..<(round * 2 + 2)))
            #expect(committer.step())
            #expect(log.positions.count == Int(round) * 2)
            committer.step()
            #expect(log.positions.count == Int(round) * 2 + 2)
            let copy = files.fork()
            copy.crash(seed: round)
            #expect(
                try openJournal(copy).payloads() == (0..<(round * 2 + 2)).map { payload($0) })
        }
    }

    @Test func `refuses what exceeds its bound and calls back when there is room`() throws {
        let journal = try openJournal(files)
        let committer = try makeCommitter(journal, .init(maximumPendingBytes: 1000))
        var number: UInt64 = 0
        while submit(committer, number..<(number + 1)) { number += 1 }
        #expect(number > 2)
        let counter = Counter()
        committer.whenSpace(for: 200) { counter.increment() }
        #expect(counter.value == 0)
        committer.step()
        #expect(counter.value == 1)
        committer.whenSpace(for: 200) { counter.increment() }
        #expect(counter.value == 2)
        #expect(submit(committer, number..<(number + 1)))
    }

    @Test func `fails a record that no journal takes and commits the others`() throws {
        var options = small
        options.maximumRecordBytes = 200
        let journal = try openJournal(files, options)
        let committer = try makeCommitter(journal)
        #expect(submit(committer, 0..<1))
        let large = RecordGroup([UInt8](repeating: 0, count: 201))
        let isTaken = committer.trySubmit(large) { [log] in log.add($0) }
        #expect(isTaken)
        #expect(submit(committer, 1..<2))
        committer.step()
        #expect(log.positions.sorted() == [0, 1])
        #expect(log.results.contains { (try? $0.get()) == nil })
    }

    @Test func `commits more than one buffer of the journal holds`() throws {
        var options = small
        options.maximumRecordBytes = 200
        options.maximumPendingBytes = 4500
        let journal = try openJournal(files, options)
        let committer = try makeCommitter(journal)
        #expect(submit(committer, 0..<200))
        while committer.step() {}
        #expect(log.positions == Array(0..<200))
    }

    @Test func `waits for retention when the journal is at its bound`() throws {
        var options = small
        options.maximumBytes = 6144
        let journal = try openJournal(files, options)
        let committer = try makeCommitter(journal)
        var number: UInt64 = 0
        while log.blocked.isEmpty {
            #expect(submit(committer, number..<(number + 3)))
            committer.step()
            number += 3
        }
        #expect(log.blocked == [.full])
        try journal.removeSegments(before: journal.endPosition)
        committer.step()
        #expect(log.positions == Array(0..<number))
        #expect(log.blocked == [.full, nil])
    }

    @Test func `commits the rest when it is closed, or says that it could not`() throws {
        let journal = try openJournal(files)
        var committer = try makeCommitter(journal)
        #expect(submit(committer, 0..<3))
        committer.close()
        #expect(log.positions == [0, 1, 2])
        #expect(submit(committer, 3..<4))
        #expect(log.results.count == 2)
        committer = try makeCommitter(journal)
        files.fail(.write, with: .io, times: 100)
        #expect(submit(committer, 3..<4))
        committer.close()
        #expect(log.results.count == 3)
        #expect(log.positions == [0, 1, 2])
        files.clearFaults()
        #expect(try journal.append([]) == 3)
    }

    @Test func `acknowledges only what survives a crash at every operation`() throws {
        for point in 0..<150 {
            let files = SimulatedFileSystem(seed: UInt64(point))
            let log = Log()
            let journal = try openJournal(files)
            let committer = try GroupCommitter(journal, mode: .manual)
            files.crashAfter(operations: point)
            for number in UInt64(0)..<100 {
                _ = committer.trySubmit(group(number..<(number + 1))) { log.add($0) }
                if number % 3 == 0 { committer.step() }
            }
            files.crash(seed: UInt64(point))
            let found = try openJournal(files).payloads()
            #expect(found.count >= log.positions.count)
            #expect(found == (0..<UInt64(found.count)).map { payload($0) })
            #expect(log.positions == Array(0..<UInt64(log.positions.count)))
        }
    }

    @Test func `serves many threads on the disk of the machine`() async throws {
        let directory = try TemporaryDirectory()
        let journal = try Journal.open(directory: directory.path + "/j")
        let committer = try GroupCommitter(
            journal, options: .init(maximumPendingBytes: 10_000))
        let positions = try await withThrowingTaskGroup(of: [UInt64].self) { tasks in
            for task in UInt64(0)..<8 {
                tasks.addTask {
                    var positions: [UInt64] = []
                    for number in UInt64(0)..<50 {
                        let first = task * 1000 + number
                        positions += Array(try await committer.submit(group(first..<(first + 3))))
                    }
                    return positions
                }
            }
            return try await tasks.reduce(into: []) { $0 += $1 }
        }
        #expect(positions.sorted() == Array(0..<1200))
        committer.close()
        #expect(try journal.payloads().count == 1200)
        journal.close()
    }
}

private final class Counter: Sendable {
    private let count = Atomic(0)
    var value: Int { count.load(ordering: .relaxed) }
    func increment() { count.add(1, ordering: .relaxed) }
}
