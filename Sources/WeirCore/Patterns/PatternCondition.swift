/// What an event has to satisfy: all of its tests.
@usableFromInline
struct PatternCondition<Element: Sendable>: Sendable {
    @usableFromInline var tests: [@Sendable (Element) throws -> Bool] = []
    /// Tests that look at what the partial match has taken so far.
    @usableFromInline var lookingBack: [@Sendable (Element, PartialMatch<Element>) throws -> Bool] =
        []

    @inlinable
    init() {}

    var isSet: Bool { !tests.isEmpty || !lookingBack.isEmpty }

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
