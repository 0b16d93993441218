@testable import WeirCore

/// A pattern of the tests as plain data: what a step takes is a set of the symbols 0 to 3.
struct PatternSpecification: CustomStringConvertible {
    struct Step {
        var symbols: Set<Int> = [0]
        var contiguity = Contiguity.relaxed
        var minimum = 1
        var maximum = 1
        var isOptional = false
        var isGreedy = false
        var inner = Contiguity.relaxed
        var until: Set<Int> = []
        /// Negations behind the step.
        var negations: [(isNext: Bool, symbols: Set<Int>)] = []
    }

    var steps: [Step] = []
    var window: Int?
    var skip = AfterMatch.noSkip

    var description: String {
        steps.map { step in
            "\(step.contiguity)\(step.symbols.sorted()) \(step.minimum)...\(step.maximum)"
                + " \(step.inner)\(step.isOptional ? " optional" : "")"
                + "\(step.isGreedy ? " greedy" : "") until \(step.until.sorted())"
                + " not \(step.negations.map { "\($0.isNext) \($0.symbols.sorted())" })"
        }.joined(separator: " | ") + " within \(window ?? 0) \(skip)"
    }

    /// As a user would write it.
    var pattern: Pattern<Reading> {
        var pattern = Pattern<Reading>("unused")
        for (index, step) in steps.enumerated() {
            let symbols = step.symbols
            let condition: @Sendable (Reading) -> Bool = { symbols.contains($0.value % 4) }
            switch (index, step.contiguity) {
            case (0, _): pattern = Pattern("0", where: condition)
            case (_, .strict): pattern = pattern.next("\(index)", where: condition)
            case (_, .relaxed): pattern = pattern.followedBy("\(index)", where: condition)
            case (_, .any): pattern = pattern.followedByAny("\(index)", where: condition)
            }
            if step.maximum == .max {
                pattern = pattern.times(step.minimum...)
            } else if step.maximum > 1 {
                pattern = pattern.times(step.minimum...step.maximum)
            }
            if step.inner == .strict { pattern = pattern.consecutive() }
            if step.inner == .any { pattern = pattern.allowCombinations() }
            if step.isGreedy { pattern = pattern.greedy() }
            if step.isOptional { pattern = pattern.optional() }
            if !step.until.isEmpty {
                let until = step.until
                pattern = pattern.until { until.contains($0.value % 4) }
            }
            for (number, negation) in step.negations.enumerated() {
                let refused = negation.symbols
                let name = "not\(index).\(number)"
                pattern =
                    negation.isNext
                    ? pattern.notNext(name) { refused.contains($0.value % 4) }
                    : pattern.notFollowedBy(name) { refused.contains($0.value % 4) }
            }
        }
        if let window { pattern = pattern.within(.seconds(window)) }
        return pattern.afterMatch(skip)
    }

    /// A random pattern that is valid.
    static func random(using random: inout SplitMix64) -> PatternSpecification {
        while true {
            var result = PatternSpecification()
            let count = Int.random(in: 1...4, using: &random)
            for _ in 0..<count { result.steps.append(randomStep(&random)) }
            if Bool.random(using: &random) {
                result.window = Int.random(in: 2...8, using: &random)
            }
            let named = "\(Int.random(in: 0..<count, using: &random))"
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

    private static func contiguity(_ random: inout SplitMix64) -> Contiguity {
        [.strict, .relaxed, .relaxed, .any][Int.random(in: 0..<4, using: &random)]
    }

    private static func chance(_ percent: Int, _ random: inout SplitMix64) -> Bool {
        Int.random(in: 0..<100, using: &random) < percent
    }

    private static func randomStep(_ random: inout SplitMix64) -> Step {
        var step = Step()
        step.symbols = symbols(&random)
        step.contiguity = contiguity(&random)
        if chance(45, &random) {
            let counts = [(1, Int.max), (2, 2), (1, 2), (2, 3), (2, .max), (1, .max)]
            (step.minimum, step.maximum) = counts[Int.random(in: 0..<6, using: &random)]
            step.inner = contiguity(&random)
            step.isGreedy = step.inner != .any && chance(35, &random)
            if step.maximum == .max, chance(30, &random) { step.until = symbols(&random) }
        }
        step.isOptional = chance(20, &random)
        if chance(25, &random) { step.negations.append((chance(40, &random), symbols(&random))) }
        return step
    }
}
