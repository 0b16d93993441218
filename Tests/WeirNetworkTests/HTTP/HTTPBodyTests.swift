import Testing

@testable import WeirNetwork

@Suite struct `A request's body` {
    /// What a reader makes of pieces: the body, then `|` and what follows it, or a status.
    private func read(
        _ pieces: [ArraySlice<UInt8>], _ length: Int?, _ limits: HTTPBodyLimits, step: Int = .max
    ) -> String {
        var body: [UInt8] = []
        var after: [UInt8] = []
        do {
            var reader = try HTTPBodyReader(length: length, limits: limits)
            for piece in pieces {
                var rest = Array(piece)
                while !rest.isEmpty, !reader.isComplete {
                    let used = try rest.withUnsafeBytes { bytes throws(HTTPError) in
                        try reader.consume(bytes) { part in
                            let count = min(part.count, step)
                            body += part.prefix(count)
                            return count
                        }
                    }
                    rest.removeFirst(used)
                }
                after += rest
            }
            let trailer = reader.trailer.fields.map { "\($0.name)=\($0.value)" }.joined()
            let end = reader.isComplete ? "|" : "…"
            return String(decoding: body + Array(end.utf8) + after, as: UTF8.self) + trailer
        } catch {
            return "\((error as? HTTPError)?.status ?? 0)"
        }
    }

    static let table: [(Int?, String, String)] = [
        (5, "helloGET", "hello|GET"), (0, "GET", "|GET"), (5, "hel", "hel…"), (33, "", "413"),
        (nil, "0\r\n\r\nGET", "|GET"),
        (nil, "5\r\nhello\r\n0\r\n\r\n", "hello|"),
        (nil, "1\r\na\r\n00b\r\n0123456789\n\r\n0\r\n\r\nX", "a0123456789\n|X"),
        (nil, "A;x=\"y\"\r\n0123456789\r\n000;z\r\nT: u\r\n\r\n", "0123456789|T=u"),
        (nil, "3\r\nabc", "abc…"),
        (nil, "\r\n", "400"), (nil, "g\r\n", "400"), (nil, "-1\r\n", "400"),
        (nil, "+1\r\na\r\n", "400"), (nil, "0x1\r\na\r\n", "400"), (nil, " 1\r\na\r\n", "400"),
        (nil, "1 \r\na\r\n", "400"), (nil, "1\na\r\n", "400"), (nil, "1\r\nab\r\n", "400"),
        (nil, "1\r\na\n0\r\n\r\n", "400"), (nil, "1\r\na\r\r0\r\n\r\n", "400"),
        (nil, "1;\u{1}\r\na\r\n", "400"), (nil, "1;a\nb\r\na\r\n", "400"),
        (nil, "1;aaaaaaaaaaaaaaaaa\r\na\r\n", "400"),
        (nil, "1;aaaaaaaa\r\na\r\n1;aaaaaaaaa\r\na\r\n", "400"),
        (nil, "0000000000000000\r\n\r\n", "400"), (nil, "fffffffffffffff\r\n", "413"),
        (nil, "21\r\n", "413"), (nil, "1f\r\n0123456789012345678901234567890\r\n2\r\n", "413"),
        (nil, "0\r\nContent-Length: 3\r\n\r\n", "400"),
        (nil, "0\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
        (nil, "0\r\nT: u\n\r\n", "400"), (nil, "0\r\n T: u\r\n\r\n", "400"),
        (nil, "0\r\nT: 01234567890123456789012345678901\r\n\r\n", "431"),
    ]

    @Test(arguments: table)
    func `is read the same over every cut`(_ length: Int?, _ text: String, _ expected: String) {
        var limits = HTTPBodyLimits()
        limits.maximumLength = 32
        limits.maximumExtensionLength = 16
        limits.maximumTrailerLength = 32
        let bytes = Array(text.utf8)
        #expect(read([bytes[...]], length, limits) == expected)
        #expect(read(bytes.indices.map { bytes[$0...$0] }, length, limits) == expected)
        #expect(read([bytes[...]], length, limits, step: 1) == expected)
        for cut in 0...bytes.count {
            #expect(read([bytes[..<cut], bytes[cut...]], length, limits) == expected)
        }
    }
}
