/// Cuts bytes into lines at line feeds, whatever the pieces they come in.
///
/// A carriage return before the line feed belongs to the line's end. A line longer than the limit is given up: its first
/// bytes are kept to show it.
package struct LineSplitter: Sendable {
    package enum Line: Sendable, Equatable {
        case line([UInt8])
        case tooLong(beginning: [UInt8])
    }

    private let limit: Int
    private var open: [UInt8] = []
    private var isSkipping = false
    /// How many bytes the line that has begun has so far.
    package private(set) var openByteCount = 0

    /// - Parameter limit: The longest line in bytes, its end not counted, at least 1.
    package init(limit: Int) {
        self.limit = min(max(1, limit), .max - 1)
    }

    /// Whether a line has begun and not ended.
    package var hasOpenLine: Bool { openByteCount > 0 }

    /// Takes bytes and hands each line that they complete to `body`.
    package mutating func append(_ bytes: [UInt8], _ body: (Line) -> Void) {
        var start = bytes.startIndex
        while start < bytes.endIndex {
            guard let end = bytes[start...].firstIndex(of: 0x0A) else {
                add(bytes[start...])
                return
            }
            if openByteCount == 0 && end - start <= limit {
                body(.line(withoutReturn(bytes[start..<end])))
            } else {
                add(bytes[start..<end])
                endLine(body)
            }
            start = end + 1
        }
    }

    /// Takes the end of the input as the end of the last line, if one has begun.
    package mutating func finish(_ body: (Line) -> Void) {
        if hasOpenLine { endLine(body) }
    }

    private mutating func endLine(_ body: (Line) -> Void) {
        if isSkipping || withoutReturn(open[...]).count > limit {
            body(.tooLong(beginning: Array(open.prefix(limit))))
        } else {
            body(.line(withoutReturn(open[...])))
        }
        open.removeAll(keepingCapacity: open.capacity <= 65_536)
        isSkipping = false
        openByteCount = 0
    }

    private mutating func add(_ bytes: ArraySlice<UInt8>) {
        // One more than the limit, for a carriage return that may turn out to be part of the line's end.
        openByteCount += bytes.count
        let room = limit + 1 - open.count
        open.append(contentsOf: bytes.prefix(room))
        if bytes.count > room { isSkipping = true }
    }

    private func withoutReturn(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        bytes.last == 0x0D ? Array(bytes.dropLast()) : Array(bytes)
    }
}
