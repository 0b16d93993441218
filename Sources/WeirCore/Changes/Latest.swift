/// The newest row of a key and its time.
@usableFromInline
struct LatestRow<Row: Sendable>: Sendable {
    @usableFromInline var row: Row?
    @usableFromInline var time = Int64.min

    @inlinable
    init() {}
}

extension LatestRow: Encodable where Row: Encodable {}
extension LatestRow: Decodable where Row: Decodable {}

extension KeyedStream {
    /// Keeps the newest event of each key: deduplication that keeps the last one, or a stream of
    /// upserts taken as a table.
    ///
    /// The newest is the one with the latest event time, and of equal times, or without event time,
    /// the last to come. To keep the first one, see ``distinct(ttl:name:file:line:)``.
    ///
    /// - Parameters:
    ///   - ttl: How long a key's row outlives its last event. Default: for ever.
    ///   - name: The stage's name, unique in its topology.
    ///
    /// **Emits when** an event is the newest of its key. **Suspends upstream when** its mailbox is
    /// full. **Finishes when** the input ends. **Cancels when** nobody takes its changes any more.
    /// **On restart** the rows are as before the batch.
    @inlinable
    public func latest(
        ttl: StateTTL? = nil, name: String? = nil, file: StaticString = #fileID, line: UInt = #line
    ) -> ChangeStream<Element> {
        ChangeStream(
            withState(
                "latest", name: name, ttl: ttl, isFallible: false, initial: LatestRow<Element>(),
                at: SourceLocation(file, line)
            ) { _, event, time, latest, output in
                guard time.nanoseconds >= latest.time else { return }
                if let row = latest.row {
                    output.append(.update(before: row, after: event), at: time)
                } else {
                    output.append(.insert(event), at: time)
                }
                latest.row = event
                latest.time = time.nanoseconds
            })
    }
}
