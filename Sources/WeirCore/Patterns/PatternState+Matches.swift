extension PatternState {
    /// Gives the matches that nothing can rule out any more, and discards what they rule out.
    @inlinable
    mutating func settle<Key>(
        _ stamp: EventTime, _ key: Key, _ pattern: CompiledPattern<Element>,
        _ output: inout PatternOutput<Key, Element>
    ) {
        while let first = held.first, runs.first.map({ $0.start >= first.start }) ?? true {
            held.removeFirst()
            if buffer.names.isEmpty { buffer.name(pattern) }
            output.matches.append(
                buffer.match(at: first.node, key: key, start: first.startTime), at: stamp)
            prune(after: first, pattern)
            buffer.release(first.node)
        }
    }

    /// Discards what a match rules out.
    @inlinable
    mutating func prune(after match: HeldMatch, _ pattern: CompiledPattern<Element>) {
        let limit: Int
        switch pattern.skip {
        case .noSkip: return
        case .next: limit = match.start + 1
        case .pastLast: limit = buffer.event(of: match.node).number + 1
        case .first:
            guard let numbers = buffer.numbers(of: pattern.skipStep, at: match.node) else { return }
            limit = numbers.first
        case .last:
            guard let numbers = buffer.numbers(of: pattern.skipStep, at: match.node) else { return }
            limit = numbers.last
        }
        while let run = runs.first, run.start < limit {
            runs.removeFirst()
            buffer.release(run.node)
        }
        while let other = held.first, other.start < limit {
            held.removeFirst()
            buffer.release(other.node)
        }
    }

    /// Ends the partial matches whose time is over.
    ///
    /// - Parameter stamp: The event time of what is emitted, given when the partial match is over.
    @inlinable
    mutating func advance<Key>(
        to time: Int64, key: Key, _ pattern: CompiledPattern<Element>,
        stamp: (Int64) -> EventTime, into output: inout PatternOutput<Key, Element>
    ) {
        guard pattern.window != nil else { return }
        var last: EventTime?
        while let run = runs.first, let end = deadline(pattern), end <= time {
            runs.removeFirst()
            let step = pattern.steps[run.step]
            let emitted = stamp(end)
            last = emitted
            if step.endsWithNotFollowedBy, run.count >= step.minimum {
                complete(run, emitted, key, pattern, &output)
            } else if !run.hasMatched {
                if buffer.names.isEmpty { buffer.name(pattern) }
                output.timeouts.append(
                    buffer.match(at: run.node, key: key, start: run.startTime), at: emitted)
            }
            buffer.release(run.node)
        }
        guard let last else { return }
        settle(last, key, pattern, &output)
        if isEmpty { buffer.shrink() }
    }

    /// The stream has ended: what is complete leaves, what isn't never will be.
    @inlinable
    mutating func end<Key>(
        _ key: Key, _ pattern: CompiledPattern<Element>,
        into output: inout PatternOutput<Key, Element>
    ) {
        for run in runs { buffer.release(run.node) }
        runs.removeAll()
        if let first = held.first {
            let time = buffer.event(of: first.node).time
            settle(EventTime(nanoseconds: time), key, pattern, &output)
        }
        buffer.shrink()
    }

    /// When the oldest partial match is over.
    @inlinable
    func deadline(_ pattern: CompiledPattern<Element>) -> Int64? {
        guard let window = pattern.window, let run = runs.first else { return nil }
        return WindowArithmetic.add(run.startTime, window)
    }

    /// Keeps the limits.
    @inlinable
    mutating func limit<Key>(
        to limits: PatternLimits, _ stamp: EventTime, _ key: Key,
        _ pattern: CompiledPattern<Element>, _ output: inout PatternOutput<Key, Element>
    ) throws {
        if runs.count + held.count <= limits.partialMatches,
            buffer.eventCount <= limits.matchedEvents
        {
            return
        }
        if limits.overflow.kind == .fail { throw StateError.tooManyPartialMatches(limits) }
        while !runs.isEmpty,
            runs.count + held.count > limits.partialMatches
                || buffer.eventCount > limits.matchedEvents
        {
            let isOldest = limits.overflow.kind == .dropOldest
            let run = isOldest ? runs.removeFirst() : runs.removeLast()
            buffer.release(run.node)
            output.dropped += 1
            if isOldest { settle(stamp, key, pattern, &output) }
        }
        settle(stamp, key, pattern, &output)
        if isEmpty { buffer.shrink() }
    }
}
