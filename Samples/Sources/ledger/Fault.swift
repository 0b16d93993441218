import Synchronization

/// A failure on purpose: a stage and how often.
struct Fault: Sendable, Equatable {
    static let stages = ["accounts", "check"]

    var stage: String
    var every: Int

    /// From text such as `accounts:1000`.
    init?(argument: String) {
        let parts = argument.split(separator: ":")
        guard parts.count == 2, let every = Int(parts[1]), every > 0,
            Self.stages.contains(String(parts[0]))
        else { return nil }
        stage = String(parts[0])
        self.every = every
    }
}

/// Throws once at every N-th event of the stage that it stands in.
final class FaultSwitch: Sendable {
    struct Planned: Error, CustomStringConvertible {
        var description: String { "a fault on purpose" }
    }

    private let every: Int?
    private let count = Atomic<Int>(0)

    init(_ fault: Fault?, at stage: String) {
        every = fault?.stage == stage ? fault?.every : nil
    }

    func event() throws {
        guard let every else { return }
        if count.add(1, ordering: .relaxed).newValue % every == 0 { throw Planned() }
    }
}
