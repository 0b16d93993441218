import WeirCore
import WeirTesting

/// A random topology, with what it is to give.
struct Composition: Sendable {
    /// An output of a source or a step.
    struct Output: Sendable, Hashable {
        /// The number of the source or step; sources come first.
        let node: Int
        let output: Int
    }

    struct Input: Sendable {
        let items: [Item]
        /// By how much items come out of order at the most.
        let bound: Duration
    }

    struct Step: Sendable {
        /// Its place among all recipes.
        let recipe: Int
        let operation: ComposedOperator
        let inputs: [Output]
        let place: ComposedOperator.Place
    }

    let seed: UInt64
    let parallelism: Int
    /// Whether each life has another parallelism, up to this one.
    let isRescaled: Bool
    private(set) var inputs: [Input] = []
    /// By how much the inputs may be apart; nil when they aren't aligned.
    private let drift: Duration?
    private(set) var steps: [Step] = []
    /// The streams that end in a receiver.
    private(set) var ends: [Output] = []

    /// Of all streams what is promised of them.
    private var traits: [[StreamTraits]] = []

    /// Chooses operators and how they are connected.
    init(seed: UInt64, parallelism: Int, isRescaled: Bool = false) {
        self.seed = seed
        self.isRescaled = isRescaled
        self.parallelism = parallelism
        var draw = Draw(random: SplitMix64(seed: seed), parallelism: parallelism)
        drift = draw.chance(1, of: 3) ? .seconds(draw.number(1...8)) : nil
        for _ in 0..<draw.number(1...2) { addInput(&draw) }
        var data = inputs.map { [$0.items] }
        var used: Set<Output> = []
        let count = draw.number(3...10)
        for _ in 0..<300 where steps.count < count {
            guard let step = drawStep(&draw, used, data) else { continue }
            let results = step.operation.compute(step.inputs.map { data[$0.node][$0.output] })
            // Neither too much for a short run nor nothing to compare.
            let sizes = results.map(\.count)
            guard sizes.allSatisfy({ $0 <= 200 }), sizes.contains(where: { $0 > 0 }) else {
                continue
            }
            steps.append(step)
            used.formUnion(step.inputs)
            data.append(results)
            traits.append(step.operation.outputs)
        }
        ends = outputs.filter { !used.contains($0) || draw.chance(1, of: 8) }
    }

    private var outputs: [Output] {
        traits.indices.flatMap { node in
            traits[node].indices.map { Output(node: node, output: $0) }
        }
    }

    private mutating func addInput(_ draw: inout Draw) {
        let disorder = draw.pick([0, 0, 2, 4])
        let keys = draw.number(2...5)
        let slack = draw.pick([0, 0, 1, 3])
        var half = 200 + draw.below(10)
        var items: [Item] = []
        for _ in 0..<draw.number(10...22) {
            half += draw.below(6)
            let at = Int64(half - draw.below(2 * disorder + 1)) * ComposedWindow.second / 2
            items.append(Item(draw.below(keys), draw.below(300), at: at))
        }
        var (latest, bound) = (Int64.min, Int64(0))
        for item in items {
            latest = max(latest, item.at)
            bound = max(bound, latest - item.at)
        }
        inputs.append(
            Input(items: items, bound: .nanoseconds(bound) + .seconds(slack)))
        traits.append([StreamTraits(order: .whole, isTimed: true, keys: Set(0..<keys))])
    }

    private func drawStep(
        _ draw: inout Draw, _ used: Set<Output>, _ data: [[[Item]]]
    ) -> Step? {
        let number = draw.below(Recipe.all.count)
        let recipe = Recipe.all[number]
        let open = outputs.filter { !used.contains($0) && !data[$0.node][$0.output].isEmpty }
        let all = outputs.filter { !data[$0.node][$0.output].isEmpty }
        let inputs = (0..<recipe.inputs).map { _ in
            draw.pick(open.isEmpty || draw.chance(1, of: 4) ? all : open)
        }
        let operation = recipe.make(&draw, inputs.map { traits[$0.node][$0.output] })
        guard let operation else { return nil }
        let place = ComposedOperator.Place(
            name: "s\(traits.count)", room: draw.chance(1, of: 4) ? draw.number(1...4) : nil,
            spills: draw.chance(1, of: 3))
        return Step(recipe: number, operation: operation, inputs: inputs, place: place)
    }

    /// The same with one of its ends only, and what that needs.
    func keeping(_ end: Output) -> Composition {
        var copy = self
        copy.ends = [end]
        return copy
    }

    /// The sources and steps above the ends.
    private var needed: Set<Int> {
        var needed = Set(ends.map(\.node))
        for (index, step) in steps.enumerated().reversed()
        where needed.contains(inputs.count + index) {
            needed.formUnion(step.inputs.map(\.node))
        }
        return needed
    }

    // MARK: What it is

    func topology(
        in world: SimulatedWorld, _ kept: CompositionInputs,
        source: ((String, [Item]) -> Source<Item>)? = nil
    ) -> Topology {
        var streams: [[ItemStream]] = []
        for (index, input) in inputs.enumerated() {
            let name = "in\(index)"
            kept.note(world.events(name, input.items), of: index)
            let strategy = WatermarkStrategy<Item>.boundedOutOfOrderness(input.bound)
                .neverIdle
            let from = source?(name, input.items) ?? world.source(name, input.items)
            let stream = EventStream(name, from: from).eventTime(\.time, strategy)
            streams.append([
                drift.map { stream.aligned(in: "inputs", maximumDrift: $0) } ?? stream
            ])
        }
        for step in steps {
            let inputs = step.inputs.enumerated().map { index, input in
                let stream = streams[input.node][input.output]
                // What is not kept by key is not to be in several instances.
                return isRescaled ? stream.stage("\(step.place.name)-in\(index)") : stream
            }
            streams.append(step.operation.build(step.place, inputs))
        }
        return Topology("composition \(seed)") {
            for end in ends { sink(of: end, streams[end.node][end.output], world) }
        }
    }

    private func sink(of end: Output, _ stream: ItemStream, _ world: SimulatedWorld) -> Pipeline {
        let traits = traits[end.node][end.output]
        let items = traits.isTimed ? stream.items { $0.at($1) } : stream
        let order: SimulatedOrder<Item> =
            switch traits.order {
            case .whole: .whole
            case .perKey: .perKey(\.key)
            case .any: .any
            }
        let pipeline = items.sink(world.sink(name(of: end), order: order))
        // Every third one holds up what is above it.
        return (end.node + end.output) % 3 == 0 ? pipeline.mailbox(.bounded(2)) : pipeline
    }

    func name(of end: Output) -> String {
        (end.node < inputs.count ? "in\(end.node)" : "s\(end.node)") + ".\(end.output)"
    }

    // MARK: What it is to give

    /// Compares what the receivers have got with a plain computation.
    func check(_ outcome: SimulationOutcome, of inputs: [[Item]]) throws {
        var data = inputs.map { [$0] }
        for step in steps {
            data.append(
                step.operation.compute(step.inputs.map { data[$0.node][$0.output] }))
        }
        for end in ends {
            let order = traits[end.node][end.output].order
            let (actual, expected) = (
                outcome.events(name(of: end), as: Item.self), data[end.node][end.output]
            )
            if let problem = order.problem(of: actual, expected: expected) {
                throw CompositionMismatch(
                    description: "computed for '\(name(of: end))': \(problem)")
            }
        }
    }
}

struct CompositionMismatch: Error, CustomStringConvertible {
    let description: String
}

extension Composition: CustomStringConvertible {
    /// Its operators with their arguments, line by line.
    var description: String {
        var lines = [
            "composition \(seed), parallelism \(isRescaled ? "up to " : "")\(parallelism)"
        ]
        if let drift { lines.append("inputs aligned within \(drift)") }
        let needed = needed
        for (index, input) in inputs.enumerated() where needed.contains(index) {
            lines.append("in\(index): \(input.items.count) items, \(input.bound) out of order")
        }
        for (index, step) in steps.enumerated() where needed.contains(inputs.count + index) {
            let room =
                step.place.room.map { ", room \($0)\(step.place.spills ? ", spills" : "")" } ?? ""
            let from = step.inputs.map { name(of: $0) }.joined(separator: ", ")
            let promised = traits[inputs.count + index].map {
                "\($0.order)\($0.isTimed ? "" : " untimed")"
            }.joined(separator: ", ")
            lines.append(
                "\(step.place.name) = \(step.operation.text) of \(from)\(room)  # \(promised)")
        }
        lines.append("ends: \(ends.map { name(of: $0) }.joined(separator: ", "))")
        return lines.joined(separator: "\n")
    }
}
