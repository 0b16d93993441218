import Testing
import WeirCore
import WeirTesting

@Suite struct `Bad arguments` {
    private func problems(_ pipeline: Pipeline) -> [String] {
        do {
            try Topology("t") { pipeline }.validate()
            return []
        } catch {
            return error.problems.map(\.message)
        }
    }

    private var numbers: KeyedStream<Int, Int> {
        EventStream("in", from: .collection([1])).keyed { $0 }
    }

    private func reports(_ stream: EventStream<some Sendable>, _ text: String) -> Bool {
        let found = problems(stream.sink(.discard))
        return found.count == 1 && found[0].contains(text)
    }

    private func reports(_ aggregate: some Aggregate<Int, some Sendable>, _ text: String) -> Bool {
        let windows = numbers.window(.count(3))
        return reports(windows.aggregate(aggregate), text)
            // The problem of an inner one shows through, whatever stands around it.
            && reports(
                windows.aggregate(
                    .combined(.count(), aggregate.mapInput { $0 }.mapOutput { $0 })), text)
    }

    @Test func `of an aggregate are reported by the check, not trapped`() {
        #expect(reports(CollectAggregate<Int>(limit: -1), "it is -1"))
        #expect(reports(TopAggregate<Int, Int>(0) { $0 }, "not 0"))
        #expect(reports(TopAggregate<Int, Int>(100_001) { $0 }, "not 100001"))
        #expect(reports(DistinctAggregate<Int, Int>(precision: 3) { $0 }, "not 3"))
        #expect(reports(ExactDistinctAggregate<Int, Int>(limit: 0) { $0 }, "not 0"))
        #expect(reports(HeavyHittersAggregate<Int, Int>(0) { $0 }, "not 0"))
        #expect(reports(HeavyHittersAggregate<Int, Int>(.max) { $0 }, "not \(Int.max)"))
        #expect(reports(HeavyHittersAggregate<Int, Int>(11, capacity: 10) { $0 }, "not 11"))
        let numbers: @Sendable (Int) -> Double = { Double($0) }
        #expect(reports(QuantilesAggregate([0.5, 1.5], of: numbers), "not 1.5"))
        #expect(reports(QuantilesAggregate([.nan], of: numbers), "not nan"))
        #expect(reports(QuantilesAggregate([0.5], relativeError: 0, of: numbers), "not 0.0"))
    }

    @Test func `of an aggregate do no harm before they are reported`() {
        #expect(CollectAggregate<Int>(limit: -1).result(over: [1]).droppedCount == 1)
        #expect(TopAggregate<Int, Int>(-1) { $0 }.result(over: [1]) == [])
        #expect(DistinctAggregate<Int, Int>(precision: 99) { $0 }.result(over: [1, 2]) == 2)
        #expect(
            QuantilesAggregate<Double>([2], relativeError: .nan) { $0 }.result(over: [1])[0].isNaN)
    }

    @Test func `of keyed state are reported by the check`() {
        let none = StateTTL(.zero)
        #expect(reports(numbers.scan(into: 0, ttl: none) { $0 + $1 }, "not 0.0 seconds"))
        #expect(reports(numbers.reduce(into: 0, ttl: none) { $0 += $1 }, "a ttl"))
        #expect(reports(numbers.distinct(ttl: none), "a ttl"))
        #expect(reports(numbers.changes(of: { $0 }, ttl: StateTTL(.seconds(-1))), "a ttl"))
    }

    @Test func `of a supervisor are reported by the check`() {
        let stream = EventStream("in", from: .collection([1]))
        let endless = Supervisor(within: .zero)
        #expect(reports(stream.supervised(endless), "not 0.0 seconds"))
        #expect(reports(stream.supervised(Supervisor(under: endless)), "not 0.0 seconds"))
        let topology = Topology("t", supervisor: Supervisor(within: .seconds(-1))) {
            stream.sink(.discard)
        }
        let error = #expect(throws: TopologyError.self) { try topology.validate() }
        #expect(error.map { "\($0)".contains("not -1.0 seconds") } == true)
    }

    @Test func `of a supervisor that another one has the name of are reported`() {
        let stream = EventStream("in", from: .collection([1]))
        func shared(_ intensity: Int) -> Supervisor {
            Supervisor(.oneForAll, name: "shared", intensity: intensity)
        }
        func problems(_ first: Supervisor, _ second: Supervisor) -> [String] {
            self.problems(
                stream.supervised(first).stage("s").supervised(second).sink(.discard))
        }
        #expect(problems(shared(1), shared(1)).isEmpty)
        #expect(problems(shared(1), shared(2)).first?.contains("'shared'") == true)
        #expect(problems(shared(1), Supervisor(under: shared(2))).count == 1)
    }

    @Test func `of a mailbox that takes the place of one that conflates are reported`() {
        let stream = EventStream("in", from: .collection([1])).conflateToLatest()
        #expect(reports(stream.mailbox(.bounded(4)), "conflate(capacity:)"))
        #expect(problems(stream.stage("s").mailbox(.bounded(4)).sink(.discard)).isEmpty)
    }
}
