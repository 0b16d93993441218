/// Records that are submitted together, in one piece of memory.
package struct RecordGroup: Sendable {
    private(set) var bytes: [UInt8] = []
    private var ends: [Int] = []
    private var kinds: [UInt8] = []

    /// Bytes of the largest record.
    private(set) var largest = 0

    package init() {}

    /// A group of one record.
    package init(_ record: [UInt8], kind: UInt8 = 0) {
        bytes = record
        ends = [record.count]
        kinds = [kind]
        largest = record.count
    }

    /// Adds a record.
    package mutating func append(_ record: UnsafeRawBufferPointer, kind: UInt8 = 0) {
        bytes.append(contentsOf: record)
        ends.append(bytes.count)
        kinds.append(kind)
        largest = max(largest, record.count)
    }

    /// How many records there are.
    package var count: Int { ends.count }

    /// Bytes of the records, each with what a file adds to it.
    package var byteCount: Int { bytes.count + ends.count * (RecordHeader.size + 8) }

    /// Calls the body with one record.
    func with<Value>(
        _ index: Int, _ body: (UnsafeRawBufferPointer, UInt8) throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        let range = (index == 0 ? 0 : ends[index - 1])..<ends[index]
        let kind = kinds[index]
        return try bytes.withBytes { bytes throws(StorageError) in
            try body(UnsafeRawBufferPointer(rebasing: bytes[range]), kind)
        }
    }
}
