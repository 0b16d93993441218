import CWeirIntrinsics

#if canImport(Glibc)
    import Glibc
#endif

/// The C library's allocator, which Swift's objects come from.
enum Allocator {
    /// Has glibc keep a few MiB of freed memory for each arena instead of giving it back at once.
    ///
    /// A batch is freed by another thread than the one that made it, at the end of its arena's heap: by
    /// default that end goes back to the system as soon as it is longer than 128 KiB, and the pages of the
    /// next batches fault in anew, a third of a small pipeline's processor time. Settings that the process
    /// was started with win. Does nothing elsewhere.
    static func keepFreedMemory() { _ = settings }

    private static let settings: Void = {
        #if canImport(Glibc)
            let variables = [
                "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_",
            ]
            if variables.contains(where: { getenv($0) != nil }) { return }
            if let tunables = getenv("GLIBC_TUNABLES"),
                String(cString: tunables).contains("glibc.malloc.")
            {
                return
            }
            cweir_keep_freed_memory(4 << 20, 1 << 20)
        #endif
    }()
}
