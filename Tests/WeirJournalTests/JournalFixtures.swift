import Testing
import WeirJournal

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

extension Journal {
    @discardableResult
    func append(_ bytes: [UInt8], kind: UInt8 = 0) throws(StorageError) -> Position {
        try bytes.withUnsafeBytes { buffer -> Result<Position, StorageError> in
            do throws(StorageError) {
                return .success(try append(buffer, kind: kind))
            } catch {
                return .failure(error)
            }
        }.get()
    }

    /// All payloads from a position to the end of what is durable.
    func payloads(from position: Position? = nil) throws -> [[UInt8]] {
        let reader = try reader(from: position ?? firstPosition)
        var result: [[UInt8]] = []
        while let record = try reader.next() { result.append(Array(record.payload)) }
        return result
    }
}

/// Whether a journal holds exactly the payloads of some numbers.
func holds(_ journal: Journal, _ numbers: Range<UInt64>, _ expected: [[UInt8]]) throws -> Bool {
    guard journal.firstPosition == numbers.lowerBound, journal.endPosition == numbers.upperBound
    else { return false }
    let reader = try journal.reader(from: numbers.lowerBound)
    for number in numbers {
        guard let record = try reader.next(), record.position == number else { return false }
        let isEqual = expected[Int(number)].withUnsafeBytes { bytes in
            guard bytes.count == record.payload.count, let start = bytes.baseAddress,
                let found = record.payload.baseAddress
            else { return false }
            return memcmp(start, found, bytes.count) == 0
        }
        if !isEqual { return false }
    }
    return try reader.next() == nil
}

/// The payloads of the first numbers, made once.
let shortPayloads = (UInt64(0)..<400).map { payload($0) }
let longPayloads = (UInt64(0)..<2000).map { payload($0, longest: 200) }

/// A payload that tells its record's number, of a length that depends on it.
func payload(_ number: UInt64, longest: Int = 90) -> [UInt8] {
    var random = SimulatedRandom(seed: number)
    let count = random.below(longest)
    var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: random.next()), count: 8 + count)
    bytes.withUnsafeMutableBytes {
        $0.storeBytes(of: number.littleEndian, as: UInt64.self)
    }
    return bytes
}

let small = JournalOptions(
    segmentBytes: 2048, readAheadBytes: 4096, format: 7, identitySeed: 3)

func openJournal(
    _ files: SimulatedFileSystem, _ options: JournalOptions = small
) throws(StorageError) -> Journal {
    try Journal.open(directory: "/journal", fileSystem: files, options: options)
}
