@testable import WeirCore

/// A pattern of the tests as plain data: what a step takes is a set of the symbols 0 to 3.
struct PatternSpecification: CustomStringConvertible {
    /// Which events end a step or group.
    struct Until {
        var symbols: Set<Int>
        /// The number of a step, if the match so far has a say: it has to have an even number of
        /// that step's events, or an odd one.
        var step: Int?
        var isOdd = false

        /// - Parameter count: How many events a step has so far.
        func holds(for symbol: Int, count: (_ step: Int) -> Int) -> Bool {
            symbols.contains(symbol) && step.map { count($0) % 2 == (isOdd ? 1 : 0) } ?? true
        }
    }

    /// A step, or a group of some.
    struct Step {
        var symbols: Set<Int> = [0]
        var contiguity = Contiguity.relaxed
        var minimum = 1
        var maximum = 1
        var isOptional = false
        var isGreedy = false
        var inner = Contiguity.relaxed
        var until: Until?
        /// Negations behind the step.
        var negations: [(isNext: Bool, symbols: Set<Int>)] = []
        /// The steps of a group.
        var members: [Step] = []

        var isGroup: Bool { !members.isEmpty }
        /// How many steps there are, groups counted by theirs.
        var count: Int { isGroup ? members.reduce(0) { $0 + $1.count } : 1 }
    }

    var steps: [Step] = []
    var window: Int?
    var skip = AfterMatch.noSkip

    var count: Int { steps.reduce(0) { $0 + $1.count } }

    var description: String {
        steps.map(\.description).joined(separator: " | ") + " within \(window ?? 0) \(skip)"
    }

    /// As a user would write it: the steps are named by their numbers.
    var pattern: Pattern<Reading> {
        var name = 0
        var pattern = Self.pattern(of: steps, &name)
        if let window { pattern = pattern.within(.seconds(window)) }
        return pattern.afterMatch(skip)
    }

    private static func pattern(of steps: [Step], _ name: inout Int) -> Pattern<Reading> {
        var pattern: Pattern<Reading>?
        for step in steps {
            let symbols = step.symbols
            let condition: @Sendable (Reading) -> Bool = { symbols.contains($0.value % 4) }
            let label = "\(name)"
            let result: Pattern<Reading>
            if step.isGroup {
                let group = Self.pattern(of: step.members, &name)
                switch step.contiguity {
                case .strict: result = pattern?.next(group: group) ?? Pattern(group: group)
                case .relaxed: result = pattern?.followedBy(group: group) ?? Pattern(group: group)
                case .any: result = pattern?.followedByAny(group: group) ?? Pattern(group: group)
                }
            } else {
                name += 1
                let first = Pattern(label, where: condition)
                switch step.contiguity {
                case .strict: result = pattern?.next(label, where: condition) ?? first
                case .relaxed: result = pattern?.followedBy(label, where: condition) ?? first
                case .any: result = pattern?.followedByAny(label, where: condition) ?? first
                }
            }
            pattern = negated(quantified(result, step), step.negations, behind: "\(name)")
        }
        return pattern ?? Pattern("none")
    }

    private static func quantified(
        _ pattern: Pattern<Reading>, _ step: Step
    ) -> Pattern<Reading> {
        var pattern = pattern
        if step.maximum == .max {
            pattern = pattern.times(step.minimum...)
        } else if step.maximum > 1 {
            pattern = pattern.times(step.minimum...step.maximum)
        }
        if step.inner == .strict { pattern = pattern.consecutive() }
        if step.inner == .any { pattern = pattern.allowCombinations() }
        if step.isGreedy { pattern = pattern.greedy() }
        if step.isOptional { pattern = pattern.optional() }
        guard let until = step.until else { return pattern }
        pattern =
            until.step == nil
            ? pattern.until { until.symbols.contains($0.value % 4) }
            : pattern.until { event, match in
                until.holds(for: event.value % 4) { match.count("\($0)") }
            }
        return pattern
    }

    private static func negated(
        _ pattern: Pattern<Reading>, _ negations: [(isNext: Bool, symbols: Set<Int>)],
        behind name: String
    ) -> Pattern<Reading> {
        var pattern = pattern
        for (number, negation) in negations.enumerated() {
            let refused = negation.symbols
            let name = "not\(name).\(number)"
            pattern =
                negation.isNext
                ? pattern.notNext(name) { refused.contains($0.value % 4) }
                : pattern.notFollowedBy(name) { refused.contains($0.value % 4) }
        }
        return pattern
    }
}

extension PatternSpecification.Step: CustomStringConvertible {
    var description: String {
        let what = isGroup ? "(\(members.map(\.description).joined(separator: " | ")))" : ""
        return "\(contiguity)\(isGroup ? what : "\(symbols.sorted())")"
            + " \(minimum)...\(maximum) \(inner)\(isOptional ? " optional" : "")"
            + "\(isGreedy ? " greedy" : "") until \(until.map { "\($0)" } ?? "never")"
            + " not \(negations.map { "\($0.isNext) \($0.symbols.sorted())" })"
    }
}

// MARK: Random patterns

extension PatternSpecification {
    /// A random pattern that is valid.
    ///
    /// - Parameter groups: How many of a hundred steps are to be groups.
    static func random(groups: Int = 0, using random: inout SplitMix64) -> PatternSpecification {
        while true {
            var result = PatternSpecification()
            let count = Int.random(in: 1...(groups > 0 ? 3 : 4), using: &random)
            for _ in 0..<count {
                result.steps.append(randomStep(groups: groups, depth: 0, &random))
            }
            if groups > 0, !result.steps.contains(where: \.isGroup) { continue }
            if Bool.random(using: &random) {
                result.window = Int.random(in: 2...8, using: &random)
            }
            let named = "\(Int.random(in: 0..<result.count, using: &random))"
            let skips: [AfterMatch] = [
                .noSkip, .noSkip, .skipToNext, .skipPastLastEvent, .skipToFirst(named),
                .skipToLast(named),
            ]
            result.skip = skips[Int.random(in: 0..<skips.count, using: &random)]
            if result.pattern.problem(PatternLimits()) == nil { return result }
        }
    }

    private static func symbols(_ random: inout SplitMix64) -> Set<Int> {
        Set(
            (0..<Int.random(in: 1...2, using: &random)).map { _ in
                Int.random(in: 0..<4, using: &random)
            })
    }

    private static func until(_ random: inout SplitMix64) -> Until {
        var until = Until(symbols: symbols(&random))
        if chance(60, &random) { until.step = Int.random(in: 0..<3, using: &random) }
        until.isOdd = Bool.random(using: &random)
        return until
    }

    private static func contiguity(_ random: inout SplitMix64) -> Contiguity {
        [.strict, .relaxed, .relaxed, .any][Int.random(in: 0..<4, using: &random)]
    }

    private static func chance(_ percent: Int, _ random: inout SplitMix64) -> Bool {
        Int.random(in: 0..<100, using: &random) < percent
    }

    private static func randomStep(
        groups: Int, depth: Int, _ random: inout SplitMix64
    ) -> Step {
        var step = Step()
        step.symbols = symbols(&random)
        step.contiguity = contiguity(&random)
        if depth < 2, chance(depth == 0 ? groups : groups / 3, &random) {
            step.members = randomMembers(groups: groups, depth: depth + 1, &random)
        }
        if chance(step.isGroup ? 75 : 45, &random) {
            let counts = [(1, Int.max), (2, 2), (1, 2), (2, 3), (2, .max), (1, .max)]
            (step.minimum, step.maximum) = counts[Int.random(in: 0..<6, using: &random)]
            step.inner = contiguity(&random)
            step.isGreedy = !step.isGroup && step.inner != .any && chance(35, &random)
            if step.maximum == .max, chance(40, &random) { step.until = until(&random) }
        }
        step.isOptional = chance(20, &random)
        if chance(25, &random) { step.negations.append((chance(40, &random), symbols(&random))) }
        return step
    }

    /// A time in which nothing comes would be one of its own only up to a bound.
    private static func randomMembers(
        groups: Int, depth: Int, _ random: inout SplitMix64
    ) -> [Step] {
        while true {
            let members = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                randomStep(groups: groups, depth: depth, &random)
            }
            if !members.allSatisfy(\.isOptional) { return members }
        }
    }
}
