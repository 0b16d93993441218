/// Quantifiers of the step, or of the group, that was added last.
extension Pattern {
    /// The step, or the group as a whole, may be missing.
    public func optional() -> Pattern {
        var pattern = quantified("optional") { $0.isOptional = true }
        let previous = steps.dropLast().last
        if previous?.endsGreedily == true {
            pattern.refuse("optional() must not follow a greedy step")
        }
        if previous?.isNegated == true, steps.last?.isGroup == true {
            pattern.refuse("a group that may be missing must not follow a negated step")
        }
        return pattern
    }

    /// The step takes so many events; the group comes so often.
    public func times(_ count: Int) -> Pattern { times(count...count) }

    /// The step takes so many events, from the lower bound to the upper one; the group comes so
    /// often, one time after the other.
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

    /// The step takes so many events or more; the group comes so often or more.
    ///
    /// A group without an upper bound holds no other one without.
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

    /// The step takes one event or more; the group comes once or more.
    public func oneOrMore() -> Pattern { times(1...) }

    /// The step takes as many events as it can before the next one begins; not for groups.
    public func greedy() -> Pattern {
        var pattern = quantified("greedy") { $0.isGreedy = true }
        if steps.last?.isGroup == true { pattern.refuse("greedy() is for single steps") }
        if let step = steps.last, !step.isLooping {
            pattern.refuse(
                "greedy() needs a step that takes several events: put times(…) before it")
        }
        if steps.last?.inner == .any {
            pattern.refuse("greedy() and allowCombinations() exclude each other")
        }
        return pattern
    }

    /// Nothing comes between the events of the step, or between one time of the group and the next.
    public func consecutive() -> Pattern { contiguity(.strict, "consecutive") }

    /// The step leaves events out that it could take, in a match for each choice.
    ///
    /// A group begins each further time with any event that its first step can take.
    public func allowCombinations() -> Pattern {
        var pattern = contiguity(.any, "allowCombinations")
        if steps.last?.isGreedy == true {
            pattern.refuse("greedy() and allowCombinations() exclude each other")
        }
        return pattern
    }

    /// The step or group, which has no upper bound, takes nothing more from the first event on that
    /// satisfies a condition.
    ///
    /// A step looks for that event from its first one on. A group does as soon as it may begin; a
    /// time that has begun is given up, unless all steps that are left of it may be missing.
    @inlinable
    public func until<Failure: Error>(
        _ condition: @escaping @Sendable (Element) throws(Failure) -> Bool
    ) -> Pattern {
        ending(canFail: Failure.self != Never.self) { $0.tests.append(condition) }
    }

    /// The step or group, which has no upper bound, takes nothing more from the first event on that
    /// satisfies a condition which looks at the events matched so far.
    ///
    /// Each partial match asks with its own events, so the same event may end the step for one and
    /// not for another. Those of the step or group itself are among them, the event in question is
    /// not. When it looks for that event is as for a condition on the event alone.
    ///
    /// ```swift
    /// Pattern<Payment>("first")
    ///     .followedBy("more").oneOrMore()
    ///     .until { payment, match in payment.amount < (match.last("more")?.amount ?? 0) }
    /// ```
    ///
    /// - Complexity: Looking at a step's events costs O(events matched so far), for each partial
    ///   match and event.
    @inlinable
    public func until<Failure: Error>(
        _ condition:
            @escaping @Sendable (Element, PartialMatch<Element>) throws(Failure) -> Bool
    ) -> Pattern {
        ending(canFail: Failure.self != Never.self) { $0.lookingBack.append(condition) }
    }

    @usableFromInline
    func ending(
        canFail: Bool, _ add: (inout PatternCondition<Element>) -> Void
    ) -> Pattern {
        var condition = PatternCondition<Element>()
        add(&condition)
        var pattern = quantified("until") { $0.until = condition }
        if canFail { pattern.isFallible = true }
        if let step = steps.last, step.maximum != .max || step.until != nil {
            pattern.refuse("until is for oneOrMore() and times(n...), once")
        }
        return pattern
    }

    private func contiguity(_ contiguity: Contiguity, _ method: String) -> Pattern {
        var pattern = quantified(method) { $0.inner = contiguity }
        if let step = steps.last, !step.isLooping || step.inner != nil {
            pattern.refuse("\(method)() is for a step or group that comes several times, once")
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
        problems.append("\(problem) (\(steps.last?.title ?? ""))")
    }
}
