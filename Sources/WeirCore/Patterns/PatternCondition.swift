/// What an event has to satisfy: all of its tests.
@usableFromInline
struct PatternCondition<Element: Sendable>: Sendable {
    @usableFromInline var tests: [@Sendable (Element) throws -> Bool] = []
    /// Tests that look at what the partial match has taken so far.
    @usableFromInline var lookingBack: [@Sendable (Element, PartialMatch<Element>) throws -> Bool] =
        []

    @inlinable
    init() {}

    @inlinable
    func holds(for event: Element, _ buffer: borrowing MatchBuffer<Element>, _ node: Int32) throws
        -> Bool
    {
        for test in tests where try !test(event) { return false }
        if lookingBack.isEmpty { return true }
        let match = buffer.partialMatch(at: node)
        for test in lookingBack where try !test(event, match) { return false }
        return true
    }
}

/// Which events may come between two events of a match.
@usableFromInline
enum Contiguity: Sendable {
    /// None.
    case strict
    /// Those that the step does not take.
    case relaxed
    /// Any, also those that the step could have taken.
    case any
}

/// A step of a pattern as the user describes it.
@usableFromInline
struct PatternStep<Element: Sendable>: Sendable {
    @usableFromInline
    enum Kind: Sendable {
        case step(Contiguity)
        case notNext
        case notFollowedBy
    }

    @usableFromInline let name: String
    @usableFromInline var kind: Kind
    @usableFromInline var condition = PatternCondition<Element>()
    @usableFromInline var minimum = 1
    @usableFromInline var maximum = 1
    @usableFromInline var isOptional = false
    @usableFromInline var isGreedy = false
    /// Between the events of the step; relaxed unless said otherwise.
    @usableFromInline var inner: Contiguity?
    @usableFromInline var until: PatternCondition<Element>?
    /// Whether it stands for a step of a group that comes once more.
    var isCopy = false
    /// Whether it may be missing with the group that it belongs to.
    var isInOptionalGroup = false
    /// How many steps there are from here to behind a group that may be missing, at its first one.
    var exit = 0
    /// How many steps a group without an upper bound has, at its first one, and the contiguity of
    /// that when the group comes once more.
    var loop = 0
    var again: Contiguity?

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
}
