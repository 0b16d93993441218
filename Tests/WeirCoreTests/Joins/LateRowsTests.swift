import Synchronization
import Testing
import WeirCore
import WeirTesting

/// What comes too late to a join is never lost without a trace.
@Suite struct `Late rows of a join` {
    private typealias Rows = KeyedStream<Int, JoinRow>

    private struct Unexpected: Error {}

    /// A run of a join with its two sides, its results and its late rows.
    private struct Joining {
        let lefts = SourceProbe<JoinRow>()
        let rights = SourceProbe<JoinRow>()
        let results = SinkProbe<[Int]>("results")
        let lateLefts = SinkProbe<JoinRow>("late lefts")
        let lateRights = SinkProbe<JoinRow>("late rights")
        let test: TopologyTest

        init(
            supervisor: Supervisor = Supervisor(backoff: .none),
            onLate: @escaping @Sendable (JoinRow) throws -> Void = { _ in },
            _ join: @escaping (Rows, Rows, LateRows<JoinRow, JoinRow>) -> EventStream<[Int]>
        ) throws {
            let (lefts, rights, results) = (lefts, rights, results)
            let (lateLefts, lateRights) = (lateLefts, lateRights)
            test = try TopologyTest(
                Topology("late", supervisor: supervisor) {
                    let left = EventStream("left", from: lefts.source)
                        .eventTime(\.at, .monotonic.neverIdle)
                    let right = EventStream("right", from: rights.source)
                        .eventTime(\.at, .monotonic.neverIdle)
                    let late = LateRows<JoinRow, JoinRow>()
                    join(left.keyed(by: \.key), right.keyed(by: \.key), late).sink(results.sink)
                    late.left.map { (row) throws in
                        try onLate(row)
                        return row
                    }
                    .sink(lateLefts.sink)
                    late.right.sink(lateRights.sink)
                })
        }

        /// Sends rows that bring both sides to a time, and then rows of both sides.
        func send(at seconds: Double, left: [JoinRow], right: [JoinRow]) throws {
            lefts.send(JoinRow(9, 90, at: seconds))
            rights.send(JoinRow(9, 91, at: seconds))
            try test.run()
            lefts.send(contentsOf: left)
            rights.send(contentsOf: right)
            try test.run()
        }

        func finish() throws {
            lefts.finish()
            rights.finish()
            try test.finish()
        }

        var lateCount: Int { test.running.status().stages.map(\.late).reduce(0, +) }
    }

    private static let lateLeft = JoinRow(0, 1, at: 3)
    private static let lateRight = JoinRow(0, 2, at: 4)

    private func expectLate(
        _ results: [[Int]], left: [JoinRow] = [lateLeft], right: [JoinRow] = [lateRight],
        sourceLocation: Testing.SourceLocation = #_sourceLocation,
        _ join: @escaping (Rows, Rows, LateRows<JoinRow, JoinRow>) -> EventStream<[Int]>
    ) throws {
        let joining = try Joining(join)
        try joining.send(
            at: 20, left: [Self.lateLeft, JoinRow(0, 3, at: 25)],
            right: [Self.lateRight, JoinRow(0, 4, at: 26)])
        try joining.finish()
        let rows = joining.results.received.filter { !$0.contains(90) }.inOrder
        #expect(rows == results, sourceLocation: sourceLocation)
        #expect(joining.lateLefts.received == left, sourceLocation: sourceLocation)
        #expect(joining.lateRights.received == right, sourceLocation: sourceLocation)
        #expect(joining.lateCount == left.count + right.count, sourceLocation: sourceLocation)
    }

    @Test func `of intervals are those behind the watermark`() throws {
        try expectLate([[3, 4]]) { left, right, late in
            left.join(right, within: .seconds(-5) ... .seconds(5), .inner, late: late) {
                pair($0, $1)
            }
        }
    }

    @Test(arguments: [
        (Window.tumbling(.seconds(10)), 1), (.sliding(.seconds(10), every: .seconds(5)), 2),
        (.session(gap: .seconds(4)), 1),
    ])
    func `of windows are those whose windows are over`(_ window: Window, _ count: Int) throws {
        try expectLate(Array(repeating: [3, 4], count: count)) { left, right, late in
            left.window(window).join(right, .inner, late: late) { pair($0, $1) }.map(\.value)
        }
    }

    @Test func `of windows are the window's own as well`() throws {
        let others = SinkProbe<JoinRow>("others")
        let (lefts, rights) = (SourceProbe<JoinRow>(), SourceProbe<JoinRow>())
        let test = try TopologyTest(
            Topology("late") {
                let window = EventStream("left", from: lefts.source)
                    .eventTime(\.at, .monotonic.neverIdle).keyed(by: \.key)
                    .window(.tumbling(.seconds(10)))
                let right = EventStream("right", from: rights.source)
                    .eventTime(\.at, .monotonic.neverIdle).keyed(by: \.key)
                let late = LateRows<JoinRow, JoinRow>()
                window.join(right, .inner, late: late) { pair($0, $1) }.sink(.discard)
                window.late.sink(others.sink)
                late.right.sink(Sink<JoinRow>.discard.named("rights"))
            })
        lefts.send(JoinRow(0, 5, at: 30))
        rights.send(JoinRow(0, 6, at: 30))
        try test.run()
        lefts.send(Self.lateLeft)
        rights.send(Self.lateRight)
        lefts.finish()
        rights.finish()
        try test.finish()
        #expect(others.received == [Self.lateLeft])
    }

    @Test func `of versions are those that no event can ask for any more`() throws {
        let joining = try Joining { left, right, late in
            left.join(asOf: right, late: late) { pair($0, $1) }
        }
        joining.rights.send(JoinRow(0, 10, at: 2), JoinRow(0, 11, at: 10))
        try joining.test.run()
        // The first is over since the newer one began; the second is the newest behind the watermark.
        let over = JoinRow(0, 12, at: 5)
        try joining.send(
            at: 20, left: [Self.lateLeft, JoinRow(0, 3, at: 25)],
            right: [over, JoinRow(0, 13, at: 15)])
        try joining.finish()
        let rows = joining.results.received.filter { !$0.contains(90) }
        #expect(rows.contains([3, 13]))
        #expect(rows.contains { $0.first == 1 })
        #expect(joining.lateLefts.received == [Self.lateLeft])
        #expect(joining.lateRights.received == [over])
        #expect(joining.lateCount == 2)
    }

    @Test(arguments: ["interval", "window", "as of"])
    func `come once when their batch fails and is tried again`(_ kind: String) throws {
        let failures = Mutex(0)
        /// Fails twice for the second of the events in time, behind a late one in the same batch.
        let check: @Sendable (JoinRow?) throws -> Void = { row in
            guard row?.id == 3 else { return }
            let fails = failures.withLock { count in
                count += 1
                return count <= 2
            }
            if fails { throw Unexpected() }
        }
        let joining = try Joining(
            supervisor: Supervisor(intensity: 10, within: .seconds(60), backoff: .none)
        ) { left, right, late in
            switch kind {
            case "interval":
                left.join(right, within: .seconds(-9) ... .seconds(9), .inner, late: late) {
                    (left, right) throws in
                    try check(left)
                    return pair(left, right)
                }
            case "as of":
                left.join(asOf: right, late: late) { (left, right) throws in
                    try check(left)
                    return pair(left, right)
                }
            default:
                left.window(.tumbling(.seconds(10))).join(right, .inner, late: late) {
                    (left, right) throws in
                    try check(left)
                    return pair(left, right)
                }
                .map(\.value)
            }
        }
        joining.rights.send(JoinRow(0, 10, at: 2), JoinRow(0, 4, at: 24))
        try joining.send(at: 22, left: [], right: [])
        joining.lefts.send(
            Self.lateLeft, JoinRow(0, 3, at: kind == "as of" ? 21 : 25), JoinRow(0, 5, at: 4))
        joining.rights.send(JoinRow(0, 6, at: 1), JoinRow(0, 7, at: 26))
        try joining.test.run()
        try joining.finish()
        #expect(failures.withLock { $0 } >= 2)
        #expect(
            joining.lateLefts.received.map(\.id).sorted()
                == (kind == "as of" ? [1, 3, 5] : [1, 5]))
        #expect(joining.lateRights.received.map(\.id) == [6])
        #expect(joining.lateCount == joining.lateLefts.received.count + 1)
    }

    @Test(arguments: ["interval", "window", "as of"])
    func `come once when what takes them fails`(_ kind: String) throws {
        let failures = Mutex(0)
        // Behind the results of the batch and its first late row.
        let joining = try Joining(
            supervisor: Supervisor(intensity: 10, within: .seconds(60), backoff: .none),
            onLate: { row in
                guard row.id == 5 else { return }
                let fails = failures.withLock { count in
                    count += 1
                    return count <= 2
                }
                if fails { throw Unexpected() }
            }
        ) { left, right, late in
            switch kind {
            case "interval":
                left.join(right, within: .seconds(-9) ... .seconds(9), .inner, late: late) {
                    pair($0, $1)
                }
            case "as of": left.join(asOf: right, late: late) { pair($0, $1) }
            default:
                left.window(.tumbling(.seconds(10))).join(right, .inner, late: late) {
                    pair($0, $1)
                }
                .map(\.value)
            }
        }
        joining.rights.send(JoinRow(0, 4, at: 23))
        try joining.send(at: 25, left: [], right: [])
        joining.lefts.send(Self.lateLeft, JoinRow(0, 3, at: 26), JoinRow(0, 5, at: 4))
        try joining.test.run()
        try joining.finish()
        #expect(failures.withLock { $0 } > 2)
        #expect(joining.results.received.count { $0 == [3, 4] } == 1)
        #expect(joining.lateLefts.received.map(\.id).sorted() == [1, 5])
        #expect(joining.lateCount == 2)
    }

    @Test func `belong to one join`() {
        let late = LateRows<JoinRow, JoinRow>()
        let (left, right) = sides([], [])
        let topology = Topology("twice") {
            for name in ["a", "b"] {
                left.join(right, within: .zero ... .zero, .inner, late: late, name: name) {
                    pair($0, $1)
                }
                .sink(Sink<[Int]>.discard.named("to \(name)"))
            }
        }
        #expect(throws: TopologyError.self) { try topology.validate() }
    }

    @Test func `need a join`() {
        let late = LateRows<JoinRow, JoinRow>()
        let topology = Topology("none") { late.left.sink(.discard) }
        let error = #expect(throws: TopologyError.self) { try topology.validate() }
        #expect("\(error.map { "\($0)" } ?? "")".contains("give them to a join"))
    }
}
