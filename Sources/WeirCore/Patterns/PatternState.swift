/// A partial match.
@usableFromInline
struct PatternRun: Sendable, Codable {
    /// The step of its newest event, and how many events that has taken.
    @usableFromInline var step: Int
    @usableFromInline var count: Int
    /// What it waits for; see ``CompiledPattern/targets(of:count:)``.
    @usableFromInline var targets: UInt64
    /// Whether no event has come since its newest one.
    @usableFromInline var isFresh = true
    /// Whether it was given as a match as it is.
    @usableFromInline var hasMatched = false
    @usableFromInline var node: Int32
    /// The number and time of its first event.
    @usableFromInline let start: Int
    @usableFromInline let startTime: Int64

    @inlinable
    init(step: Int, count: Int, targets: UInt64, node: Int32, start: Int, startTime: Int64) {
        self.step = step
        self.count = count
        self.targets = targets
        self.node = node
        self.start = start
        self.startTime = startTime
    }
}

/// A match that waits for partial matches that began earlier.
@usableFromInline
struct HeldMatch: Sendable, Codable {
    @usableFromInline let node: Int32
    @usableFromInline let start: Int
    @usableFromInline let startTime: Int64

    @inlinable
    init(node: Int32, start: Int, startTime: Int64) {
        self.node = node
        self.start = start
        self.startTime = startTime
    }
}

/// What a stage emits.
@usableFromInline
struct PatternOutput<Key: Hashable & Codable & Sendable, Element: Sendable> {
    @usableFromInline var matches = Batch<PatternMatch<Key, Element>>()
    @usableFromInline var timeouts = Batch<PatternMatch<Key, Element>>()
    /// Partial matches given up because of a limit.
    @usableFromInline var dropped = 0

    @inlinable
    init() {}
}

/// The partial matches of one key: a nondeterministic automaton whose runs share their events.
///
/// A run stands for the choices that are open: one event may end it, keep it waiting, and make
/// further runs of it. Runs are in the order in which they began.
@usableFromInline
struct PatternState<Element: Sendable>: Sendable {
    @usableFromInline var buffer = MatchBuffer<Element>()
    @usableFromInline var runs: ContiguousArray<PatternRun> = []
    @usableFromInline var held: ContiguousArray<HeldMatch> = []
    @usableFromInline var nextNumber = 0

    @inlinable
    init() {}

    @inlinable var isEmpty: Bool { runs.isEmpty && held.isEmpty }

    /// Takes in the next event of the key.
    ///
    /// - Parameters:
    ///   - time: In the time that the pattern follows.
    ///   - stamp: The event time of what is emitted.
    @inlinable
    mutating func handle<Key>(
        _ event: Element, at time: Int64, stamp: EventTime, key: Key,
        _ pattern: CompiledPattern<Element>, into output: inout PatternOutput<Key, Element>
    ) throws {
        if buffer.names.isEmpty { buffer.name(pattern) }
        let number = nextNumber
        nextNumber &+= 1
        var slot: Int32 = -1
        if !runs.isEmpty {
            let before = runs
            runs = []
            runs.reserveCapacity(before.count + 1)
            for run in before {
                try advance(
                    run, event, time, number, &slot, stamp, key, pattern, &output)
            }
        }
        var open = pattern.beginnings
        while open != 0 {
            let step = open.trailingZeroBitCount
            open &= open &- 1
            let candidate = pattern.steps[step]
            guard try candidate.condition.holds(for: event, buffer, -1) else { continue }
            if try candidate.until?.holds(for: event, buffer, -1) == true { continue }
            if try pattern.endsGroup(of: step, event, buffer, -1) { continue }
            take(
                event, time, number, &slot, step, nil, stamp, key, pattern, &output)
        }
        if slot >= 0 { buffer.releaseEvent(slot) }
        settle(stamp, key, pattern, &output)
        if isEmpty { buffer.shrink() }
    }

    @inlinable
    mutating func advance<Key>(
        _ run: PatternRun, _ event: Element, _ time: Int64, _ number: Int, _ slot: inout Int32,
        _ stamp: EventTime, _ key: Key, _ pattern: CompiledPattern<Element>,
        _ output: inout PatternOutput<Key, Element>
    ) throws {
        var run = run
        let step = pattern.steps[run.step]
        let hasEnough = run.count >= step.minimum
        for negation in step.negations {
            if negation.isNext, !run.isFresh || !hasEnough { continue }
            if try negation.condition.holds(for: event, buffer, run.node) {
                return buffer.release(run.node)
            }
        }
        if step.endsWithNotNext, run.isFresh, hasEnough {
            complete(run, stamp, key, pattern, &output)
            run.hasMatched = true
        }
        let (taken, kept, isGreedy) = try choices(of: run, step, event, pattern)
        run.targets = kept
        run.isFresh = false
        let remains = kept != 0 || (step.endsWithNotFollowedBy && hasEnough && !isGreedy)
        if remains { runs.append(run) }
        var open = taken
        if open & CompiledPattern<Element>.oneMore != 0 {
            open &= ~CompiledPattern<Element>.oneMore
            take(
                event, time, number, &slot, run.step, count: run.count + 1, run, stamp, key,
                pattern, &output)
        }
        while open != 0 {
            let target = pattern.popNext(&open, behind: run.step)
            take(event, time, number, &slot, target, run, stamp, key, pattern, &output)
        }
        if !remains { buffer.release(run.node) }
    }

    /// What a run can do with an event: the targets that take it, those that go on waiting, and
    /// whether it has to be taken.
    @inlinable
    func choices(
        of run: PatternRun, _ step: CompiledPattern<Element>.Step, _ event: Element,
        _ pattern: CompiledPattern<Element>
    ) throws -> (taken: UInt64, kept: UInt64, isGreedy: Bool) {
        var taken: UInt64 = 0
        var kept: UInt64 = 0
        let oneMore = CompiledPattern<Element>.oneMore
        if run.targets & oneMore != 0 {
            let isOver =
                try step.until?.holds(for: event, buffer, run.node) == true
                || pattern.endsGroup(of: run.step, event, buffer, run.node)
            if !isOver {
                let fits = try step.condition.holds(for: event, buffer, run.node)
                if fits { taken = oneMore }
                if step.inner == .any || step.inner == .relaxed && !fits { kept = oneMore }
                if fits, step.isGreedy { return (taken, kept, true) }
            }
        }
        var open = run.targets & ~oneMore
        while open != 0 {
            let target = open.trailingZeroBitCount
            open &= open &- 1
            let next = pattern.steps[target]
            if try pattern.endsGroup(of: target, event, buffer, run.node) { continue }
            let contiguity = target <= run.step ? next.again : next.contiguity
            let fits = try next.condition.holds(for: event, buffer, run.node)
            if fits, try next.until?.holds(for: event, buffer, run.node) != true {
                taken |= 1 << UInt64(target)
            }
            if contiguity == .any || contiguity == .relaxed && !fits {
                kept |= 1 << UInt64(target)
            }
        }
        return (taken, kept, false)
    }

    /// Adds the event to a run, or begins one with it.
    @inlinable
    mutating func take<Key>(
        _ event: Element, _ time: Int64, _ number: Int, _ slot: inout Int32, _ step: Int,
        count: Int = 1, _ run: PatternRun?, _ stamp: EventTime, _ key: Key,
        _ pattern: CompiledPattern<Element>,
        _ output: inout PatternOutput<Key, Element>
    ) {
        if slot < 0 {
            slot = buffer.add(event, at: time, number: number)
        }
        var new = PatternRun(
            step: step, count: count, targets: pattern.targets(of: step, count: count),
            node: buffer.add(event: slot, step: step, behind: run?.node ?? -1),
            start: run?.start ?? number, startTime: run?.startTime ?? time)
        let target = pattern.steps[step]
        let hasEnough = count >= target.minimum
        if target.mayEnd, hasEnough {
            complete(new, stamp, key, pattern, &output)
            new.hasMatched = true
        }
        let isOpen = hasEnough && (target.endsWithNotNext || target.endsWithNotFollowedBy)
        if new.targets != 0 || isOpen {
            runs.append(new)
        } else {
            buffer.release(new.node)
        }
    }

    /// Gives the events of a run as a match, or keeps them until nothing can rule it out.
    @inlinable
    mutating func complete<Key>(
        _ run: PatternRun, _ stamp: EventTime, _ key: Key, _ pattern: CompiledPattern<Element>,
        _ output: inout PatternOutput<Key, Element>
    ) {
        if pattern.skip == .noSkip {
            if buffer.names.isEmpty { buffer.name(pattern) }
            let match = buffer.match(at: run.node, key: key, start: run.startTime)
            return output.matches.append(match, at: stamp)
        }
        buffer.retain(run.node)
        let match = HeldMatch(node: run.node, start: run.start, startTime: run.startTime)
        var index = held.count
        while index > 0, held[index - 1].start > match.start { index -= 1 }
        held.insert(match, at: index)
    }
}

extension PatternState: Encodable where Element: Encodable {}
extension PatternState: Decodable where Element: Decodable {}
