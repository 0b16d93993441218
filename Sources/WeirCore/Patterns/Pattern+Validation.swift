/// Patterns that cannot be matched are refused.
extension Pattern {
    /// What is wrong with the pattern, for `validate()`.
    @usableFromInline
    func problem(_ limits: PatternLimits) -> String? {
        if let problem = problems.first ?? limits.problem { return "pattern: \(problem)" }
        if let problem = steps.lazy.compactMap(\.problem).first { return "pattern: \(problem)" }
        let steps = steps.flatMap(\.expanded)
        var names: Set<String> = []
        for (index, step) in steps.enumerated() {
            if !step.isCopy, !names.insert(step.name).inserted {
                return "pattern: two steps are named '\(step.name)'"
            }
            guard step.isNegated else { continue }
            let previous = index > 0 ? steps[index - 1] : nil
            if let previous, previous.optionalGroups > step.optionalGroups {
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
        switch skip.kind {
        case .noSkip, .next, .pastLast: return nil
        case .first(let name), .last(let name):
            if steps.contains(where: { $0.name == name && !$0.isNegated }) { return nil }
            return "pattern: afterMatch names '\(name)', which is no step that takes events"
        }
    }
}

extension PatternStep {
    /// What is wrong with the step or group on its own.
    fileprivate var problem: String? {
        if until != nil, maximum != .max {
            return "until is for oneOrMore() and times(n...), once (\(title))"
        }
        if !isGroup { return nil }
        if condition.isSet {
            return "a group has no condition of its own: put where(…) behind a step (\(title))"
        }
        if maximum == .max, members.contains(where: \.holdsOpenGroup) {
            return "a group without an upper bound must not hold another one without (\(title))"
        }
        return members.lazy.compactMap(\.problem).first
    }

    private var holdsOpenGroup: Bool {
        isGroup && (maximum == .max || members.contains(where: \.holdsOpenGroup))
    }
}
