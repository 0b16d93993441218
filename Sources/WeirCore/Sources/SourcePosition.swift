/// How far a source that can be read again has come: kept in checkpoints, given back at a restart.
///
/// What the numbers mean is the source's own business.
public struct SourcePosition: Sendable, Hashable, Codable {
    /// How far in what is read: a byte offset, a number of events, a record number.
    public var offset: Int64

    /// What is read when that can change, such as the identity of a file that is rotated; 0 where
    /// there is only one.
    public var identity: UInt64

    /// Creates a position.
    public init(offset: Int64, identity: UInt64 = 0) {
        self.offset = offset
        self.identity = identity
    }
}
