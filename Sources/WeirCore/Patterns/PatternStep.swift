/// A step of a pattern as the user describes it, or a group of steps.
@usableFromInline
struct PatternStep<Element: Sendable>: Sendable {
    @usableFromInline
    enum Kind: Sendable {
        case step(Contiguity)
        case notNext
        case notFollowedBy
    }

    /// The name of the step, or of the first one of the group.
    @usableFromInline let name: String
    @usableFromInline var kind: Kind
    @usableFromInline var condition = PatternCondition<Element>()
    @usableFromInline var minimum = 1
    @usableFromInline var maximum = 1
    @usableFromInline var isOptional = false
    @usableFromInline var isGreedy = false
    /// Between the events of the step, or one time of the group and the next; relaxed unless said
    /// otherwise.
    @usableFromInline var inner: Contiguity?
    @usableFromInline var until: PatternCondition<Element>?
    /// The steps of a group.
    var members: [PatternStep] = []

    // What a step has from the groups that it belongs to, once they are expanded.

    /// Whether it stands for a step of a group that comes once more.
    var isCopy = false
    /// How many groups that may be missing, or come fewer times, it belongs to.
    var optionalGroups = 0
    /// At the first step of groups that may be missing: how many steps there are to behind each.
    var exits: [Int] = []
    /// How many steps a group without an upper bound has, at its first one, and the contiguity of
    /// that when the group comes once more.
    var loop = 0
    var again: Contiguity?
    /// From which event on the group takes nothing more.
    var groupUntil: PatternCondition<Element>?

    @usableFromInline
    init(_ name: String, _ kind: Kind) {
        self.name = name
        self.kind = kind
    }

    @usableFromInline var isNegated: Bool {
        if case .step = kind { return false }
        return true
    }

    @usableFromInline var isLooping: Bool { maximum > 1 }

    var isGroup: Bool { !members.isEmpty }

    /// Whether it ends with a greedy step.
    var endsGreedily: Bool { members.last?.endsGreedily ?? isGreedy }

    /// For texts of problems.
    var title: String { isGroup ? "group of '\(name)'" : "step '\(name)'" }
}
