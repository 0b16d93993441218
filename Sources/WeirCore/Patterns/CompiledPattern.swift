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
        /// The contiguity when its group comes once more.
        @usableFromInline let again: Contiguity
        @usableFromInline let inner: Contiguity
        @usableFromInline let minimum: Int
        @usableFromInline let maximum: Int
        @usableFromInline let isOptional: Bool
        @usableFromInline let isGreedy: Bool
        @usableFromInline var negations: ContiguousArray<Negation> = []
        /// The steps that may come next: bit *k* is step *k*.
        @usableFromInline var onward: UInt64 = 0
        /// The first and last step of the group without an upper bound that it is in.
        @usableFromInline var loop: ClosedRange<Int>?
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
            again = step.again ?? contiguity
            inner = step.inner ?? .relaxed
            minimum = step.minimum
            maximum = step.maximum
            isOptional = step.isOptional
            isGreedy = step.isGreedy
        }
    }

    @usableFromInline let steps: ContiguousArray<Step>
    @usableFromInline let names: [String]
    /// The first step of the same name, for each step: they differ in groups with a number of times.
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
        var loops: [(first: Int, behind: Int)] = []
        // The number of steps that take events before each one.
        var places: [Int] = []
        for (index, step) in pattern.steps.enumerated() {
            places.append(steps.count)
            if step.exit > 0 { exits.append((steps.count, index + step.exit)) }
            if step.loop > 0 { loops.append((steps.count, index + step.loop)) }
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
        places.append(steps.count)
        for (step, behind) in exits { steps[step].exit = places[behind] - step }
        for (first, behind) in loops {
            for step in first..<places[behind] { steps[step].loop = first...(places[behind] - 1) }
        }
        for index in steps.indices {
            let (onward, reachesEnd) = Self.reach(from: Self.behind(index, in: steps), in: steps)
            steps[index].onward = onward
            let negations = steps[index].negations
            steps[index].mayEnd = reachesEnd && negations.isEmpty
            guard index == steps.count - 1, !negations.isEmpty else { continue }
            let isOpen = negations.contains { !$0.isNext }
            steps[index].endsWithNotFollowedBy = isOpen
            steps[index].endsWithNotNext = !isOpen
        }
        beginnings = Self.reach(from: [0], in: steps).steps
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

    /// Where a match may go on once a step has enough, be it that the steps there may be missing.
    private static func behind(_ step: Int, in steps: ContiguousArray<Step>) -> [Int] {
        guard let loop = steps[step].loop, loop.upperBound == step else { return [step + 1] }
        return [step + 1, loop.lowerBound]
    }

    /// The steps that may come when the next one is one of `starts`, as some may be missing; whether
    /// the end may come as well.
    private static func reach(
        from starts: [Int], in steps: ContiguousArray<Step>
    ) -> (steps: UInt64, end: Bool) {
        var reached: UInt64 = 0
        var reachesEnd = false
        var open = starts
        while let index = open.popLast() {
            if index >= min(steps.count, 62) {
                reachesEnd = true
                continue
            }
            let bit: UInt64 = 1 << UInt64(index)
            if reached & bit != 0 { continue }
            reached |= bit
            if steps[index].isOptional { open += behind(index, in: steps) }
            if steps[index].exit > 0 { open.append(index + steps[index].exit) }
        }
        return (reached, reachesEnd)
    }

    /// A target that is no step: one more event for the same one.
    @inlinable static var oneMore: UInt64 { 1 << 63 }

    /// What a partial match that has taken `count` events of a step waits for: bit *k* is step *k*,
    /// ``oneMore`` the step itself.
    @inlinable
    func targets(of step: Int, count: Int) -> UInt64 {
        var targets: UInt64 = count < steps[step].maximum ? Self.oneMore : 0
        if count >= steps[step].minimum { targets |= steps[step].onward }
        return targets
    }

    /// Takes the target out that follows a step most closely: what is left of its group, then the
    /// group once more, then what is behind.
    @inlinable
    func popNext(_ targets: inout UInt64, behind step: Int) -> Int {
        var nearest = targets & ~(((1 as UInt64) << UInt64(step + 1)) &- 1)
        if let loop = steps[step].loop {
            let upToEnd = ((1 as UInt64) << UInt64(loop.upperBound + 1)) &- 1
            if nearest & upToEnd == 0, targets & upToEnd != 0 { nearest = targets }
        }
        let next = nearest.trailingZeroBitCount
        targets &= ~(1 << UInt64(next))
        return next
    }
}
