#if RocksDB
    public import WeirCore

    /// What RocksDB may use, beside the entries that Weir keeps in memory.
    public struct RocksDBOptions: Sendable, Hashable {
        /// How many bytes of blocks that were read stay in memory, indexes and filters included.
        ///
        /// Default 64 MiB, for all tables of a run.
        public var blockCacheBytes = 64 << 20
        /// How many bytes are written to memory before they go to a file.
        ///
        /// Default 32 MiB. Up to three such buffers are in use.
        public var writeBufferBytes = 32 << 20
        /// How many files are open at once.
        ///
        /// Default 512.
        public var openFiles = 512
        /// How many threads flush and compact in the background.
        ///
        /// Default 2.
        public var threads = 2

        /// The defaults.
        public init() {}
    }

    extension StateBackend {
        /// Keeps in memory what was used last, and the rest in RocksDB: state larger than memory.
        ///
        /// The files are of no use to a later run: it begins with a checkpoint, or empty. Each run
        /// has a directory of its own in `directory`, which is removed when the run is gone; what
        /// a killed process left is removed by the next run there. Several stages and runs may
        /// share the directory.
        ///
        /// Needs the package trait `RocksDB`.
        ///
        /// - Parameters:
        ///   - directory: Where the files are; on a fast disk with room for all state. Made when
        ///     missing.
        ///   - cache: How much stays in memory, for each table of a stage instance.
        ///   - options: What RocksDB may use.
        public static func rocksDB(
            directory: String, cache: StateCache = StateCache(),
            options: RocksDBOptions = RocksDBOptions()
        ) -> StateBackend {
            StateBackend(cache: cache) { try RocksEngine(directory: directory, options) }
        }
    }

    /// RocksDB could not do what it had to; the run ends with it, and the next one begins with the
    /// newest checkpoint.
    public struct RocksDBError: Error, CustomStringConvertible {
        /// Which directory, and what RocksDB says.
        public let description: String
    }
#endif
