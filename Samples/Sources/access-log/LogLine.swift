import Weir

/// One request in a web server's log.
struct LogLine: Codable, Sendable, Equatable {
    var client: String
    var at: EventTime
    var method: String
    /// Without its query.
    var path: String
    var status: Int
    var bytes: Int
    /// How long the request took, when the log says it.
    var seconds: Double?
}

/// Why a line is none of an access log.
struct MalformedLine: Error, CustomStringConvertible {
    let description: String
}

extension LogLine {
    /// Reads a line in the common or combined format, perhaps with a request time in seconds at its end.
    ///
    /// `127.0.0.1 - - [21/Nov/2026:17:00:00 +0000] "GET / HTTP/1.1" 200 612 "-" "curl/7.88.1" 0.004`
    init(_ line: String) throws(MalformedLine) {
        var reader = FieldReader(line)
        client = String(try reader.word("the client"))
        _ = try reader.word("the identity")
        _ = try reader.word("the user")
        guard let time = Self.time(try reader.enclosed("[", "]", "the time")) else {
            throw MalformedLine(description: "the time is not like 21/Nov/2026:17:00:00 +0000")
        }
        at = time
        let request = try reader.enclosed("\"", "\"", "the request").split(separator: " ")
        // Clients that speak no HTTP leave what they sent, or a dash.
        method = request.count >= 2 ? String(request[0]) : "-"
        let target = request.count >= 2 ? request[1] : "-"
        path = String(target.prefix { $0 != "?" && $0 != "#" })
        guard let status = Int(try reader.word("the status")), (100...999).contains(status) else {
            throw MalformedLine(description: "the status is not a number of three digits")
        }
        self.status = status
        let size = try reader.word("the size")
        guard let bytes = size == "-" ? 0 : Int(size), bytes >= 0 else {
            throw MalformedLine(description: "the size is not a number")
        }
        self.bytes = bytes
        var last: Substring = ""
        while let field = try reader.next() { last = field }
        if let seconds = Double(last), seconds >= 0, seconds.isFinite { self.seconds = seconds }
    }

    private static let months = [
        "Jan": "01", "Feb": "02", "Mar": "03", "Apr": "04", "May": "05", "Jun": "06", "Jul": "07",
        "Aug": "08", "Sep": "09", "Oct": "10", "Nov": "11", "Dec": "12",
    ]

    /// `21/Nov/2026:17:00:00 +0000`; Python's server writes a space for the colon and no zone, taken as UTC.
    private static func time(_ text: Substring) -> EventTime? {
        let parts = text.split(whereSeparator: { $0 == "/" || $0 == ":" || $0 == " " })
        guard parts.count == 6 || parts.count == 7, let month = months[String(parts[1])] else {
            return nil
        }
        var zone = "Z"
        if parts.count == 7 {
            guard parts[6].utf8.count == 5 else { return nil }
            zone = parts[6].prefix(3) + ":" + parts[6].suffix(2)
        }
        let clock = parts[3...5].joined(separator: ":")
        return EventTime(rfc3339: "\(parts[2])-\(month)-\(parts[0])T\(clock)\(zone)")
    }
}

/// Takes a line apart, field by field.
private struct FieldReader {
    private var rest: Substring

    init(_ line: String) {
        rest = Substring(line)
    }

    /// The next field up to a space.
    mutating func word(_ what: String) throws(MalformedLine) -> Substring {
        skipSpaces()
        let word = rest.prefix { $0 != " " }
        if word.isEmpty { throw MalformedLine(description: "\(what) is missing") }
        rest = rest.dropFirst(word.count)
        return word
    }

    /// The next field without the marks around it; a backslash hides a mark.
    mutating func enclosed(
        _ begin: Character, _ end: Character, _ what: String
    ) throws(MalformedLine) -> Substring {
        skipSpaces()
        guard rest.first == begin else { throw MalformedLine(description: "\(what) is missing") }
        let start = rest.index(after: rest.startIndex)
        var index = start
        while index < rest.endIndex, rest[index] != end {
            if rest[index] == "\\" {
                index = rest.index(after: index)
                if index == rest.endIndex { break }
            }
            index = rest.index(after: index)
        }
        guard index < rest.endIndex else {
            throw MalformedLine(description: "\(what) doesn't end")
        }
        defer { rest = rest[rest.index(after: index)...] }
        return rest[start..<index]
    }

    /// The next field of either form; nil at the end.
    mutating func next() throws(MalformedLine) -> Substring? {
        skipSpaces()
        if rest.isEmpty { return nil }
        return rest.first == "\"" ? try enclosed("\"", "\"", "a field") : try word("a field")
    }

    private mutating func skipSpaces() {
        rest = rest.drop { $0 == " " }
    }
}
