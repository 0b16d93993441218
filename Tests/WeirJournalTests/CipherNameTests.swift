import Synchronization
import Testing
import WeirJournal

/// Seals by adding a byte, and notes under which name each content was sealed.
private final class NotingCipher: RecordCipher {
    private let contents = Mutex<[RecordName: [UInt8]]>([:])
    private let repeated = Mutex(0)

    var overhead: Int { 1 }
    var sealingKey: UInt16 { 5 }
    var conflicts: Int { repeated.withLock { $0 } }
    var count: Int { contents.withLock { $0.count } }

    func seal(
        _ plain: UnsafeRawBufferPointer, into sealed: UnsafeMutableRawBufferPointer,
        name: RecordName
    ) throws(StorageError) {
        let content = Array(plain)
        if contents.withLock({ $0.updateValue(content, forKey: name) }).map({ $0 != content })
            ?? false
        {
            repeated.withLock { $0 += 1 }
        }
        sealed.copyMemory(from: plain)
        sealed[plain.count] = 0xAA
    }

    func open(
        _ sealed: UnsafeRawBufferPointer, into plain: UnsafeMutableRawBufferPointer,
        name: RecordName
    ) throws(StorageError) {
        plain.copyMemory(from: UnsafeRawBufferPointer(rebasing: sealed.dropLast()))
    }
}

@Suite struct `A journal with a cipher` {
    @Test func `never seals two contents under one name, whatever fails`() throws {
        let cipher = NotingCipher()
        var options = small
        options.identitySeed = nil
        options.cipher = cipher
        let files = SimulatedFileSystem()
        var random = SimulatedRandom(seed: 1)
        var content: UInt64 = 0
        for round in 0..<100 {
            files.crashAfter(operations: 30 + random.below(200))
            let journal = try? openJournal(files, options)
            for kind in [SimulatedFileSystem.Kind.write, .synchronize, .rename] {
                files.fail(kind, with: .io, skipping: random.below(12))
            }
            for _ in 0..<12 {
                // Never the same content twice, also where a position is used again.
                for _ in 0..<3 {
                    _ = try? journal?.append(payload(content))
                    content += 1
                }
                _ = try? journal?.commit()
                if random.below(4) == 0 { journal?.discardPending() }
            }
            files.crash(seed: UInt64(round))
        }
        #expect(cipher.count > 500)
        #expect(cipher.conflicts == 0)
        _ = try openJournal(files, options).payloads()
    }
}
