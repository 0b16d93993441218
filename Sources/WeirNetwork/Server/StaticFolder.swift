#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A folder whose files a server shows to GET and HEAD, for a page with its scripts and pictures.
///
/// Nothing outside the folder can be reached: every part of a path is opened by itself, symbolic
/// links are not followed, and names that begin with a dot are not served. A path that ends with
/// `/` is the file `index.html` there.
public struct StaticFolder: Sendable {
    /// The folder's path.
    public let path: String
    /// Media types by the extension of a file's name, beside the usual ones.
    public var contentTypes: [String: String] = [:]

    /// Shows the files of a folder.
    public init(_ path: String) { self.path = path }

    func begin(
        _ request: HTTPRequestHead, _ rest: String, _ connection: HTTPServerConnection
    ) -> HTTPBeginning {
        guard request.method == "GET" || request.method == "HEAD" else {
            var problem = HTTPProblem(405, "only GET and HEAD are allowed")
            problem.allow = "GET, HEAD"
            return .refuse(problem)
        }
        guard let names = Self.names(in: rest) else {
            return .refuse(HTTPProblem(404, "there is no such file"))
        }
        return .receive(
            FolderAnswer(self, names, request, connection.tcp.loop), HTTPBodyLimits())
    }

    /// The file that a path shows which ends with `/`.
    static let indexName = "index.html"

    /// The parts of a path, decoded; `nil` for one that is not served.
    static func names(in path: String) -> [String]? {
        var names: [String] = []
        for part in path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        {
            guard let name = decoded(part) else { return nil }
            names.append(name)
        }
        if names.last == "" { names[names.count - 1] = indexName }
        let isServed = names.allSatisfy { name in
            !name.isEmpty && !name.hasPrefix(".") && !name.utf8.contains(where: isForbidden)
        }
        return isServed ? names : nil
    }

    private static func isForbidden(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == 0x7F || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "\\")
    }

    /// Takes percent escapes out; `nil` for a wrong one, or for what is not UTF-8.
    private static func decoded(_ part: Substring.UTF8View.SubSequence) -> String? {
        var bytes: [UInt8] = []
        var rest = part[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let first = rest.popFirst().flatMap(HTTPSyntax.hexadecimal),
                let second = rest.popFirst().flatMap(HTTPSyntax.hexadecimal)
            else { return nil }
            bytes.append(UInt8(first << 4 | second))
        }
        return String(validating: bytes, as: UTF8.self)
    }

    func contentType(of name: String) -> String {
        let ending = name.lastIndex(of: ".").map { String(name[name.index(after: $0)...]) } ?? ""
        if let type = contentTypes[ending] { return type }
        return switch ending.lowercased() {
        case "html", "htm": "text/html; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "js", "mjs": "text/javascript; charset=utf-8"
        case "json", "map": "application/json"
        case "txt", "md": "text/plain; charset=utf-8"
        case "csv": "text/csv; charset=utf-8"
        case "svg": "image/svg+xml"
        case "png": "image/png"
        case "jpg", "jpeg": "image/jpeg"
        case "gif": "image/gif"
        case "webp": "image/webp"
        case "ico": "image/vnd.microsoft.icon"
        case "wasm": "application/wasm"
        case "woff2": "font/woff2"
        case "pdf": "application/pdf"
        case "xml": "application/xml"
        default: "application/octet-stream"
        }
    }
}

/// A file that is open for reading, with what its answer's head says of it.
final class ServedFile: Sendable {
    let descriptor: Int32
    let size: Int
    /// Whole seconds since 1970.
    let modified: Int
    let entityTag: String

    /// Opens a file below a folder without following a symbolic link.
    init?(_ folder: String, _ names: [String]) {
        var current = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard current >= 0 else { return nil }
        for (index, name) in names.enumerated() {
            let isLast = index == names.count - 1
            let flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (isLast ? O_NONBLOCK : O_DIRECTORY)
            let next = openat(current, name, flags)
            close(current)
            guard next >= 0 else { return nil }
            current = next
        }
        var facts = stat()
        guard fstat(current, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            close(current)
            return nil
        }
        descriptor = current
        size = Int(facts.st_size)
        #if canImport(Darwin)
            let time = facts.st_mtimespec
        #else
            let time = facts.st_mtim
        #endif
        modified = Int(time.tv_sec)
        let stamp = String(modified, radix: 36) + "." + String(Int(time.tv_nsec), radix: 36)
        entityTag = "\"\(String(size, radix: 36))-\(stamp)\""
    }

    /// Reads a part; shorter when the file has become so.
    func read(at offset: Int, count: Int) -> SharedBytes? {
        var got = 0
        var bytes = [UInt8](repeating: 0, count: count)
        while got < count {
            let result = bytes.withUnsafeMutableBytes { buffer in
                pread(
                    descriptor, buffer.baseAddress.map { $0 + got }, count - got,
                    off_t(offset + got))
            }
            if result < 0, errno == EINTR { continue }
            if result <= 0 { return nil }
            got += result
        }
        return SharedBytes(bytes)
    }

    deinit { close(descriptor) }
}
