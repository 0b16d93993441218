import Foundation

/// The rows of a CSV file (RFC 4180) with a header; the file is mapped, and its texts are pieces of
/// it.
struct EventReader {
    private let path: String
    private let bytes: UnsafeBufferPointer<UInt8>

    init(_ path: String) throws {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { throw EventFileError("\(path) can't be read") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw EventFileError("\(path) can't be read")
        }
        self.path = path
        let size = Int(status.st_size)
        guard size > 0, let map = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0),
            map != MAP_FAILED
        else {
            bytes = UnsafeBufferPointer(start: nil, count: 0)
            return
        }
        // Safety: the mapping is never unmapped: texts are pieces of it.
        bytes = UnsafeBufferPointer(
            start: map.bindMemory(to: UInt8.self, capacity: size), count: size)
    }

    /// The fields of one row.
    struct Row {
        fileprivate let file: String
        fileprivate let columns: [String: Int]
        fileprivate var fields: [Text] = []
        fileprivate var line = 1

        func text(_ name: String) throws -> Text {
            guard let column = columns[name], column < fields.count else {
                throw EventFileError("\(file), line \(line): there is no \(name)")
            }
            return fields[column]
        }

        func number(_ name: String) throws -> Int {
            let text = try text(name)
            guard let number = Int(text.description) else {
                throw EventFileError("\(file), line \(line): \(name) is '\(text)', not a number")
            }
            return number
        }

        func time(_ name: String) throws -> Int {
            let text = try text(name)
            guard let time = TimeText.parse(text.bytes) else {
                throw EventFileError("\(file), line \(line): \(name) is '\(text)', not a time")
            }
            return time
        }
    }

    /// What a closure makes of each row behind the header.
    func map<Event>(_ transform: (Row) throws -> Event) throws -> ContiguousArray<Event> {
        var offset = 0
        var arena = TextArena()
        let header = try fields(&offset, &arena, line: 1).map(\.description)
        var row = Row(
            file: path,
            columns: Dictionary(
                zip(header, header.indices), uniquingKeysWith: { first, _ in first }))
        var events = ContiguousArray<Event>()
        while offset < bytes.count {
            row.line += 1
            row.fields = try fields(&offset, &arena, line: row.line)
            if row.fields.count == 1, row.fields[0].count == 0 { continue }
            events.append(try transform(row))
        }
        return events
    }

    /// The fields of the row at `offset`, which moves behind it.
    private func fields(
        _ offset: inout Int, _ arena: inout TextArena, line: Int
    ) throws -> [Text] {
        var fields: [Text] = []
        let (quote, comma) = (UInt8(ascii: "\""), UInt8(ascii: ","))
        while true {
            if offset < bytes.count, bytes[offset] == quote {
                var unquoted: [UInt8] = []
                offset += 1
                while true {
                    guard offset < bytes.count else {
                        throw EventFileError("\(path), line \(line): a quotation mark is missing")
                    }
                    if bytes[offset] == quote {
                        offset += 1
                        guard offset < bytes.count, bytes[offset] == quote else { break }
                    }
                    unquoted.append(bytes[offset])
                    offset += 1
                }
                fields.append(arena.add(unquoted))
            } else {
                let start = offset
                while offset < bytes.count, bytes[offset] != comma, bytes[offset] != 10,
                    bytes[offset] != 13
                { offset += 1 }
                fields.append(
                    Text(staying: UnsafeBufferPointer(rebasing: bytes[start..<offset])))
            }
            guard offset < bytes.count else { return fields }
            if bytes[offset] == comma {
                offset += 1
                continue
            }
            if bytes[offset] == 13 { offset += 1 }
            if offset < bytes.count, bytes[offset] == 10 { offset += 1 }
            return fields
        }
    }
}
