/// How a file is opened.
package enum OpenMode: Sendable, Hashable {
    /// For reading; fails when there is no such file.
    case read
    /// For reading and writing; creates the file when it is missing.
    case readWrite
    /// For reading and writing a new file; fails when there is one.
    case createNew
}

/// The few blocking operations that everything durable is made of.
///
/// A name is durable after ``syncDirectory(_:)``, a file's bytes after
/// ``StoredFile/synchronize()``: until then a power loss may undo them.
package protocol FileSystem: Sendable {
    /// Creates a directory and its parents, durably; does nothing when it exists.
    func createDirectory(_ path: String) throws(StorageError)

    /// Opens a file.
    func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any StoredFile

    /// The names in a directory, sorted.
    func list(_ directory: String) throws(StorageError) -> [String]

    /// Whether a file or directory of that path exists.
    func exists(_ path: String) throws(StorageError) -> Bool

    /// Gives a file another name, atomically replacing what had it.
    func rename(_ from: String, to: String) throws(StorageError)

    /// Removes a file or an empty directory.
    func remove(_ path: String) throws(StorageError)

    /// Makes the names in a directory durable.
    func syncDirectory(_ path: String) throws(StorageError)

    /// Takes the exclusive advisory lock of a file, which then holds this process's number.
    ///
    /// Throws ``StorageError/Code/locked(by:)`` at once when another holds it.
    func lock(_ path: String) throws(StorageError) -> any FileLock
}

/// An open file; safe to use from several threads, but not while it is being closed.
package protocol StoredFile: AnyObject, Sendable {
    /// Reads up to the size of the buffer; fewer bytes only at the end, 0 past it.
    func read(
        at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(StorageError) -> Int

    /// Writes all of the bytes; after an error any part of them may be written.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StorageError)

    /// Reserves space for the file to have this size; zeros follow its end. May do nothing.
    func allocate(_ size: Int) throws(StorageError)

    /// Cuts the file, or extends it with zeros.
    func truncate(to size: Int) throws(StorageError)

    /// Makes the file's bytes and size durable.
    ///
    /// After an error nothing written since the last success may be assumed to be written,
    /// even when a later call succeeds.
    func synchronize() throws(StorageError)

    /// The size in bytes.
    var size: Int { get throws(StorageError) }

    /// Closes the file; later calls throw ``StorageError/Code/closed``.
    func close()
}

/// A held lock; released by ``release()`` or with the last reference.
package protocol FileLock: AnyObject, Sendable {
    /// Gives the lock back; does nothing the second time.
    func release()
}
