import Testing
import WeirCore
import WeirTesting

/// Crashes anywhere, also while rows of both sides wait for late ones: results and late rows stay
/// the same.
@Suite struct `Joins with late rows under crashes` {
    private static let windows: [`Windows under crashes`.Case] =
        `Windows under crashes`.shapes.flatMap { shape in
            var patient = shape
            patient.lateness = .seconds(6)
            patient.testDescription += ", lateness"
            return [shape, patient]
        } + [
            .init("tumbling, lateness", .tumbling(.seconds(8)), lateness: .seconds(6)),
            .init(
                "tumbling, counted", .tumbling(.seconds(12)), lateness: .seconds(6),
                trigger: .every(2)),
            .init("count", .count(4)),
            .init("count, sliding", .count(6, every: 4)),
        ]

    /// The rows of two sides, told apart by their values, and watermarks among them.
    private static let script = `Windows under crashes`.late(seed: 11, count: 40)

    private static func sides(
        _ world: SimulatedWorld
    ) -> (KeyedStream<Int, Reading>, KeyedStream<Int, Reading>) {
        let (left, right) = world.paced("in", script).scripted()
            .split { $0.value % 4 < 2 }
        return (left.keyed(by: \.key), right.keyed(by: \.key))
    }

    @Test(arguments: windows)
    func `keep windows of every kind as they are`(_ shape: `Windows under crashes`.Case) throws {
        let counts = SimulatedCounts()
        let simulation = Simulation { world in
            Topology("windows") {
                let (left, right) = Self.sides(world)
                let late = LateRows<Reading, Reading>()
                left.window(
                    shape.window, allowedLateness: shape.lateness, trigger: shape.trigger
                )
                .join(right, .full, late: late, Self.pair)
                .map { window in
                    [window.key, Int(window.window.upperBound.nanoseconds)] + window.value
                }
                .sink(world.sink("pairs", order: .any))
                late.left.sink(world.sink("late left", order: .perKey(\.key)))
                late.right.sink(world.sink("late right", order: .perKey(\.key)))
            }
        }.parallelism(1...4).check { outcome in
            counts.note(outcome, "pairs", of: [Int].self)
            counts.note(outcome, "late left", of: Reading.self)
            counts.note(outcome, "late right", of: Reading.self)
        }
        try simulation.run(seeds: 0..<20)
        #expect(counts["pairs"] > 8)
        if shape.window == .session(gap: .seconds(4)), shape.lateness == .zero {
            #expect(counts["late left"] > 0 && counts["late right"] > 0)
        }
    }

    @Test func `keep intervals and their late rows as they are`() throws {
        let counts = SimulatedCounts()
        let simulation = Simulation { world in
            Topology("intervals") {
                let (left, right) = Self.sides(world)
                let late = LateRows<Reading, Reading>()
                left.join(
                    right, within: .seconds(-3) ... .seconds(5), .full, late: late, Self.pair
                )
                .sink(world.sink("pairs", order: .any))
                late.left.sink(world.sink("late left", order: .perKey(\.key)))
                late.right.sink(world.sink("late right", order: .perKey(\.key)))
            }
        }.parallelism(1...4).ignoringState().check { outcome in
            counts.note(outcome, "pairs", of: [Int].self)
            counts.note(outcome, "late left", of: Reading.self)
        }
        try simulation.run(seeds: 0..<25)
        #expect(counts["pairs"] > 8 && counts["late left"] > 0)
    }

    @Test func `keep versions and their late rows as they are`() throws {
        let counts = SimulatedCounts()
        let simulation = Simulation { world in
            Topology("versions") {
                let (left, right) = Self.sides(world)
                let late = LateRows<Reading, Reading>()
                left.join(asOf: right, late: late, Self.pair)
                    .sink(world.sink("pairs", order: .any))
                late.left.sink(world.sink("late left", order: .perKey(\.key)))
            }
        }.parallelism(1...4).ignoringState().check { outcome in
            counts.note(outcome, "pairs", of: [Int].self)
            counts.note(outcome, "late left", of: Reading.self)
        }
        try simulation.run(seeds: 0..<25)
        #expect(counts["pairs"] > 8 && counts["late left"] > 0)
    }

    private static func pair(_ left: Reading?, _ right: Reading?) throws -> [Int] {
        if left == nil, right == nil { throw Neither() }
        return [left?.value ?? -1, right?.value ?? -1]
    }

    private struct Neither: Error {}
}
