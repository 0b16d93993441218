import Logging
import Synchronization
import Testing
import WeirJournal

@testable import WeirCore

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A producer's connection that remembers what was acknowledged.
private final class Client: Sendable {
    let acknowledged = Mutex<UInt64>(0)
    let isReplaced = Mutex(false)

    func connect(_ journal: IngestJournal, as name: String = "p") -> (
        session: ProducerSession, opening: ProducerOpening?
    ) {
        let session = ProducerSession(origin: "here") { sequence in
            self.acknowledged.withLock { $0 = max($0, sequence) }
        } replace: { _ in
            self.isReplaced.withLock { $0 = true }
        }
        return (session, journal.registry.open(name, session))
    }
}

extension IngestRecord {
    /// Messages whose text is their number.
    fileprivate init(_ sequences: ClosedRange<UInt64>, from producer: String = "p") {
        self.init(origin: "here", producer: producer, firstSequence: sequences.lowerBound)
        for sequence in sequences {
            Array("\(sequence)".utf8).withUnsafeBytes { append($0) }
        }
    }
}

private func numbers(_ records: [IngestJournal.Stored]) throws -> [UInt64] {
    var numbers: [UInt64] = []
    for record in records {
        try record.bytes.withUnsafeBytes { bytes in
            try IngestRecordContents(bytes).forEachMessage { _, message in
                numbers.append(UInt64(String(decoding: message, as: UTF8.self)) ?? 0)
            }
        }
    }
    return numbers
}

private func open(
    _ disk: SimulatedFileSystem, from position: UInt64? = nil, _ limits: IngestLimits = .small
) async throws -> IngestJournal {
    let journal = IngestJournal(
        directory: "/ingest", stage: "in", files: disk, options: limits, logger: quiet,
        isInline: true)
    let start = position.map { SourcePosition(offset: Int64($0)) }
    do {
        try await journal.open(from: start)
        try await journal.begin(from: start)
    } catch {
        await journal.close()
        throw error
    }
    return journal
}

extension IngestLimits {
    fileprivate static var small: IngestLimits {
        var limits = IngestLimits()
        limits.segmentBytes = 1_024
        return limits
    }
}

@Suite struct `An ingest journal` {
    private struct Outcome {
        var operations = 0
        var messages: [UInt64] = []
    }

    /// Sends messages with checkpoints and retention on the way; crashes once, and goes on.
    private func run(_ count: UInt64, crashAfter crash: Int?, seed: UInt64) async throws -> Outcome
    {
        let disk = SimulatedFileSystem(seed: seed)
        if let crash { disk.crashAfter(operations: crash) }
        var random = SplitMix64(seed: seed)
        var checkpoint: (position: UInt64?, messages: [UInt64]) = (nil, [])
        let client = Client()
        while true {
            guard let journal = try? await open(disk, from: checkpoint.position) else {
                disk.crash(seed: seed)
                continue
            }
            var messages = checkpoint.messages
            var position = checkpoint.position ?? 0
            func take(_ records: [IngestJournal.Stored]) throws {
                messages += try numbers(records)
                position = records.last.map { $0.position + 1 } ?? position
            }
            do {
                while true {
                    let records = try await journal.nextReplayed(byteCount: 100)
                    if records.isEmpty { break }
                    try take(records)
                }
            } catch {
                disk.crash(seed: seed)
                await journal.close()
                continue
            }
            let (session, opening) = client.connect(journal)
            let durable = try #require(opening).durable
            // All that was acknowledged is there, and the table agrees with the journal.
            #expect(durable >= client.acknowledged.withLock { $0 })
            #expect(messages == Array(1..<(durable + 1)))
            var next = durable + 1
            while next <= count, journal.trouble == nil {
                let end = min(count, next + random.next() % 7)
                #expect(journal.submit(IngestRecord(next...end), by: session))
                if journal.trouble != nil { break }
                try take(await journal.next())
                next = end + 1
                if random.next() % 4 == 0 {
                    checkpoint = (position, messages)
                    journal.retain(from: position)
                }
            }
            await journal.close()
            if next > count { return Outcome(operations: disk.operationCount, messages: messages) }
            disk.crash(seed: seed &+ 1)
        }
    }

    @Test func `delivers each message once whenever the machine crashes`() async throws {
        let all = Array(1...UInt64(150))
        let whole = try await run(150, crashAfter: nil, seed: 1)
        #expect(whole.messages == all)
        for operation in 1...whole.operations {
            for seed in 1...3 as ClosedRange<UInt64> {
                let outcome = try await run(150, crashAfter: operation, seed: seed)
                #expect(outcome.messages == all, "crash at \(operation), seed \(seed)")
            }
        }
    }

    @Test(arguments: [
        SimulatedFileSystem.Kind.write, .synchronize, .allocate, .rename, .syncDirectory,
    ])
    func `acknowledges nothing while the disk fails, and goes on afterwards`(
        _ kind: SimulatedFileSystem.Kind
    ) async throws {
        let disk = SimulatedFileSystem()
        let journal = try await open(disk)
        let client = Client()
        let (session, _) = client.connect(journal)
        let flow = Mutex<[Bool]>([])
        journal.onFlow { isOpen in flow.withLock { $0.append(isOpen) } }
        disk.fail(kind, with: .io, times: 3)
        #expect(journal.submit(IngestRecord(1...2), by: session))
        #expect(journal.submit(IngestRecord(3...3), by: session))
        #expect(client.acknowledged.withLock { $0 } == 0)
        #expect(!journal.isOpen)
        #expect(flow.withLock { $0 } == [false])
        journal.retry()
        journal.retry()
        #expect(client.acknowledged.withLock { $0 } == 0)
        journal.retry()
        #expect(client.acknowledged.withLock { $0 } == 3)
        #expect(try numbers(await journal.next()) == [1, 2, 3])
        #expect(flow.withLock { $0 } == [false, true])
        await journal.close()
        // The same after a restart: once each.
        let again = try await open(disk)
        #expect(try numbers(try await again.nextReplayed()) == [1, 2, 3])
        await again.close()
    }

    @Test func `is full at its bound in memory, and opens at half of it`() async throws {
        var limits = IngestLimits()
        limits.pendingBytes = 1_000
        let journal = try await open(SimulatedFileSystem(), from: nil, limits)
        var sizes: [Int] = []
        while journal.isOpen {
            var record = IngestRecord(origin: "here")
            [UInt8](repeating: 7, count: 100).withUnsafeBytes { record.append($0) }
            sizes.append(record.bytes.count)
            #expect(journal.submit(record))
        }
        #expect(sizes.reduce(0, +) >= 1_000)
        let records = await journal.next()
        #expect(records.count == sizes.count)
        for record in records {
            #expect(!journal.isOpen || sizes.reduce(0, +) <= 500)
            journal.handedOn(byteCount: record.bytes.count)
            sizes.removeLast()
        }
        #expect(journal.isOpen)
        await journal.close()
    }

    @Test func `counts once what its source has taken and not handed on`() async throws {
        var limits = IngestLimits()
        limits.pendingBytes = 1_000
        let journal = try await open(SimulatedFileSystem(), from: nil, limits)
        var count = 0
        while journal.isOpen {
            count += 1
            #expect(journal.submit(IngestRecord(UInt64(count)...UInt64(count))))
        }
        #expect(await journal.next().count == count)
        // The source has failed with them in hand, and begins anew.
        try await journal.begin(from: nil)
        #expect(journal.isOpen)
        #expect(try await journal.nextReplayed().count == count)
        #expect(journal.submit(IngestRecord(1...1)))
        #expect(await journal.next().count == 1)
        await journal.close()
    }

    @Test func `is full at its bound on disk until a checkpoint frees some`() async throws {
        var limits = IngestLimits()
        limits.segmentBytes = 4_096
        limits.journalBytes = 16_384
        let journal = try await open(SimulatedFileSystem(), from: nil, limits)
        let client = Client()
        let (session, _) = client.connect(journal)
        var next: UInt64 = 1
        while journal.isOpen {
            #expect(journal.submit(IngestRecord(next...(next + 49)), by: session))
            next += 50
        }
        #expect(journal.trouble?.code == .full)
        let acknowledged = client.acknowledged.withLock { $0 }
        #expect(acknowledged == next - 51)
        let records = await journal.next()
        let end = try #require(records.last?.position) + 1
        journal.retain(from: end)
        #expect(journal.isOpen)
        #expect(client.acknowledged.withLock { $0 } == next - 1)
        await journal.close()
    }

    @Test func `goes on behind a record that is larger than its bound`() async throws {
        var limits = IngestLimits()
        limits.segmentBytes = 4_096
        limits.journalBytes = 16_384
        let journal = try await open(SimulatedFileSystem(), from: nil, limits)
        for _ in 0..<3 {
            var record = IngestRecord(origin: "here")
            [UInt8](repeating: 7, count: 40_000).withUnsafeBytes { record.append($0) }
            #expect(journal.submit(record))
            try #require(journal.isOpen)
            let stored = try #require(await journal.next().last)
            journal.retain(from: stored.position + 1)
        }
        await journal.close()
    }

    @Test func `has room for its producers when it is full`() async throws {
        var limits = IngestLimits()
        limits.segmentBytes = 4_096
        limits.journalBytes = 16_384
        limits.producers = 300_000
        let journal = try await open(SimulatedFileSystem(), from: nil, limits)
        let name = String(repeating: "p", count: 120)
        journal.registry.table.change { table in
            for number in 0..<limits.producers {
                table.restore("\(name)\(number)", upTo: 1, recordedAt: 0)
            }
        }
        while journal.isOpen {
            var record = IngestRecord(origin: "here")
            [UInt8](repeating: 7, count: 1_000).withUnsafeBytes { record.append($0) }
            #expect(journal.submit(record))
        }
        journal.retain(from: try #require(await journal.next().last?.position) + 1)
        #expect(journal.isOpen)
        await journal.close()
    }

    @Test func `remembers producers whose messages are long gone`() async throws {
        let disk = SimulatedFileSystem()
        var journal = try await open(disk)
        let old = Client()
        let (oldSession, _) = old.connect(journal, as: "old")
        #expect(journal.submit(IngestRecord(1...9, from: "old"), by: oldSession))
        let client = Client()
        let (session, _) = client.connect(journal)
        var end: UInt64 = 0
        for sequence in 1...200 as ClosedRange<UInt64> {
            #expect(journal.submit(IngestRecord(sequence...sequence), by: session))
            end = try #require(await journal.next().last).position + 1
            if sequence % 50 == 0 { journal.retain(from: end) }
        }
        await journal.close()
        journal = try await open(disk, from: end)
        #expect(try await journal.nextReplayed().isEmpty)
        #expect(old.connect(journal, as: "old").opening?.durable == 9)
        #expect(client.connect(journal).opening?.durable == 200)
        await journal.close()
    }

    @Test func `refuses a checkpoint whose records it does not have`() async throws {
        let disk = SimulatedFileSystem()
        let journal = try await open(disk)
        #expect(journal.submit(IngestRecord(1...1)))
        await journal.close()
        await #expect(throws: StoreError.self) { _ = try await open(disk, from: 5) }
    }

    @Test func `gives the newer of two connections the producer`() async throws {
        let journal = try await open(SimulatedFileSystem())
        let (older, newer) = (Client(), Client())
        let (olderSession, _) = older.connect(journal)
        #expect(journal.submit(IngestRecord(1...2), by: olderSession))
        let (newerSession, opening) = newer.connect(journal)
        #expect(opening?.durable == 2)
        #expect(older.isReplaced.withLock { $0 })
        #expect(!journal.submit(IngestRecord(3...3), by: olderSession))
        #expect(journal.submit(IngestRecord(3...3), by: newerSession))
        #expect(newer.acknowledged.withLock { $0 } == 3)
        #expect(older.acknowledged.withLock { $0 } == 2)
        await journal.close()
    }
}

@Suite struct `The table of producers` {
    private func session() -> ProducerSession {
        ProducerSession(origin: "here", acknowledge: { _ in }, replace: { _ in })
    }

    @Test func `forgets the longest idle producer, never a connected one`() {
        var table = ProducerTable(limit: 3)
        var sessions: [String: ProducerSession] = [:]
        for name in ["a", "b", "c"] {
            let session = session()
            sessions[name] = session
            #expect(table.open(name, session)?.accepted == 0)
            let isNewest = table.accept(name, upTo: 5, session)
            #expect(isNewest)
            _ = table.acknowledge(name, upTo: 5, recordedAt: 0)
        }
        #expect(table.open("d", session()) == nil)
        for name in ["b", "a"] {
            if let session = sessions[name] { table.close(name, session) }
        }
        #expect(table.open("d", session())?.accepted == 0)
        #expect(table.forgotten == 1)
        #expect(table.open("a", session())?.accepted == 5)
        #expect(table.open("b", session()) == nil)
    }

    @Test func `forgets a producer that never sent anything`() {
        var table = ProducerTable(limit: 10)
        let session = session()
        _ = table.open("a", session)
        table.close("a", session)
        #expect(table.count == 0)
    }

    @Test func `comes back from its bytes`() throws {
        var table = ProducerTable(limit: 10)
        for (index, name) in ["x", "y", "z"].enumerated() {
            table.restore(name, upTo: UInt64(index + 1), recordedAt: 3)
        }
        var other = ProducerTable(limit: 2)
        try table.encoded.withUnsafeBytes { try other.restore($0, at: 9) }
        // The bound holds: the longest idle one is left out.
        #expect(other.open("z", session())?.durable == 3)
        #expect(other.open("y", session())?.durable == 2)
        #expect(other.count == 2)
        #expect(!other.needsRecord(before: 9))
        #expect(other.needsRecord(before: 10))
    }

    @Test func `refuses bytes that are cut off`() {
        var table = ProducerTable(limit: 10)
        table.restore("x", upTo: 1, recordedAt: 0)
        let bytes = table.encoded
        for count in 0..<bytes.count {
            #expect(throws: IngestFormatError.self) {
                try Array(bytes.prefix(count)).withUnsafeBytes { part in
                    try table.restore(part, at: 0)
                }
            }
        }
    }
}
