/// Groups: a pattern as a unit of another one, which takes quantifiers as a step does.
extension Pattern {
    /// A pattern that begins with a group.
    ///
    /// - Parameter group: The steps; without `within` and `afterMatch`, which are for the whole.
    public init(group: Pattern) {
        self = group
        steps = []
        window = nil
        skip = .noSkip
        append(group, .relaxed)
    }

    /// Adds a group whose first event comes directly behind the step before.
    ///
    /// - Parameter group: The steps; without `within` and `afterMatch`, which are for the whole.
    public func next(group: Pattern) -> Pattern { adding(group, .strict) }

    /// Adds a group that begins with the first event that its first step can take.
    ///
    /// Quantifiers apply to the group as a whole: it comes several times, or may be missing.
    ///
    /// ```swift
    /// Pattern<Payment>("large") { $0.amount > 500 }
    ///     .followedBy(group: Pattern("small") { $0.amount < 1 }.next("back") { $0.amount < 0 })
    ///     .times(2...4)
    ///     .within(.hours(1))
    /// ```
    ///
    /// A match has the events of a step of the group together, under the step's name, of all times.
    /// Each time takes as many of the 60 steps that a pattern may have as the group has. Without an
    /// upper bound those that have to be there count; partial matches go on until they time out, so
    /// give the pattern a ``within(_:)`` or the group an `until`.
    ///
    /// - Parameter group: The steps; without `within` and `afterMatch`, which are for the whole.
    public func followedBy(group: Pattern) -> Pattern { adding(group, .relaxed) }

    /// Adds a group that begins with any event that its first step can take, in a match for each.
    ///
    /// - Parameter group: The steps; without `within` and `afterMatch`, which are for the whole.
    public func followedByAny(group: Pattern) -> Pattern { adding(group, .any) }

    private func adding(_ group: Pattern, _ contiguity: Contiguity) -> Pattern {
        var pattern = self
        pattern.isFallible = isFallible || group.isFallible
        pattern.problems += group.problems
        pattern.append(group, contiguity)
        return pattern
    }

    private mutating func append(_ group: Pattern, _ contiguity: Contiguity) {
        if group.window != nil || group.skip != .noSkip {
            problems.append("within and afterMatch are for the whole pattern, not for a group")
        }
        if group.steps.last?.isNegated == true {
            problems.append("a group must not end with a negated step")
        }
        var step = PatternStep<Element>(group.steps.first?.name ?? "", .step(contiguity))
        step.members = group.steps
        steps.append(step)
    }
}

extension PatternStep {
    /// The step, or those of the group as often as it may come.
    ///
    /// Each time but the required ones may be left out with all that follow. Without an upper bound
    /// the last time is one of any number.
    var expanded: [PatternStep] {
        guard isGroup else { return [self] }
        let members = members.flatMap(\.expanded)
        let minimum = max(1, minimum)
        let isOpen = maximum == .max
        // What is beyond the steps that a pattern may have is refused.
        let room = 61 / members.count + 1
        let times = min(isOpen ? minimum : max(1, maximum), room)
        var steps: [PatternStep] = []
        for time in 0..<times {
            let isLoop = isOpen && time == times - 1
            for (index, member) in members.enumerated() {
                var step = member
                if time > 0 { step.isCopy = true }
                if isOptional || time >= minimum || isLoop { step.optionalGroups += 1 }
                if let until { step.groupUntil = until }
                if index == 0 {
                    step.kind = time == 0 ? kind : .step(between)
                    if time >= minimum || time == 0 && isOptional {
                        step.exits.append((times - time) * members.count)
                    }
                    if isLoop {
                        step.loop = members.count
                        step.again = between
                    }
                }
                steps.append(step)
            }
        }
        return steps
    }

    /// The contiguity of a group's first event when it comes once more.
    private var between: Contiguity { inner ?? .relaxed }
}
