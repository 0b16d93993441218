/// Groups: a pattern as a unit of another one, repeated or left out as a whole.
extension Pattern {
    /// A pattern that begins with a group.
    ///
    /// - Parameters:
    ///   - group: The pattern to repeat; without `within` and `afterMatch`, which are for the whole.
    ///   - times: How often it comes, one after the other; from 0 on it may be missing.
    ///   - isConsecutive: Whether nothing comes between one time and the next.
    public init(group: Pattern, times: ClosedRange<Int> = 1...1, isConsecutive: Bool = false) {
        self = group
        steps = []
        window = nil
        skip = .noSkip
        append(group, times, first: .relaxed, isConsecutive ? .strict : .relaxed)
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
        adding(group, times, first: .strict, isConsecutive)
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
        adding(group, times, first: .relaxed, isConsecutive)
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
        adding(group, times, first: .any, isConsecutive)
    }

    private func adding(
        _ group: Pattern, _ times: ClosedRange<Int>, first: Contiguity, _ isConsecutive: Bool
    ) -> Pattern {
        var pattern = self
        pattern.isFallible = isFallible || group.isFallible
        pattern.problems += group.problems
        if times.lowerBound == 0, let last = steps.last, last.isNegated || last.isGreedy {
            pattern.refuse("a group that may be missing must not follow a negated or greedy step")
        }
        pattern.append(group, times, first: first, isConsecutive ? .strict : .relaxed)
        return pattern
    }

    /// The group's steps as often as it may come; each time but the required ones may be left out
    /// with all that follow.
    private mutating func append(
        _ group: Pattern, _ times: ClosedRange<Int>, first: Contiguity, _ between: Contiguity
    ) {
        if group.window != nil || group.skip != .noSkip {
            problems.append("within and afterMatch are for the whole pattern, not for a group")
        }
        if group.steps.last?.isNegated == true {
            problems.append("a group must not end with a negated step")
        }
        let room = 61 / max(1, group.steps.count) + 1
        if times.lowerBound < 0 || times.upperBound < 1 {
            problems.append("a group comes at least 0 times and at most once or more")
            return
        }
        let upper = min(times.upperBound, room)
        for time in 0..<upper {
            let isOptional = time >= times.lowerBound
            for (index, step) in group.steps.enumerated() {
                var step = step
                if time > 0 { step.isCopy = true }
                if isOptional { step.isInOptionalGroup = true }
                if index == 0 {
                    step.kind = .step(time == 0 ? first : between)
                    if isOptional { step.exit = (upper - time) * group.steps.count }
                }
                steps.append(step)
            }
        }
    }
}
