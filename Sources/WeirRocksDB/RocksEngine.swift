#if RocksDB
    import CRocksDB
    import Synchronization
    package import WeirCore
    import WeirJournal

    // Safety: RocksDB allows the use of a database and of its options by several threads.
    private struct Handle: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    // Safety: the handles are made by `init`, freed by `deinit` and never changed in between; RocksDB
    // allows the use of a database and of its options by several threads.
    /// A database that begins empty and is removed with its last reference.
    package final class RocksEngine: ColdEngine, @unchecked Sendable {
        let database: OpaquePointer
        let writing: OpaquePointer
        package let path: String
        private let options: OpaquePointer
        private let tables: OpaquePointer
        private let blocks: OpaquePointer
        private let storages = Atomic<UInt32>(0)

        package init(directory: String, _ settings: RocksDBOptions) throws {
            let files = LocalFileSystem()
            try files.createDirectory(directory)
            let options: OpaquePointer = rocksdb_options_create()
            let tables: OpaquePointer = rocksdb_block_based_options_create()
            let blocks: OpaquePointer = rocksdb_cache_create_lru(
                max(1 << 20, settings.blockCacheBytes))
            rocksdb_block_based_options_set_block_cache(tables, blocks)
            rocksdb_block_based_options_set_cache_index_and_filter_blocks(tables, 1)
            rocksdb_block_based_options_set_filter_policy(
                tables, rocksdb_filterpolicy_create_bloom_full(10))
            rocksdb_options_set_block_based_table_factory(options, tables)
            rocksdb_options_set_create_if_missing(options, 1)
            rocksdb_options_set_write_buffer_size(options, max(64 << 10, settings.writeBufferBytes))
            rocksdb_options_set_max_write_buffer_number(options, 3)
            rocksdb_options_set_max_open_files(
                options, Int32(clamping: max(16, settings.openFiles)))
            rocksdb_options_increase_parallelism(options, Int32(clamping: max(1, settings.threads)))
            do {
                let shared = Handle(pointer: options)
                let (path, database) = try Self.opening.withLock { _ in
                    Self.removeLeftovers(in: directory, files, shared.pointer)
                    let (path, database) = try Self.open(in: directory, shared.pointer)
                    return (path, Handle(pointer: database))
                }
                self.path = path
                self.database = database.pointer
            } catch {
                rocksdb_options_destroy(options)
                rocksdb_block_based_options_destroy(tables)
                rocksdb_cache_destroy(blocks)
                throw error
            }
            self.options = options
            self.tables = tables
            self.blocks = blocks
            writing = rocksdb_writeoptions_create()
            // What is lost with the process is in the checkpoint.
            rocksdb_writeoptions_disable_WAL(writing, 1)
        }

        deinit {
            rocksdb_close(database)
            Self.remove(path, options)
            rocksdb_writeoptions_destroy(writing)
            rocksdb_options_destroy(options)
            rocksdb_block_based_options_destroy(tables)
            rocksdb_cache_destroy(blocks)
        }

        package func makeStorage() throws -> any ColdStorage {
            RocksStorage(self, table: storages.add(1, ordering: .relaxed).newValue)
        }

        /// Held while a run begins, so that no other one of this process takes its directory for a
        /// leftover before it is locked.
        private static let opening = Mutex(())

        /// Tries again if another process has done so.
        private static func open(
            in directory: String, _ options: OpaquePointer, attempts: Int = 5
        ) throws -> (String, OpaquePointer) {
            let name = String(UInt64.random(in: .min ... .max), radix: 16)
            let path = "\(directory)/run-\(name)"
            do {
                return (path, try checked(path) { rocksdb_open(options, path, $0) })
            } catch {
                if attempts <= 1 { throw error }
                return try open(in: directory, options, attempts: attempts - 1)
            }
        }

        /// Removes what runs have left that were killed; one that is in use is locked and stays.
        private static func removeLeftovers(
            in directory: String, _ files: LocalFileSystem, _ options: OpaquePointer
        ) {
            for name in (try? files.list(directory)) ?? [] where name.hasPrefix("run-") {
                remove("\(directory)/\(name)", options)
            }
        }

        private static func remove(_ path: String, _ options: OpaquePointer) {
            var message: UnsafeMutablePointer<CChar>?
            rocksdb_destroy_db(options, path, &message)
            if let message { rocksdb_free(message) }
        }
    }

    /// Throws what RocksDB puts into its error argument.
    func checked<Result>(
        _ path: String, _ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result?
    ) throws -> Result {
        var message: UnsafeMutablePointer<CChar>?
        let result = call(&message)
        if let message {
            defer { rocksdb_free(message) }
            throw RocksDBError(description: "'\(path)': \(String(cString: message))")
        }
        guard let result else { throw RocksDBError(description: "'\(path)': no result") }
        return result
    }
#endif
