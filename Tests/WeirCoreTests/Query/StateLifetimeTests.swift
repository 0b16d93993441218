import Testing
import WeirCore
import WeirTesting

@Suite struct `The time-to-live of a run` {
    private func counts(_ common: StateTTL?, own: StateTTL? = nil) throws -> [Int] {
        let input = SourceProbe<Reading>()
        let out = SinkProbe<Int>("out")
        var configuration = TopologyTest.configuration
        configuration.stateTTL = common
        let test = try TopologyTest(
            Topology("lifetime") {
                EventStream("in", from: input.source).keyed(by: \.key)
                    .reduce(into: 0, ttl: own) { count, _ in count += 1 }
                    .map(\.value).sink(out.sink)
            }, configuration: configuration)
        for _ in 0..<3 {
            input.send(Reading(1, 0, at: 0))
            try test.advance(by: .seconds(10))
        }
        return out.received
    }

    @Test func `is that of operators without one of their own`() throws {
        #expect(try counts(nil) == [1, 2, 3])
        #expect(try counts(StateTTL(.seconds(5))) == [1, 1, 1])
        #expect(try counts(StateTTL(.seconds(5)), own: StateTTL(.seconds(15))) == [1, 2, 3])
        #expect(try counts(StateTTL(.zero)) == [1, 2, 3])
    }
}
