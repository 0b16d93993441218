import Testing
import WeirCore
import WeirTesting

@Suite struct `A plan` {
    private func stages(_ topology: Topology) -> [[String]] {
        topology.plan.stages.map { stage in stage.nodes.map { topology.plan.nodes[$0].kind } }
    }

    @Test func `fuses operators into the stage they follow`() {
        let topology = Topology("t") {
            EventStream("in", from: .collection([1])).map { $0 }.filter { _ in true }
                .stage("next").map { $0 }.sink(SinkProbe<Int>("out").sink)
        }
        #expect(
            stages(topology) == [["collection", "map", "filter"], ["stage", "map"], ["probe"]])
        #expect(topology.plan.stages.map(\.name) == ["in", "next", "out"])
    }

    @Test func `broadcasts a stream that is used twice, and joins diamonds`() throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>("out")
        let topology = Topology("t") {
            let stream = EventStream("in", from: source.source)
            stream.map { $0 * 10 }.merge(stream.map { $0 * 100 }).sink(sink.sink)
        }
        #expect(stages(topology) == [["probe", "map", "map"], ["merge"], ["probe"]])
        for seed in TopologyTest.seeds(20) {
            sink.reset()
            let test = try TopologyTest(topology, seed: seed)
            source.send(1, 2)
            try test.run()
            #expect(sink.received.sorted() == [10, 20, 100, 200], "\(test)")
        }
    }

    @Test func `numbers stages of the same kind`() {
        let topology = Topology("t") {
            EventStream("in", from: .collection([1])).sink(SinkProbe<Int>().sink)
            EventStream("in2", from: .collection([1])).sink(SinkProbe<Int>().sink)
        }
        #expect(topology.plan.stages.map(\.name) == ["in", "probe", "in2", "probe-2"])
    }

    private func problems(_ topology: Topology) -> [String] {
        do {
            try topology.validate()
            return []
        } catch {
            return error.problems.map { "\($0.code): \($0.message)" }
        }
    }

    @Test func `refuses two stages of one name, naming the other place`() {
        let topology = Topology("t") {
            EventStream("in", from: .collection([1])).stage("in").sink(SinkProbe<Int>().sink)
        }
        let found = problems(topology)
        #expect(found.count == 1)
        #expect(found[0].hasPrefix("duplicateName: two stages are named 'in' (the other at "))
        #expect(found[0].contains("PlanTests.swift:"))
    }

    @Test func `refuses an outlet that is used twice`() {
        let out: Outlet<Int> = "out"
        let topology = Topology("t") {
            EventStream("in", from: .collection([1])).sink(.outlet(out))
            EventStream("in2", from: .collection([1])).sink(.outlet(out))
        }
        #expect(problems(topology).contains { $0.contains("outlet out is used twice") })
    }

    @Test func `refuses an empty topology and a mailbox without room`() {
        #expect(problems(Topology("t") {}).first?.hasPrefix("empty") == true)
        let topology = Topology("t") {
            EventStream("in", from: .collection([1])).mailbox(.bounded(0))
                .sink(SinkProbe<Int>().sink)
        }
        #expect(
            problems(topology) == [
                "invalidArgument: the stage 'in' needs a capacity and a parallelism of at least 1"
            ])
    }
}

@Suite struct `A drawing` {
    private let topology = Topology("a \"b\"") {
        EventStream("in", from: .collection([1])).map { $0 }
            .stage("x \"<y>\" \\").sink(SinkProbe<Int>("out").sink)
    }

    @Test func `shows stages with their operators as text`() {
        #expect(
            topology.description == """
                topology a "b"
                  in: source collection | map
                    -> x "<y>" \\
                  x "<y>" \\: stage
                    -> out
                  out: sink probe
                """)
    }

    @Test func `escapes names for Mermaid`() {
        let text = topology.drawing(.mermaid)
        #expect(text.contains(##"subgraph s1["x #34;#60;y#62;#34; \"]"##))
        #expect(text.contains("n0 --- n1"))
        #expect(text.contains("n1 --> n2"))
    }

    @Test func `escapes names for Graphviz`() {
        let text = topology.drawing(.dot)
        #expect(text.hasPrefix(#"digraph "a \"b\"" {"#))
        #expect(text.contains(#"label="x \"<y>\" \\";"#))
        #expect(text.hasSuffix("}"))
    }
}
