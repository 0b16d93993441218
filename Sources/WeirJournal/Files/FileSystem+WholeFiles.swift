extension FileSystem {
    /// The directory that holds a path: "." for a bare name, "/" for the root.
    package static func parent(of path: String) -> String {
        var rest = path[...]
        while rest.count > 1, rest.last == "/" { rest.removeLast() }
        guard let slash = rest.lastIndex(of: "/") else { return "." }
        return slash == rest.startIndex ? "/" : String(rest[..<slash])
    }

    /// All bytes of a file.
    ///
    /// Throws ``StorageError/Code/tooLarge`` past `limit` (default 1 GiB).
    package func readFile(
        _ path: String, limit: Int = 1 << 30
    ) throws(StorageError) -> [UInt8] {
        let file = try open(path, .read)
        defer { file.close() }
        let size = try file.size
        guard size <= limit else {
            throw StorageError(.tooLarge, path: path, action: "read")
        }
        return try file.read(size, at: 0)
    }

    /// Writes a file so that after a crash it has either all the old bytes or all the new.
    ///
    /// Writes `path` + ".tmp", synchronizes, renames, synchronizes the directory.
    package func writeDurably(_ bytes: [UInt8], to path: String) throws(StorageError) {
        let temporary = path + ".tmp"
        if try exists(temporary) { try remove(temporary) }
        do throws(StorageError) {
            let file = try open(temporary, .createNew)
            defer { file.close() }
            try file.write(bytes, at: 0)
            try file.synchronize()
        } catch {
            // Best effort: the next attempt removes what stays.
            try? remove(temporary)
            throw error
        }
        try rename(temporary, to: path)
        try syncDirectory(Self.parent(of: path))
    }
}
