import WeirBinary

/// The events of a loop that a checkpoint has: those that waited at the head, or came back while the barrier went round.
final class LoopEvents<Element: Sendable>: CheckpointedState {
    private let freeze: () throws -> [Batch<Element>]
    private let bring: ([Batch<Element>]) -> Void
    private let codec = StateCodec<[Batch<Element>]>.make()
    private var frozen: [Batch<Element>] = []
    /// Any key group of the stage instance: who has that group later on takes the events in.
    private let group: Int

    init(
        group: Int, freeze: @escaping () throws -> [Batch<Element>],
        restore: @escaping ([Batch<Element>]) -> Void
    ) {
        self.group = group
        self.freeze = freeze
        bring = restore
    }

    var contents: String { "events of \(Element.self) in a loop" }
    var isKeyed: Bool { true }
    var obstacle: String? {
        Element.self is any Codable.Type ? nil : "\(Element.self) isn't Codable"
    }

    func beginCapture() throws {
        frozen = try freeze()
    }

    func captureNext() -> CapturedPortion? {
        guard !frozen.isEmpty, let codec else { return nil }
        let batches = frozen
        frozen = []
        return CapturedPortion(group: group, entries: batches.reduce(0) { $0 + $1.count }) {
            try codec.encode(batches)
        }
    }

    func restore(_ portion: inout RestoredPortion, ownsGroup: (Int) -> Bool) throws {
        if let batches = try codec?.read(&portion.reader) { bring(batches) }
    }
}
