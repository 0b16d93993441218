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
    /// The steps whose group ends with an event that satisfies a condition: bit *k* is step *k*.
    @usableFromInline let endingGroups: UInt64
    /// Those conditions, for each step.
    @usableFromInline let groupUntil: ContiguousArray<PatternCondition<Element>?>
    /// How long a match may last, in nanoseconds.
    @usableFromInline let window: Int64?
    @usableFromInline let skip: AfterMatch.Kind
    /// The step that `skip` names, or -1.
    @usableFromInline let skipStep: Int

    @usableFromInline
    init(_ pattern: Pattern<Element>) {
        var steps: ContiguousArray<Step> = []
        var names: [String] = []
        var groupUntil: ContiguousArray<PatternCondition<Element>?> = []
        var leaving: [(step: Int, behind: Int)] = []
        var loops: [(first: Int, behind: Int)] = []
        // The number of steps that take events before each one.
        var places: [Int] = []
        for (index, step) in pattern.steps.flatMap(\.expanded).enumerated() {
            places.append(steps.count)
            leaving += step.exits.map { (steps.count, index + $0) }
            if step.loop > 0 { loops.append((steps.count, index + step.loop)) }
            switch step.kind {
            case .step(let contiguity):
                steps.append(Step(step, contiguity))
                names.append(step.name)
                groupUntil.append(step.groupUntil)
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
        var exits = [[Int]](repeating: [], count: steps.count)
        for (step, behind) in leaving { exits[step].append(places[behind]) }
        for (first, behind) in loops {
            for step in first..<places[behind] { steps[step].loop = first...(places[behind] - 1) }
        }
        for index in steps.indices {
            let (onward, reachesEnd) = Self.reach(
                from: Self.behind(index, upTo: index + 1, in: steps), in: steps, exits)
            steps[index].onward = onward
            let negations = steps[index].negations
            steps[index].mayEnd = reachesEnd && negations.isEmpty
            guard index == steps.count - 1, !negations.isEmpty else { continue }
            let isOpen = negations.contains { !$0.isNext }
            steps[index].endsWithNotFollowedBy = isOpen
            steps[index].endsWithNotNext = !isOpen
        }
        beginnings = Self.reach(from: [(0, false)], in: steps, exits).steps
        endingGroups = groupUntil.indices.prefix(62).reduce(0) { mask, step in
            groupUntil[step] == nil ? mask : mask | 1 << UInt64(step)
        }
        self.groupUntil = groupUntil
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

    /// Where a match goes on from a step of which it is done, or that is missing with others up to
    /// `end`: behind them, and at the beginning of a loop that ends there.
    private static func behind(
        _ step: Int, upTo end: Int, in steps: ContiguousArray<Step>
    ) -> [(step: Int, isAgain: Bool)] {
        guard let loop = steps[step].loop, loop.upperBound == end - 1 else { return [(end, false)] }
        return [(end, false), (loop.lowerBound, true)]
    }

    /// The steps that may come when the next one is one of `starts`, as some may be missing; whether
    /// the end may come as well.
    ///
    /// - Parameter exits: Of each step, what is behind the groups that may be missing from it on. At
    ///   the beginning of a loop that comes again only those in it may be.
    private static func reach(
        from starts: [(step: Int, isAgain: Bool)], in steps: ContiguousArray<Step>,
        _ exits: [[Int]]
    ) -> (steps: UInt64, end: Bool) {
        var reached: UInt64 = 0
        var reachesEnd = false
        var open = starts
        while let (index, isAgain) = open.popLast() {
            if index >= min(steps.count, 62) {
                reachesEnd = true
                continue
            }
            let bit: UInt64 = 1 << UInt64(index)
            if reached & bit != 0 { continue }
            reached |= bit
            if steps[index].isOptional { open += behind(index, upTo: index + 1, in: steps) }
            let limit = isAgain ? steps[index].loop?.upperBound ?? index : steps.count
            for end in exits[index] where end <= limit + 1 {
                open += behind(index, upTo: end, in: steps)
            }
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

    /// Whether an event ends the group without an upper bound that a step belongs to.
    @inlinable
    func endsGroup(
        of step: Int, _ event: Element, _ buffer: borrowing MatchBuffer<Element>, _ node: Int32
    ) throws -> Bool {
        if endingGroups & 1 << UInt64(step) == 0 { return false }
        return try groupUntil[step]?.holds(for: event, buffer, node) == true
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
