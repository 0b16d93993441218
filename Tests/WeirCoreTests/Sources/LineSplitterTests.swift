import Testing
import WeirCore

@Suite struct `A line splitter` {
    private func lines(_ text: String, limit: Int = 100, portion: Int) -> [LineSplitter.Line] {
        var splitter = LineSplitter(limit: limit)
        var lines: [LineSplitter.Line] = []
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + portion)
            splitter.append(Array(bytes[start..<end])) { lines.append($0) }
            start = end
        }
        splitter.finish { lines.append($0) }
        return lines
    }

    private func line(_ text: String) -> LineSplitter.Line { .line(Array(text.utf8)) }

    @Test(arguments: 1...8) func `finds the same lines whatever the pieces`(portion: Int) {
        #expect(
            lines("one\ntwo\r\n\n\r\nlast", portion: portion)
                == [line("one"), line("two"), line(""), line(""), line("last")])
    }

    @Test(arguments: 1...12) func `gives a line up that is too long, and only that`(portion: Int) {
        #expect(
            lines("abcd\nabcde\nabcd\r\nabcdefghijk\nab", limit: 4, portion: portion)
                == [
                    line("abcd"), .tooLong(beginning: Array("abcd".utf8)), line("abcd"),
                    .tooLong(beginning: Array("abcd".utf8)), line("ab"),
                ])
    }

    @Test func `has no line behind the last line feed`() {
        #expect(lines("a\n", portion: 8) == [line("a")])
        #expect(lines("", portion: 8) == [])
    }
}
