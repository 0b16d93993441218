/// A sequence of events to look for: steps in order, each with a condition.
///
/// The first step is given at the start; `next`, `followedBy` and `followedByAny` add further
/// ones, and quantifiers such as `times(3)` apply to the step added last. The meaning is
/// that of Flink's CEP library (Agrawal et al., Efficient Pattern Matching over Event Streams,
/// SIGMOD 2008).
///
/// ```swift
/// Pattern<Payment>("small") { $0.amount < 1 }.times(3...)
///     .followedBy("large") { $0.amount > 500 }
///     .within(.minutes(10))
/// ```
///
/// A pattern is a value. ``KeyedStream/pattern(_:name:time:limits:file:line:)`` looks for it; what
/// cannot be matched is refused by `validate()`.
public struct Pattern<Element: Sendable>: Sendable {
    @usableFromInline var steps: [PatternStep<Element>]
    @usableFromInline var isFallible = false
    @usableFromInline var window: Duration?
    @usableFromInline var skip = AfterMatch.noSkip
    @usableFromInline var problems: [String] = []

    /// A pattern of one step, which takes any event unless `where` says otherwise.
    ///
    /// - Parameter name: The step's name, unique in the pattern: under which a match has its
    ///   events.
    @inlinable
    public init(_ name: String) {
        steps = [PatternStep(name, .step(.relaxed))]
    }

    /// A pattern of one step, which takes an event that satisfies a condition.
    @inlinable
    public init<Failure: Error>(
        _ name: String, where condition: @escaping @Sendable (Element) throws(Failure) -> Bool
    ) {
        self.init(name)
        self = self.where(condition)
    }

    @inlinable
    func adding(_ name: String, _ kind: PatternStep<Element>.Kind) -> Pattern {
        var pattern = self
        pattern.steps.append(PatternStep(name, kind))
        return pattern
    }

    @inlinable
    func changing(_ body: (inout PatternStep<Element>) -> Void) -> Pattern {
        var pattern = self
        body(&pattern.steps[pattern.steps.count - 1])
        return pattern
    }

    /// Adds a condition that the last step's events have to satisfy as well.
    @inlinable
    public func `where`<Failure: Error>(
        _ condition: @escaping @Sendable (Element) throws(Failure) -> Bool
    ) -> Pattern {
        var pattern = changing { $0.condition.tests.append(condition) }
        if Failure.self != Never.self { pattern.isFallible = true }
        return pattern
    }

    /// Adds a condition on the last step's events that looks at the events matched so far.
    ///
    /// - Complexity: Looking at a step's events costs O(events matched so far), for each partial
    ///   match.
    @inlinable
    public func `where`<Failure: Error>(
        _ condition:
            @escaping @Sendable (Element, PartialMatch<Element>) throws(Failure) -> Bool
    ) -> Pattern {
        var pattern = changing { $0.condition.lookingBack.append(condition) }
        if Failure.self != Never.self { pattern.isFallible = true }
        return pattern
    }

    // MARK: Further steps

    /// Adds a step whose event comes directly behind the step before: strict contiguity.
    @inlinable
    public func next(_ name: String) -> Pattern { adding(name, .step(.strict)) }

    /// Adds a step with a condition whose event comes directly behind the step before.
    @inlinable
    public func next<Failure: Error>(
        _ name: String, where condition: @escaping @Sendable (Element) throws(Failure) -> Bool
    ) -> Pattern {
        next(name).where(condition)
    }

    /// Adds a step that takes the first event that satisfies its conditions: relaxed contiguity.
    @inlinable
    public func followedBy(_ name: String) -> Pattern { adding(name, .step(.relaxed)) }

    /// Adds a step that takes the first event that satisfies a condition.
    @inlinable
    public func followedBy<Failure: Error>(
        _ name: String, where condition: @escaping @Sendable (Element) throws(Failure) -> Bool
    ) -> Pattern {
        followedBy(name).where(condition)
    }

    /// Adds a step that takes any event that satisfies its conditions, in a match for each.
    ///
    /// Non-deterministic relaxed contiguity: partial matches go on until they time out, so give the
    /// pattern a ``within(_:)``.
    @inlinable
    public func followedByAny(_ name: String) -> Pattern { adding(name, .step(.any)) }

    /// Adds a step that takes any event that satisfies a condition, in a match for each.
    @inlinable
    public func followedByAny<Failure: Error>(
        _ name: String, where condition: @escaping @Sendable (Element) throws(Failure) -> Bool
    ) -> Pattern {
        followedByAny(name).where(condition)
    }

    /// The event directly behind the step before must not satisfy the conditions.
    ///
    /// At the end of a pattern the match is complete with the next event, which is no part of it.
    @inlinable
    public func notNext(_ name: String) -> Pattern { adding(name, .notNext) }

    /// The event directly behind the step before must not satisfy a condition.
    @inlinable
    public func notNext<Failure: Error>(
        _ name: String, where condition: @escaping @Sendable (Element) throws(Failure) -> Bool
    ) -> Pattern {
        notNext(name).where(condition)
    }

    /// No event that satisfies the conditions comes between the steps before and behind.
    ///
    /// It holds from the first event of the step before. At the end of a pattern it needs a
    /// ``within(_:)``: the match is complete when that is over.
    @inlinable
    public func notFollowedBy(_ name: String) -> Pattern { adding(name, .notFollowedBy) }

    /// No event that satisfies a condition comes between the steps before and behind.
    @inlinable
    public func notFollowedBy<Failure: Error>(
        _ name: String, where condition: @escaping @Sendable (Element) throws(Failure) -> Bool
    ) -> Pattern {
        notFollowedBy(name).where(condition)
    }

    // MARK: The whole pattern

    /// All events of a match come less than `duration` after its first one.
    ///
    /// A partial match for which that is over times out. The shortest one counts when there are
    /// several.
    public func within(_ duration: Duration) -> Pattern {
        var pattern = self
        pattern.window = window.map { Swift.min($0, duration) } ?? duration
        if duration <= .zero {
            pattern.problems.append("within takes a positive duration, not \(duration)")
        }
        return pattern
    }

    /// Says which other matches a match rules out; by default none.
    public func afterMatch(_ skip: AfterMatch) -> Pattern {
        var pattern = self
        pattern.skip = skip
        return pattern
    }
}

/// Which partial and complete matches are discarded when there is a match.
///
/// With any but ``noSkip`` a match waits until no partial match is left that began earlier, since
/// that one might rule it out.
public struct AfterMatch: Sendable, Hashable {
    @usableFromInline
    enum Kind: Sendable, Hashable {
        case noSkip, next, pastLast
        case first(String)
        case last(String)
    }

    @usableFromInline let kind: Kind

    /// None: each event may be in any number of matches.
    public static let noSkip = AfterMatch(kind: .noSkip)
    /// Those that began with the same event.
    public static let skipToNext = AfterMatch(kind: .next)
    /// Those that began before the match ended: an event is in one match at the most.
    public static let skipPastLastEvent = AfterMatch(kind: .pastLast)
    /// Those that began before the first event of a step; none if the match has no event of it.
    public static func skipToFirst(_ step: String) -> AfterMatch { AfterMatch(kind: .first(step)) }
    /// Those that began before the last event of a step; none if the match has no event of it.
    public static func skipToLast(_ step: String) -> AfterMatch { AfterMatch(kind: .last(step)) }
}
