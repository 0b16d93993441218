#if RocksDB
    import CRocksDB
    import WeirCore

    /// The key of a bucket or of a deadline; see ``RocksStorage``.
    struct StorageKey {
        private let bytes: [UInt8]

        init(_ table: UInt32, bucket id: UInt64) {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(13)
            bytes.append(bigEndian: table)
            bytes.append(0)
            bytes.append(bigEndian: id)
            self.bytes = bytes
        }

        init(_ table: UInt32, _ deadline: ColdDeadline) {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(21)
            bytes.append(bigEndian: table)
            bytes.append(1)
            bytes.append(bigEndian: UInt64(bitPattern: deadline.time) ^ Self.sign)
            bytes.append(bigEndian: deadline.id)
            self.bytes = bytes
        }

        /// The first key behind this one.
        var successor: StorageKey { StorageKey(bytes: bytes + [0]) }

        private init(bytes: [UInt8]) {
            self.bytes = bytes
        }

        /// Turned over, so that negative times come first.
        private static let sign: UInt64 = 1 << 63

        static func id(of key: UnsafeRawBufferPointer) -> UInt64 { number(key, at: key.count - 8) }

        static func deadline(of key: UnsafeRawBufferPointer) -> ColdDeadline {
            ColdDeadline(
                time: Int64(bitPattern: number(key, at: key.count - 16) ^ sign), id: id(of: key))
        }

        private static func number(_ key: UnsafeRawBufferPointer, at offset: Int) -> UInt64 {
            UInt64(bigEndian: key.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }

        func withBytes<Result>(_ body: (UnsafePointer<CChar>?, Int) -> Result) -> Result {
            bytes.withUnsafeBytes { body($0.bindMemory(to: CChar.self).baseAddress, $0.count) }
        }
    }

    /// A range of keys.
    struct StorageRange {
        let first: StorageKey
        let end: StorageKey

        init(_ first: StorageKey, through last: StorageKey) {
            self.first = first
            end = last.successor
        }
    }

    extension RocksEngine {
        /// Calls `body` with the keys and values of a range, in order, until it returns false.
        ///
        /// - Parameter snapshot: As of when; nil for now.
        func scan(
            _ range: StorageRange, snapshot: OpaquePointer?,
            _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Bool
        ) throws {
            let reading: OpaquePointer = rocksdb_readoptions_create()
            defer { rocksdb_readoptions_destroy(reading) }
            rocksdb_readoptions_set_fill_cache(reading, 0)
            if let snapshot { rocksdb_readoptions_set_snapshot(reading, snapshot) }
            try range.end.withBytes { end, size in
                // Safety: the iterator, which keeps the bound's address, goes before the bound does.
                rocksdb_readoptions_set_iterate_upper_bound(reading, end, size)
                return Result { try scan(range.first, reading, body) }
            }.get()
        }

        private func scan(
            _ first: StorageKey, _ reading: OpaquePointer,
            _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Bool
        ) throws {
            let iterator: OpaquePointer = rocksdb_create_iterator(database, reading)
            defer { rocksdb_iter_destroy(iterator) }
            first.withBytes { rocksdb_iter_seek(iterator, $0, $1) }
            while rocksdb_iter_valid(iterator) != 0 {
                var keySize = 0
                var valueSize = 0
                let key = rocksdb_iter_key(iterator, &keySize)
                let value = rocksdb_iter_value(iterator, &valueSize)
                // Safety: both stay as they are until the iterator moves on.
                let goesOn = try body(
                    UnsafeRawBufferPointer(start: key, count: keySize),
                    UnsafeRawBufferPointer(start: value, count: valueSize))
                if !goesOn { return }
                rocksdb_iter_next(iterator)
            }
            var message: UnsafeMutablePointer<CChar>?
            rocksdb_iter_get_error(iterator, &message)
            if let message {
                defer { rocksdb_free(message) }
                throw RocksDBError(description: "'\(path)': \(String(cString: message))")
            }
        }
    }

    extension [UInt8] {
        fileprivate mutating func append(bigEndian number: some FixedWidthInteger) {
            Swift.withUnsafeBytes(of: number.bigEndian) { append(contentsOf: $0) }
        }
    }
#endif
