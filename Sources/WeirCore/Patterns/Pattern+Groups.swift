/// Groups: a pattern as a unit of another one, repeated or left out as a whole.
extension Pattern {
    /// A pattern that begins with a group.
    ///
    /// - Parameters:
    ///   - group: The pattern to repeat; without `within` and `afterMatch`, which are for the whole.
    ///   - times: How often it comes, one after the other; from 0 on it may be missing.
    ///   - isConsecutive: Whether nothing comes between one time and the next.
    public init(group: Pattern, times: ClosedRange<Int> = 1...1, isConsecutive: Bool = false) {
        self.init(group, Times(times), isConsecutive)
    }

    /// Adds a group whose first event comes directly behind the step before.
    ///
    /// - Parameters:
    ///   - group: The pattern to repeat; without `within` and `afterMatch`, which are for the whole.
    ///   - times: How often it comes, one after the other; from 0 on it may be missing.
    ///   - isConsecutive: Whether nothing comes between one time and the next.
    public func next(
        group: Pattern, times: ClosedRange<Int> = 1...1, isConsecutive: Bool = false
    ) -> Pattern {
        adding(group, Times(times), first: .strict, isConsecutive)
    }

    /// Adds a group that begins with the first event that its first step can take.
    ///
    /// ```swift
    /// Pattern<Payment>("large") { $0.amount > 500 }
    ///     .followedBy(
    ///         group: Pattern("small") { $0.amount < 1 }.next("back") { $0.amount < 0 },
    ///         times: 2...4)
    ///     .within(.hours(1))
    /// ```
    ///
    /// A match has the events of a step of the group together, under the step's name, of all times.
    /// Each time takes as many of the 60 steps that a pattern may have as the group has.
    ///
    /// - Parameters:
    ///   - group: The pattern to repeat; without `within` and `afterMatch`, which are for the whole.
    ///   - times: How often it comes, one after the other; from 0 on it may be missing.
    ///   - isConsecutive: Whether nothing comes between one time and the next.
    public func followedBy(
        group: Pattern, times: ClosedRange<Int> = 1...1, isConsecutive: Bool = false
    ) -> Pattern {
        adding(group, Times(times), first: .relaxed, isConsecutive)
    }

    /// Adds a group that begins with any event that its first step can take, in a match for each.
    ///
    /// - Parameters:
    ///   - group: The pattern to repeat; without `within` and `afterMatch`, which are for the whole.
    ///   - times: How often it comes, one after the other; from 0 on it may be missing.
    ///   - isConsecutive: Whether nothing comes between one time and the next.
    public func followedByAny(
        group: Pattern, times: ClosedRange<Int> = 1...1, isConsecutive: Bool = false
    ) -> Pattern {
        adding(group, Times(times), first: .any, isConsecutive)
    }

    // MARK: Without an upper bound

    /// A pattern that begins with a group which comes so often or more; see the initialiser with an
    /// upper bound.
    public init(group: Pattern, times: PartialRangeFrom<Int>, isConsecutive: Bool = false) {
        self.init(group, Times(times), isConsecutive)
    }

    /// Adds a group that comes so often or more, its first event directly behind the step before;
    /// see ``next(group:times:isConsecutive:)-(_,ClosedRange<Int>,_)``.
    public func next(
        group: Pattern, times: PartialRangeFrom<Int>, isConsecutive: Bool = false
    ) -> Pattern {
        adding(group, Times(times), first: .strict, isConsecutive)
    }

    /// Adds a group that comes so often or more, and begins with the first event that its first step
    /// can take; see ``followedBy(group:times:isConsecutive:)-(_,ClosedRange<Int>,_)``.
    ///
    /// Partial matches go on until they time out, so give the pattern a ``within(_:)``. A group
    /// without an upper bound holds no other one without.
    public func followedBy(
        group: Pattern, times: PartialRangeFrom<Int>, isConsecutive: Bool = false
    ) -> Pattern {
        adding(group, Times(times), first: .relaxed, isConsecutive)
    }

    /// Adds a group that comes so often or more, and begins with any event that its first step can
    /// take; see ``followedByAny(group:times:isConsecutive:)-(_,ClosedRange<Int>,_)``.
    public func followedByAny(
        group: Pattern, times: PartialRangeFrom<Int>, isConsecutive: Bool = false
    ) -> Pattern {
        adding(group, Times(times), first: .any, isConsecutive)
    }

    // MARK: Adding

    /// How often a group comes.
    private struct Times {
        let minimum: Int
        /// Nil for any number.
        let maximum: Int?

        init(_ range: ClosedRange<Int>) {
            (minimum, maximum) = (range.lowerBound, range.upperBound)
        }

        init(_ range: PartialRangeFrom<Int>) {
            (minimum, maximum) = (range.lowerBound, nil)
        }
    }

    private init(_ group: Pattern, _ times: Times, _ isConsecutive: Bool) {
        self = group
        steps = []
        window = nil
        skip = .noSkip
        append(group, times, first: .relaxed, isConsecutive ? .strict : .relaxed)
    }

    private func adding(
        _ group: Pattern, _ times: Times, first: Contiguity, _ isConsecutive: Bool
    ) -> Pattern {
        var pattern = self
        pattern.isFallible = isFallible || group.isFallible
        pattern.problems += group.problems
        if times.minimum == 0, let last = steps.last, last.isNegated || last.isGreedy {
            pattern.refuse("a group that may be missing must not follow a negated or greedy step")
        }
        pattern.append(group, times, first: first, isConsecutive ? .strict : .relaxed)
        return pattern
    }

    /// Adds the group's steps as often as it may come.
    ///
    /// Each time but the required ones may be left out with all that follow. Without an upper bound
    /// the last time is one of any number.
    private mutating func append(
        _ group: Pattern, _ times: Times, first: Contiguity, _ between: Contiguity
    ) {
        if group.window != nil || group.skip != .noSkip {
            problems.append("within and afterMatch are for the whole pattern, not for a group")
        }
        if group.steps.last?.isNegated == true {
            problems.append("a group must not end with a negated step")
        }
        if times.maximum == nil, group.steps.contains(where: { $0.loop > 0 }) {
            problems.append("a group without an upper bound must not hold another one without")
        }
        let maximum = times.maximum ?? max(1, times.minimum)
        if times.minimum < 0 || maximum < 1 {
            problems.append("a group comes at least 0 times and at most once or more")
            return
        }
        let room = 61 / max(1, group.steps.count) + 1
        let upper = min(maximum, room)
        for time in 0..<upper {
            let isOptional = time >= times.minimum
            let isLoop = times.maximum == nil && time == upper - 1
            for (index, step) in group.steps.enumerated() {
                var step = step
                if time > 0 { step.isCopy = true }
                if isOptional || isLoop { step.isInOptionalGroup = true }
                if index == 0 {
                    step.kind = .step(time == 0 ? first : between)
                    if isOptional { step.exit = (upper - time) * group.steps.count }
                    if isLoop {
                        step.loop = group.steps.count
                        step.again = between
                    }
                }
                steps.append(step)
            }
        }
    }
}
