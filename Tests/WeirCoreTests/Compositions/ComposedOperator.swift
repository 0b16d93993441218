import WeirCore

/// An operator with its arguments: how it is put into a topology, and what it is to give by a plain
/// computation.
struct ComposedOperator: Sendable {
    /// Where an operator is put.
    struct Place: Sendable {
        /// The name of its stage.
        let name: String
        /// The capacity of its mailbox; nil for the default.
        let room: Int?
        /// Whether what finds its mailbox full goes to disk.
        let spills: Bool

        func within<Element>(_ stream: EventStream<Element>) -> EventStream<Element> {
            guard let room else { return stream }
            return stream.mailbox(.bounded(room, overflow: spills ? .spill() : .suspend))
        }
    }

    let text: String
    /// What is promised of each of its outputs.
    let outputs: [StreamTraits]
    let build: @Sendable (Place, [ItemStream]) -> [ItemStream]
    let compute: @Sendable ([[Item]]) -> [[Item]]

    /// An operator with one input and one output.
    init(
        _ text: String, _ output: StreamTraits,
        build: @escaping @Sendable (ItemStream, Place) -> ItemStream,
        compute: @escaping @Sendable ([Item]) -> [Item]
    ) {
        self.init(
            text, [output], build: { [build($1, $0)] }, compute: { [compute($0)] })
    }

    /// An operator with one input and several outputs.
    init(
        _ text: String, _ outputs: [StreamTraits],
        build: @escaping @Sendable (Place, ItemStream) -> [ItemStream],
        compute: @escaping @Sendable ([Item]) -> [[Item]]
    ) {
        self.text = text
        self.outputs = outputs
        self.build = { place, streams in build(place, streams[0]) }
        self.compute = { compute($0[0]) }
    }

    /// An operator with two inputs and one output.
    init(
        _ text: String, joined output: StreamTraits,
        build: @escaping @Sendable (ItemStream, ItemStream, Place) -> ItemStream,
        compute: @escaping @Sendable ([Item], [Item]) -> [Item]
    ) {
        self.text = text
        outputs = [output]
        self.build = { place, streams in [build(streams[0], streams[1], place)] }
        self.compute = { [compute($0[0], $0[1])] }
    }
}

/// Where random choices come from, and what they have to heed.
struct Draw {
    var random: SplitMix64
    let parallelism: Int

    mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }

    mutating func number(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &random)
    }

    mutating func chance(_ part: Int, of whole: Int) -> Bool { below(whole) < part }

    mutating func pick<Choice>(_ choices: [Choice]) -> Choice { choices[below(choices.count)] }
}

/// Chooses the arguments of an operator for streams of these traits; nil if it is nothing for them.
struct Recipe: Sendable {
    let inputs: Int
    let make: @Sendable (inout Draw, [StreamTraits]) -> ComposedOperator?

    static func one(
        _ make: @escaping @Sendable (inout Draw, StreamTraits) -> ComposedOperator?
    ) -> Recipe {
        Recipe(inputs: 1) { make(&$0, $1[0]) }
    }

    static func two(
        _ make: @escaping @Sendable (inout Draw, StreamTraits, StreamTraits) -> ComposedOperator?
    ) -> Recipe {
        Recipe(inputs: 2) { make(&$0, $1[0], $1[1]) }
    }

    static let all =
        plain + whole + routing + keyed + lives + windows + windows + joins + joins + changes
        + calls + late + clock + failing + rules
}
