#if RocksDB
    import CRocksDB
    import Synchronization
    package import WeirCore
    import WeirJournal

    // Safety: RocksDB allows the use of a database and of its options by several threads.
    /// A database or what belongs to one, until its owner frees it.
    private struct Handle: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    /// A database that begins empty and is removed with its last reference.
    package final class RocksEngine: ColdEngine {
        package let path: String
        private let storages = Atomic<UInt32>(0)
        private let databaseHandle: Handle
        private let writingHandle: Handle
        private let options: Handle
        private let tables: Handle
        private let blocks: Handle

        var database: OpaquePointer { databaseHandle.pointer }
        var writing: OpaquePointer { writingHandle.pointer }

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
            self.options = Handle(pointer: options)
            self.tables = Handle(pointer: tables)
            self.blocks = Handle(pointer: blocks)
            do {
                (path, databaseHandle) = try Self.open.withLock { [options = self.options] open in
                    Self.removeLeftovers(in: directory, files, options.pointer, sparing: open)
                    let (path, database) = try Self.create(in: directory, options.pointer)
                    open.insert(path)
                    return (path, Handle(pointer: database))
                }
            } catch {
                rocksdb_options_destroy(options)
                rocksdb_block_based_options_destroy(tables)
                rocksdb_cache_destroy(blocks)
                throw error
            }
            let writing: OpaquePointer = rocksdb_writeoptions_create()
            // What is lost with the process is in the checkpoint.
            rocksdb_writeoptions_disable_WAL(writing, 1)
            writingHandle = Handle(pointer: writing)
        }

        deinit {
            rocksdb_close(database)
            Self.remove(path, options.pointer)
            _ = Self.open.withLock { $0.remove(path) }
            rocksdb_writeoptions_destroy(writing)
            rocksdb_options_destroy(options.pointer)
            rocksdb_block_based_options_destroy(tables.pointer)
            rocksdb_cache_destroy(blocks.pointer)
        }

        package func makeStorage() throws -> any ColdStorage {
            RocksStorage(self, table: storages.add(1, ordering: .relaxed).newValue)
        }

        // Held while a run begins, so that no other one takes its directory for a leftover.
        /// The paths of this process's databases.
        private static let open = Mutex<Set<String>>([])

        /// Tries again if another process has done so.
        private static func create(
            in directory: String, _ options: OpaquePointer, attempts: Int = 5
        ) throws -> (String, OpaquePointer) {
            let name = String(UInt64.random(in: .min ... .max), radix: 16)
            let path = "\(directory)/run-\(name)"
            do {
                return (path, try checked(path) { rocksdb_open(options, path, $0) })
            } catch {
                if attempts <= 1 { throw error }
                return try create(in: directory, options, attempts: attempts - 1)
            }
        }

        /// Removes what runs have left that were killed; what another process uses is locked and
        /// stays.
        private static func removeLeftovers(
            in directory: String, _ files: LocalFileSystem, _ options: OpaquePointer,
            sparing open: Set<String>
        ) {
            for name in (try? files.list(directory)) ?? [] where name.hasPrefix("run-") {
                let path = "\(directory)/\(name)"
                if !open.contains(path) { remove(path, options) }
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
