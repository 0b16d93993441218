extension StoredFile {
    /// Writes all of the bytes; after an error any part of them may be written.
    package func write(_ bytes: [UInt8], at offset: Int) throws(StorageError) {
        try bytes.withBytes { buffer throws(StorageError) in try write(buffer, at: offset) }
    }

    /// Up to so many bytes; fewer only at the end of the file.
    package func read(_ count: Int, at offset: Int) throws(StorageError) -> [UInt8] {
        // An array for no bytes would be written into the storage that empty arrays share.
        if count == 0 { return [] }
        var failure: StorageError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            do throws(StorageError) {
                initialized = try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }
}
