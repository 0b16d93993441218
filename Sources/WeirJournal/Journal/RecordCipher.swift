/// Names a record for its cipher: no two records that are ever sealed have the same name.
package struct RecordName: Sendable, Hashable {
    /// The 16 random bytes of the segment's header, as two little-endian words.
    package var segment: SegmentIdentity

    /// The record's number in the journal.
    package var position: UInt64

    /// What the writer calls this kind of record.
    package var kind: UInt8

    /// The key that seals it.
    package var key: UInt16

    package init(segment: SegmentIdentity, position: UInt64, kind: UInt8, key: UInt16) {
        self.segment = segment
        self.position = position
        self.kind = kind
        self.key = key
    }
}

/// The random identity of a segment.
package struct SegmentIdentity: Sendable, Hashable {
    package var low: UInt64
    package var high: UInt64

    package init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }
}

/// Seals records before they are written and opens those that are read.
///
/// A journal with a cipher begins a new segment whenever it is opened and after each failed
/// write, so that a ``RecordName`` is never used for two contents.
package protocol RecordCipher: Sendable {
    /// Bytes by which a sealed record is longer than its plain text.
    var overhead: Int { get }

    /// The key that seals new records.
    var sealingKey: UInt16 { get }

    /// Seals `plain` into `sealed`, which has `overhead` more bytes.
    func seal(
        _ plain: UnsafeRawBufferPointer, into sealed: UnsafeMutableRawBufferPointer,
        name: RecordName
    ) throws(StorageError)

    /// Opens `sealed` into `plain`, which has `overhead` fewer bytes.
    ///
    /// Throws ``StorageError/Code/wrongKey(_:)`` when the key is missing or does not fit.
    func open(
        _ sealed: UnsafeRawBufferPointer, into plain: UnsafeMutableRawBufferPointer,
        name: RecordName
    ) throws(StorageError)
}
