/// Sizes and bounds of a journal.
package struct JournalOptions: Sendable {
    /// Bytes that a segment is preallocated with; at most 4 GiB.
    ///
    /// Default: 64 MiB.
    package var segmentBytes: Int

    /// Bytes of all segments past which ``Journal/append(_:kind:)`` throws `.full`.
    ///
    /// Default: 64 GiB.
    package var maximumBytes: Int

    /// Bytes of the largest payload.
    ///
    /// Default: 16 MiB.
    package var maximumRecordBytes: Int

    /// Bytes appended and not committed past which append throws `.uncommitted`.
    ///
    /// Default: 32 MiB.
    package var maximumPendingBytes: Int

    /// Bytes that a reader reads at once.
    ///
    /// Default: 1 MiB.
    package var readAheadBytes: Int

    /// A number of the application's that a journal is opened with ever after.
    ///
    /// Default: 0.
    package var format: UInt64

    /// The position of the first record of a new journal.
    ///
    /// Default: 0.
    package var firstPosition: UInt64

    /// Seals and opens records.
    ///
    /// Default: none.
    package var cipher: (any RecordCipher)?

    /// Makes the identities of segments repeatable, for simulations without a cipher.
    ///
    /// Default: none, identities are random.
    package var identitySeed: UInt64?

    package init(
        segmentBytes: Int = 64 << 20, maximumBytes: Int = 64 << 30,
        maximumRecordBytes: Int = 16 << 20, maximumPendingBytes: Int = 32 << 20,
        readAheadBytes: Int = 1 << 20, format: UInt64 = 0, firstPosition: UInt64 = 0,
        cipher: (any RecordCipher)? = nil, identitySeed: UInt64? = nil
    ) {
        self.segmentBytes = min(max(segmentBytes, 512), Int(UInt32.max) & ~7)
        self.maximumBytes = maximumBytes
        self.maximumRecordBytes = min(maximumRecordBytes, 1 << 30)
        self.maximumPendingBytes = min(
            max(maximumPendingBytes, self.maximumRecordBytes + 4096), 2 << 30)
        self.readAheadBytes = readAheadBytes
        self.format = format
        self.firstPosition = min(firstPosition, 1 << 61)
        self.cipher = cipher
        self.identitySeed = identitySeed
    }
}

/// What opening a journal cut off: a commit that had not become durable.
package struct JournalCut: Sendable, Hashable {
    /// The file name of the last segment.
    package var segment: String

    /// Where in the segment the first record that is not whole began.
    package var offset: Int

    /// Whole records of the same commit behind it, which went with it.
    package var records: Int
}
