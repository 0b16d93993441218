import Testing

@testable import WeirNetwork

@Suite struct `A framing` {
    /// Frames found in pieces, with the error's text as last element when there is one.
    private func cut(
        _ framing: some Framing, _ pieces: [[UInt8]], stopping: Bool = false,
        finishing: Bool = false
    ) -> [String] {
        var framing = framing
        var found: [String] = []
        do {
            for piece in pieces {
                var rest = piece[...]
                while !rest.isEmpty {
                    let used = try rest.withUnsafeBytes { bytes in
                        try framing.consume(bytes) { frame in
                            found.append(String(decoding: frame, as: UTF8.self))
                            return stopping ? .stop : .proceed
                        }
                    }
                    rest = rest.dropFirst(used)
                }
            }
            if finishing {
                try framing.finish { frame in
                    found.append(String(decoding: frame, as: UTF8.self))
                    return .proceed
                }
            }
        } catch {
            found.append("error: \(error)")
        }
        return found
    }

    private func expectSame(
        _ framing: some Framing, _ bytes: [UInt8], _ expected: [String], finishing: Bool = false
    ) {
        for stopping in [false, true] {
            #expect(cut(framing, [bytes], stopping: stopping, finishing: finishing) == expected)
            let single = bytes.map { [$0] }
            #expect(cut(framing, single, stopping: stopping, finishing: finishing) == expected)
            for place in 0...bytes.count {
                let pieces = [Array(bytes[..<place]), Array(bytes[place...])]
                #expect(
                    cut(framing, pieces, stopping: stopping, finishing: finishing) == expected,
                    "cut at \(place), stopping \(stopping)")
            }
        }
    }

    @Test func `of lines takes off both kinds of line end`() {
        expectSame(LineFraming(), Array("a\nbc\r\n\r\n\nd\re\n".utf8), ["a", "bc", "", "", "d\re"])
    }

    @Test func `of lines gives an unfinished last line at the end`() {
        expectSame(LineFraming(), Array("a\nlast".utf8), ["a", "last"], finishing: true)
        expectSame(LineFraming(), Array("a\n".utf8), ["a"], finishing: true)
    }

    @Test func `of lines refuses a line above the limit, ended or not`() {
        let framing = LineFraming(maximumLength: 3)
        let error = "error: a frame is longer than the limit of 3 bytes"
        expectSame(framing, Array("abc\nabc\r\n".utf8), ["abc", "abc"])
        expectSame(framing, Array("abcd\n".utf8), [error])
        expectSame(framing, Array("ab\nabcdefgh".utf8), ["ab", error])
    }

    @Test(arguments: [
        (LengthFraming.Prefix.oneByte, [UInt8(2)]), (.twoBytes, [0, 2]),
        (.twoBytes.littleEndian, [2, 0]), (.fourBytes, [0, 0, 0, 2]),
        (.fourBytes.littleEndian, [2, 0, 0, 0]), (.eightBytes, [0, 0, 0, 0, 0, 0, 0, 2]),
        (.eightBytes.littleEndian, [2, 0, 0, 0, 0, 0, 0, 0]),
    ])
    func `by length reads each size and order`(_ prefix: LengthFraming.Prefix, _ two: [UInt8]) {
        let zero = [UInt8](repeating: 0, count: two.count)
        let bytes = two + Array("ab".utf8) + zero + two + Array("cd".utf8)
        expectSame(LengthFraming(prefix), bytes, ["ab", "", "cd"])
    }

    @Test func `by length refuses a length above the limit before its bytes come`() {
        let framing = LengthFraming(.eightBytes, maximumLength: 3)
        let error = "error: a frame is longer than the limit of 3 bytes"
        expectSame(framing, [255, 255, 255, 255, 255, 255, 255, 255], [error])
        expectSame(framing, [0, 0, 0, 0, 0, 0, 0, 4], [error])
    }

    @Test func `by length says when the stream ends within a frame`() {
        let error = "error: the stream ended within a frame"
        expectSame(LengthFraming(.oneByte), [1, 65, 2, 66], ["A", error], finishing: true)
        expectSame(LengthFraming(.twoBytes), [0], [error], finishing: true)
    }

    @Test func `lets go of its memory between frames`() throws {
        var framing = LengthFraming(.fourBytes)
        let bytes: [UInt8] = [0, 0, 0, 3, 1, 2]
        _ = try bytes.withUnsafeBytes { try framing.consume($0) { _ in .proceed } }
        #expect(framing.carriedByteCount == 6)
        _ = try [UInt8(3)].withUnsafeBytes { try framing.consume($0) { _ in .proceed } }
        #expect(framing.carriedByteCount == 0)
    }
}
