extension Sink {
    /// Keeps a table outside as a changing result is: tells it of each batch the newest row of each key, once.
    ///
    /// ```swift
    /// payments.keyed(by: \.card).aggregate(.sum(of: \.amount))
    ///     .upserts(by: \.key)
    ///     .sink(.upserting { rows, removed in
    ///         try await table.put(rows.map { ($0.key, $0.row.value) })
    ///         try await table.delete(removed)
    ///     })
    /// ```
    ///
    /// When the closure throws, the rows of its batch come again, so it is at least once: the table ends up the same if putting
    /// and deleting a row twice does what once does.
    ///
    /// - Parameter write: Gets the rows to insert or replace, and the keys whose rows are gone, each key in one of the two, in the
    ///   order in which the batch has them first.
    @inlinable
    public static func upserting<Key, Row>(
        _ write:
            @escaping @Sendable (_ rows: [(key: Key, row: Row)], _ removed: [Key]) async throws ->
            Void
    ) -> Sink where Element == Upsert<Key, Row> {
        Sink("upserting") { _ in
            CallbackWriter { batch in
                let (rows, removed) = Upsert.newest(of: batch.elements)
                try await write(rows, removed)
            }
        }
    }
}

extension Upsert {
    /// The last word on each key.
    @inlinable
    static func newest(
        of upserts: ContiguousArray<Upsert>
    ) -> (rows: [(key: Key, row: Row)], removed: [Key]) {
        var places: [Key: Int] = [:]
        var last: [Upsert] = []
        for upsert in upserts {
            if let place = places[upsert.key] {
                last[place] = upsert
            } else {
                places[upsert.key] = last.count
                last.append(upsert)
            }
        }
        var rows: [(key: Key, row: Row)] = []
        var removed: [Key] = []
        for upsert in last {
            if let row = upsert.row {
                rows.append((upsert.key, row))
            } else {
                removed.append(upsert.key)
            }
        }
        return (rows, removed)
    }
}
