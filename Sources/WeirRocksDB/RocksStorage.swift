#if RocksDB
    import CRocksDB
    import WeirCore

    /// The cold entries of one table, told from those of others by the beginnings of their keys.
    ///
    /// A key is the number of the table (4 bytes), then 0 and the id for a bucket, or 1, the time
    /// and the id for a deadline; all big endian, so that they are in order. The group of a key is
    /// the top of its id.
    final class RocksStorage: ColdStorage {
        private let engine: RocksEngine
        private let table: UInt32
        private let reading: OpaquePointer
        private let batch: OpaquePointer

        init(_ engine: RocksEngine, table: UInt32) {
            self.engine = engine
            self.table = table
            reading = rocksdb_readoptions_create()
            batch = rocksdb_writebatch_create()
        }

        deinit {
            rocksdb_readoptions_destroy(reading)
            rocksdb_writebatch_destroy(batch)
        }

        func read(_ id: UInt64) throws -> [UInt8]? {
            var count = 0
            var message: UnsafeMutablePointer<CChar>?
            let value = StorageKey(table, bucket: id).withBytes { key, size in
                rocksdb_get(engine.database, reading, key, size, &count, &message)
            }
            try throwError(message)
            guard let value else { return nil }
            defer { rocksdb_free(value) }
            return bytes(value, count)
        }

        func apply(_ changes: ColdChanges) throws {
            rocksdb_writebatch_clear(batch)
            for (id, bucket) in changes.buckets {
                StorageKey(table, bucket: id).withBytes { key, size in
                    guard let bucket else {
                        return rocksdb_writebatch_delete(batch, key, size)
                    }
                    bucket.withUnsafeBytes { value in
                        rocksdb_writebatch_put(
                            batch, key, size, value.bindMemory(to: CChar.self).baseAddress,
                            value.count)
                    }
                }
            }
            for (deadline, isAdded) in changes.deadlines {
                StorageKey(table, deadline).withBytes { key, size in
                    if isAdded {
                        rocksdb_writebatch_put(batch, key, size, key, 0)
                    } else {
                        rocksdb_writebatch_delete(batch, key, size)
                    }
                }
            }
            var message: UnsafeMutablePointer<CChar>?
            rocksdb_write(engine.database, engine.writing, batch, &message)
            rocksdb_writebatch_clear(batch)
            try throwError(message)
        }

        func due(_ times: ClosedRange<Int64>, limit: Int) throws -> [ColdDeadline] {
            var found: [ColdDeadline] = []
            let range = StorageRange(
                StorageKey(table, ColdDeadline(time: times.lowerBound, id: .min)),
                through: StorageKey(table, ColdDeadline(time: times.upperBound, id: .max)))
            try engine.scan(range, snapshot: nil) { key, _ in
                found.append(StorageKey.deadline(of: key))
                return found.count < limit
            }
            return found
        }

        func freeze() throws -> any ColdSnapshot {
            RocksSnapshot(engine, table: table)
        }

        private func throwError(_ message: UnsafeMutablePointer<CChar>?) throws {
            guard let message else { return }
            defer { rocksdb_free(message) }
            throw RocksDBError(description: "'\(engine.path)': \(String(cString: message))")
        }
    }

    // Safety: immutable; RocksDB allows the use of a snapshot by any thread.
    /// The buckets of one table as they were.
    final class RocksSnapshot: ColdSnapshot, @unchecked Sendable {
        private let engine: RocksEngine
        private let table: UInt32
        private let snapshot: OpaquePointer

        init(_ engine: RocksEngine, table: UInt32) {
            self.engine = engine
            self.table = table
            snapshot = rocksdb_create_snapshot(engine.database)
        }

        deinit {
            rocksdb_release_snapshot(engine.database, snapshot)
        }

        func forEach(
            _ ids: ClosedRange<UInt64>, _ body: (_ id: UInt64, _ bucket: [UInt8]) throws -> Void
        ) throws {
            let range = StorageRange(
                StorageKey(table, bucket: ids.lowerBound),
                through: StorageKey(table, bucket: ids.upperBound))
            try engine.scan(range, snapshot: snapshot) { key, value in
                try body(StorageKey.id(of: key), Array(value))
                return true
            }
        }
    }

    private func bytes(_ start: UnsafeMutablePointer<CChar>, _ count: Int) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: start, count: count))
    }
#endif
