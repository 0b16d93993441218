import Synchronization
import Weir

/// The results of a query: how many there were, and if they are kept, the rows that are left.
///
/// In a run with a store the rows that are kept are part of its checkpoints: a run that goes on from one has the rows of
/// the runs before it.
package final class QueryResults: Sendable {
    private struct Kept: Sendable {
        var count = 0
        var header = ""
        /// How often each row is there.
        var rows: [[UInt8]: Int] = [:]

        mutating func add(_ row: [UInt8], _ count: Int) {
            let left = rows[row, default: 0] + count
            rows[row] = left == 0 ? nil : left
        }
    }

    private let keepsRows: Bool
    private let kept = Mutex(Kept())

    init(keepsRows: Bool) { self.keepsRows = keepsRows }

    /// How many results there were; of results that change, how many changes.
    package var count: Int { kept.withLock { $0.count } }

    /// The header and the rows that are left, sorted by their bytes.
    package var lines: [[UInt8]] {
        kept.withLock { kept in
            let rows = kept.rows.flatMap { row, count in
                [[UInt8]](repeating: row, count: max(0, count))
            }
            return [Array(kept.header.utf8)]
                + rows.sorted { $0.lexicographicallyPrecedes($1) }
        }
    }

    /// Writes the rows that are left.
    package func write(to path: String) throws {
        let lines = lines
        let file = try LineFile(path, header: String(decoding: lines[0], as: UTF8.self))
        for line in lines.dropFirst() { try file.write(line) }
        try file.close()
    }

    func take<Row: ResultRow>(_ stream: EventStream<Row>) -> Pipeline {
        kept.withLock { $0.header = Row.header }
        return stream.sink(
            sink { batch in batch.elements.map { (Self.line($0), 1) } })
    }

    func take<Row: ResultRow>(_ stream: ChangeStream<Row>) -> Pipeline {
        kept.withLock { $0.header = Row.header }
        return stream.sink(
            sink { batch in
                var lines: [([UInt8], Int)] = []
                for change in batch.elements {
                    if let row = change.before { lines.append((Self.line(row), -1)) }
                    if let row = change.after { lines.append((Self.line(row), 1)) }
                }
                return lines
            })
    }

    private static func line(_ row: some ResultRow) -> [UInt8] {
        var writer = RowWriter()
        row.write(to: &writer)
        return writer.bytes
    }

    private func sink<Element: Sendable>(
        _ lines: @escaping @Sendable (Batch<Element>) -> [([UInt8], Int)]
    ) -> Sink<Element> {
        guard keepsRows else {
            return .forEachBatch { [self] batch in kept.withLock { $0.count += batch.count } }
        }
        return Sink("results") { context in
            try ResultsWriter(self, restoring: context.restoredState, lines: lines)
        }
    }

    fileprivate func add(_ lines: [([UInt8], Int)], from results: Int) {
        kept.withLock { kept in
            kept.count += results
            for (line, count) in lines { kept.add(line, count) }
        }
    }

    /// The rows: how often (8 bytes, little endian) each is there, its length (8) and its bytes, behind the number of
    /// results (8).
    fileprivate var state: [UInt8] {
        kept.withLock { kept in
            var bytes: [UInt8] = []
            func append(_ number: Int) {
                withUnsafeBytes(of: Int64(number).littleEndian) { bytes.append(contentsOf: $0) }
            }
            append(kept.count)
            for (row, count) in kept.rows {
                append(count)
                append(row.count)
                bytes.append(contentsOf: row)
            }
            return bytes
        }
    }

    fileprivate func restore(_ state: [UInt8]) {
        var rest = state[...]
        func number() -> Int {
            defer { rest = rest.dropFirst(8) }
            return rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        kept.withLock { kept in
            kept.count = number()
            kept.rows = [:]
            while !rest.isEmpty {
                let (count, length) = (number(), number())
                kept.rows[Array(rest.prefix(length))] = count
                rest = rest.dropFirst(length)
            }
        }
    }
}

/// Keeps rows, and puts them into each checkpoint.
private final class ResultsWriter<Element: Sendable>: TransactionalSinkWriter {
    private let results: QueryResults
    private let lines: (Batch<Element>) -> [([UInt8], Int)]

    init(
        _ results: QueryResults, restoring state: [UInt8]?,
        lines: @escaping (Batch<Element>) -> [([UInt8], Int)]
    ) throws {
        self.results = results
        self.lines = lines
        if let state { results.restore(state) }
    }

    func write(_ batch: Batch<Element>) async throws {
        results.add(lines(batch), from: batch.count)
    }

    func prepare(checkpoint: Int) async throws -> [UInt8] { results.state }

    func commit(checkpoint: Int) async throws {}
}
