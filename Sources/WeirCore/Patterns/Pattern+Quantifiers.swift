/// Quantifiers of the step that was added last.
extension Pattern {
    /// The step may be missing.
    public func optional() -> Pattern {
        var pattern = quantified("optional") { $0.isOptional = true }
        if steps.count > 1, steps[steps.count - 2].isGreedy {
            pattern.refuse("optional() must not follow a greedy step")
        }
        return pattern
    }

    /// The step takes so many events.
    public func times(_ count: Int) -> Pattern { times(count...count) }

    /// The step takes so many events, from the lower bound to the upper one.
    public func times(_ counts: ClosedRange<Int>) -> Pattern {
        var pattern = quantified("times") {
            $0.minimum = counts.lowerBound
            $0.maximum = counts.upperBound
        }
        if counts.lowerBound < 1 {
            pattern.refuse("times takes at least 1; for a step that may be missing add optional()")
        }
        return pattern
    }

    /// The step takes so many events or more.
    public func times(_ counts: PartialRangeFrom<Int>) -> Pattern {
        var pattern = quantified("times") {
            $0.minimum = counts.lowerBound
            $0.maximum = .max
        }
        if counts.lowerBound < 1 {
            pattern.refuse("times takes at least 1; for a step that may be missing add optional()")
        }
        return pattern
    }

    /// The step takes one event or more.
    public func oneOrMore() -> Pattern { times(1...) }

    /// The step takes as many events as it can before the next one begins.
    public func greedy() -> Pattern {
        var pattern = quantified("greedy") { $0.isGreedy = true }
        if let step = steps.last, !step.isLooping {
            pattern.refuse(
                "greedy() needs a step that takes several events: put times(…) before it")
        }
        if steps.last?.inner == .any {
            pattern.refuse("greedy() and allowCombinations() exclude each other")
        }
        return pattern
    }

    /// Nothing comes between the events of the step.
    public func consecutive() -> Pattern { contiguity(.strict, "consecutive") }

    /// The step leaves events out that it could take, in a match for each choice.
    public func allowCombinations() -> Pattern {
        var pattern = contiguity(.any, "allowCombinations")
        if steps.last?.isGreedy == true {
            pattern.refuse("greedy() and allowCombinations() exclude each other")
        }
        return pattern
    }

    /// The step, which has no upper bound, takes nothing more from the first event on that
    /// satisfies a condition.
    @inlinable
    public func until<Failure: Error>(
        _ condition: @escaping @Sendable (Element) throws(Failure) -> Bool
    ) -> Pattern {
        var pattern = quantified("until") {
            $0.until = $0.until ?? PatternCondition()
            $0.until?.tests = [condition]
        }
        if Failure.self != Never.self { pattern.isFallible = true }
        if let step = steps.last, step.maximum != .max || step.until != nil {
            pattern.refuse("until is for oneOrMore() and times(n...), once")
        }
        return pattern
    }

    private func contiguity(_ contiguity: Contiguity, _ method: String) -> Pattern {
        var pattern = quantified(method) { $0.inner = contiguity }
        if let step = steps.last, !step.isLooping || step.inner != nil {
            pattern.refuse("\(method)() is for a step that takes several events, once")
        }
        return pattern
    }

    @usableFromInline
    func quantified(
        _ method: String, _ body: (inout PatternStep<Element>) -> Void
    ) -> Pattern {
        var pattern = changing(body)
        if steps.last?.isNegated == true {
            pattern.refuse("\(method) is not for negated steps")
        }
        return pattern
    }

    @usableFromInline
    mutating func refuse(_ problem: String) {
        problems.append("\(problem) (step '\(steps.last?.name ?? "")')")
    }

    /// What is wrong with the pattern, for `validate()`.
    @usableFromInline
    func problem(_ limits: PatternLimits) -> String? {
        if let problem = problems.first ?? limits.problem { return "pattern: \(problem)" }
        var names: Set<String> = []
        for (index, step) in steps.enumerated() {
            if !step.isCopy, !names.insert(step.name).inserted {
                return "pattern: two steps are named '\(step.name)'"
            }
            guard step.isNegated else { continue }
            let previous = index > 0 ? steps[index - 1] : nil
            if let previous, previous.isInOptionalGroup, !step.isInOptionalGroup {
                return """
                    pattern: '\(step.name)' is negated and follows a group that may come fewer times; \
                    give the group one number of times, or put a step between them
                    """
            }
            if previous?.isOptional == true {
                return """
                    pattern: '\(step.name)' is negated and follows an optional step; use two \
                    patterns, one with the optional step and one without it
                    """
            }
            let next = steps[index...].first { !$0.isNegated }
            if let next, next.isOptional,
                steps[index...].allSatisfy({ $0.isNegated || $0.isOptional })
            {
                return """
                    pattern: behind the negated '\(step.name)' all steps are optional; end the \
                    pattern with it or make a step mandatory
                    """
            }
            if next == nil, case .notFollowedBy = step.kind, window == nil {
                return """
                    pattern: it ends with notFollowedBy('\(step.name)') and so needs \
                    within(_:), which says when the match is complete
                    """
            }
        }
        if steps.count > 60 { return "pattern: it has \(steps.count) steps; 60 are the most" }
        if case .first(let name) = skip.kind, !takes(name) { return missing(name) }
        if case .last(let name) = skip.kind, !takes(name) { return missing(name) }
        return nil
    }

    private func takes(_ name: String) -> Bool {
        steps.contains { $0.name == name && !$0.isNegated }
    }

    private func missing(_ name: String) -> String {
        "pattern: afterMatch names '\(name)', which is no step of the pattern that takes events"
    }
}
