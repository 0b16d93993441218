/// Arbitrary bytes as the last segment of a journal: opening reads whole valid records or says
/// what is wrong, and what was opened can be written on and read again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let input = Array(UnsafeBufferPointer(start: bytes, count: count))
    // The first byte decides how much of the input is made to look right, so that the fuzzer
    // gets past the checksums.
    let content = input[0] & 1 == 0 ? Array(input.dropFirst()) : repaired(Array(input.dropFirst()))
    let files = SimulatedFileSystem()
    let path = "/j/0000000000000000.wj"
    do throws(StorageError) {
        try files.createDirectory("/j")
        let file = try files.open(path, .createNew)
        try content.withBytes { bytes throws(StorageError) in try file.write(bytes, at: 0) }
        try file.synchronize()
        try files.syncDirectory("/j")
        var options = JournalOptions(segmentBytes: 1024, readAheadBytes: 4096)
        options.format = 0
        let journal = try Journal.open(directory: "/j", fileSystem: files, options: options)
        let first = try drain(journal)
        precondition(journal.endPosition - journal.firstPosition == UInt64(first))
        for _ in 0..<5 {
            _ = try content.withBytes { bytes throws(StorageError) in try journal.append(bytes) }
        }
        try journal.commit()
        let written = try drain(journal)
        precondition(written == first + 5, "records are lost or appear")
        journal.close()
        files.crash(seed: UInt64(count))
        let again = try Journal.open(directory: "/j", fileSystem: files, options: options)
        let found = try drain(again)
        precondition(found == first + 5, "records are lost by a crash")
    } catch {
        _ = error.description
    }
    return 0
}

private func drain(_ journal: Journal) throws(StorageError) -> Int {
    let reader = try journal.reader(from: journal.firstPosition)
    var count = 0
    var sum = 0
    while let record = try reader.next() {
        count += 1
        for byte in record.payload { sum &+= Int(byte) }
    }
    return count
}

/// Makes the header right, and the checksums of what looks like records.
private func repaired(_ input: [UInt8]) -> [UInt8] {
    let header = SegmentHeader(format: 0, first: 0, identity: .init(low: 1, high: 2))
    var bytes = header.encoded + input
    let seed = header.checksum
    var offset = SegmentHeader.size
    bytes.withUnsafeMutableBytes { bytes in
        while offset + RecordHeader.size <= bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            // Every eighth record stays as damaged as it is.
            let record = RecordHeader(rest)
            guard record.stride <= rest.count else { break }
            if rest[20] % 8 != 0 {
                bytes[offset + 21] |= RecordHeader.present
                bytes[offset + 21] &= ~RecordHeader.sealed
                bytes.storeWord32(
                    RecordHeader.checksum(of: rest, length: record.length, seed: seed),
                    at: offset + 4)
            }
            offset += record.stride
        }
    }
    return bytes
}
