import Foundation
import Glibc

/// A directory of the test's own, removed with the value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/weir-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure() }
        path = template.withUnsafeBufferPointer { buffer in
            String(decoding: buffer.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    struct Failure: Error {}

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    func append(_ text: String, to name: String) throws {
        try write(text, to: name, O_WRONLY | O_CREAT | O_APPEND)
    }

    func overwrite(_ name: String, _ text: String) throws {
        try write(text, to: name, O_WRONLY | O_CREAT | O_TRUNC)
    }

    private func write(_ text: String, to name: String, _ flags: Int32) throws {
        let file = open(self(name), flags, 0o644)
        guard file >= 0 else { throw Failure() }
        defer { close(file) }
        let bytes = Array(text.utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else { throw Failure() }
    }

    func rename(_ name: String, to other: String) throws {
        guard Glibc.rename(self(name), self(other)) == 0 else { throw Failure() }
    }

    func text(of name: String) throws -> String {
        let file = open(self(name), O_RDONLY)
        guard file >= 0 else { throw Failure() }
        defer { close(file) }
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(file, &buffer, buffer.count)
            if count <= 0 { break }
            result += buffer[0..<count]
        }
        return String(decoding: result, as: UTF8.self)
    }
}

extension TemporaryDirectory {
    func appendBytes(_ bytes: [UInt8], to name: String) throws {
        let file = open(self(name), O_WRONLY | O_CREAT | O_APPEND, 0o644)
        guard file >= 0 else { throw Failure() }
        defer { close(file) }
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else { throw Failure() }
    }
}
