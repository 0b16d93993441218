/// A pattern as the matcher uses it: negated steps belong to the step before them.
@usableFromInline
final class CompiledPattern<Element: Sendable>: Sendable {
    @usableFromInline
    struct Negation: Sendable {
        /// Whether it concerns the next event only.
        @usableFromInline let isNext: Bool
        @usableFromInline let condition: PatternCondition<Element>

        @inlinable
        init(isNext: Bool, condition: PatternCondition<Element>) {
            self.isNext = isNext
            self.condition = condition
        }
    }

    @usableFromInline
    struct Step: Sendable {
        @usableFromInline let condition: PatternCondition<Element>
        @usableFromInline let until: PatternCondition<Element>?
        @usableFromInline let contiguity: Contiguity
        @usableFromInline let inner: Contiguity
        @usableFromInline let minimum: Int
        @usableFromInline let maximum: Int
        @usableFromInline let isOptional: Bool
        @usableFromInline let isGreedy: Bool
        @usableFromInline var negations: ContiguousArray<Negation> = []
        /// The steps that may come next: bit *k* is the step *k* places on.
        @usableFromInline var onward: UInt64 = 0
        /// How many steps further a match may go on without this one and those of its group.
        @usableFromInline var exit = 0
        /// Whether a match may end here.
        @usableFromInline var mayEnd = false
        /// Whether it is the last step, and negations come behind it: of the next event only, or
        /// of all.
        @usableFromInline var endsWithNotNext = false
        @usableFromInline var endsWithNotFollowedBy = false

        @usableFromInline
        init(_ step: PatternStep<Element>, _ contiguity: Contiguity) {
            condition = step.condition
            until = step.until
            self.contiguity = contiguity
            inner = step.inner ?? .relaxed
            minimum = step.minimum
            maximum = step.maximum
            isOptional = step.isOptional
            isGreedy = step.isGreedy
        }
    }

    @usableFromInline let steps: ContiguousArray<Step>
    @usableFromInline let names: [String]
    /// The first step of the same name, for each step: they differ in groups that come several times.
    @usableFromInline let labels: [Int32]
    /// The steps a match may begin with: bit *k* is step *k*.
    @usableFromInline let beginnings: UInt64
    /// How long a match may last, in nanoseconds.
    @usableFromInline let window: Int64?
    @usableFromInline let skip: AfterMatch.Kind
    /// The step that `skip` names, or -1.
    @usableFromInline let skipStep: Int

    @usableFromInline
    init(_ pattern: Pattern<Element>) {
        var steps: ContiguousArray<Step> = []
        var names: [String] = []
        var exits: [(step: Int, behind: Int)] = []
        // The number of steps that take events before each one.
        var places: [Int] = []
        for (index, step) in pattern.steps.enumerated() {
            places.append(steps.count)
            if step.exit > 0 { exits.append((steps.count, index + step.exit)) }
            switch step.kind {
            case .step(let contiguity):
                steps.append(Step(step, contiguity))
                names.append(step.name)
            case .notNext where !steps.isEmpty:
                steps[steps.count - 1].negations.append(
                    Negation(isNext: true, condition: step.condition))
            case .notFollowedBy where !steps.isEmpty:
                steps[steps.count - 1].negations.append(
                    Negation(isNext: false, condition: step.condition))
            case .notNext, .notFollowedBy: break
            }
        }
        for (step, behind) in exits {
            steps[step].exit = (behind < places.count ? places[behind] : steps.count) - step
        }
        for index in steps.indices {
            let (onward, reachesEnd) = Self.reach(from: index + 1, in: steps)
            steps[index].onward = onward << 1
            let negations = steps[index].negations
            steps[index].mayEnd = reachesEnd && negations.isEmpty
            guard index == steps.count - 1, !negations.isEmpty else { continue }
            let isOpen = negations.contains { !$0.isNext }
            steps[index].endsWithNotFollowedBy = isOpen
            steps[index].endsWithNotNext = !isOpen
        }
        beginnings = Self.reach(from: 0, in: steps).steps
        self.steps = steps
        self.names = names
        labels = names.map { name in
            Int32(truncatingIfNeeded: names.firstIndex(of: name) ?? 0)
        }
        window = pattern.window?.nanosecondsClamped
        skip = pattern.skip.kind
        switch pattern.skip.kind {
        case .first(let name), .last(let name): skipStep = names.firstIndex(of: name) ?? -1
        case .noSkip, .next, .pastLast: skipStep = -1
        }
    }

    /// The steps that may come when the next one is `start`, as some may be missing; whether the end
    /// may come as well.
    private static func reach(
        from start: Int, in steps: ContiguousArray<Step>
    ) -> (steps: UInt64, end: Bool) {
        var reached: UInt64 = 0
        var reachesEnd = false
        var open = [start]
        while let index = open.popLast() {
            if index >= min(steps.count, start + 62) {
                reachesEnd = true
                continue
            }
            let bit: UInt64 = 1 << UInt64(index - start)
            if reached & bit != 0 { continue }
            reached |= bit
            if steps[index].isOptional { open.append(index + 1) }
            if steps[index].exit > 0 { open.append(index + steps[index].exit) }
        }
        return (reached, reachesEnd)
    }

    /// What a partial match that has taken `count` events of a step waits for: bit 0 is the step
    /// itself, bit *k* the step *k* places on.
    @inlinable
    func targets(of step: Int, count: Int) -> UInt64 {
        var targets: UInt64 = count < steps[step].maximum ? 1 : 0
        if count >= steps[step].minimum { targets |= steps[step].onward }
        return targets
    }
}
