@testable import WeirCore

/// Finds the matches of a pattern by trying all choices of events and judging each by the definition.
struct PatternOracle {
    struct Taken: Equatable {
        var step: Int
        var event: Int
    }

    let specification: PatternSpecification
    /// The symbols and times of the events, in order.
    let symbols: [Int]
    let times: [Int]

    private var steps: [PatternSpecification.Step] { specification.steps }

    /// What the matcher has to find: the matches, and the time-outs without a skip strategy.
    func solve() -> (matches: [[Taken]], timeouts: [[Taken]]) {
        var complete: [(chain: [Taken], end: Int)] = []
        var timeouts: [[Taken]] = []
        func extend(_ chain: [Taken]) {
            if let end = completion(of: chain) { complete.append((chain, end)) }
            if isOpenAtEnd(chain) { timeouts.append(chain) }
            for event in (chain[chain.count - 1].event + 1)..<symbols.count + 1
            where event < symbols.count && isInWindow(event, chain) {
                for step in steps.indices where follows(chain, Taken(step: step, event: event)) {
                    extend(chain + [Taken(step: step, event: event)])
                }
            }
        }
        for event in symbols.indices {
            for step in steps.indices
            where steps[..<step].allSatisfy(\.isOptional) && takes(event, step) {
                extend([Taken(step: step, event: event)])
            }
        }
        return (skipping(complete), timeouts)
    }

    // MARK: Single conditions

    private func takes(_ event: Int, _ step: Int) -> Bool {
        steps[step].symbols.contains(symbols[event]) && !steps[step].until.contains(symbols[event])
    }

    private func isInWindow(_ event: Int, _ chain: [Taken]) -> Bool {
        guard let window = specification.window else { return true }
        return times[event] - times[chain[0].event] < window
    }

    /// How many events the last step of a chain has.
    private func count(_ chain: [Taken]) -> Int {
        chain.reversed().prefix { $0.step == chain[chain.count - 1].step }.count
    }

    /// Whether a chain may be continued so.
    private func follows(_ chain: [Taken], _ next: Taken) -> Bool {
        let last = chain[chain.count - 1]
        let count = count(chain)
        guard takes(next.event, next.step), next.step >= last.step else { return false }
        if next.step == last.step {
            guard count < steps[last.step].maximum else { return false }
        } else {
            guard count >= steps[last.step].minimum,
                steps[(last.step + 1)..<next.step].allSatisfy(\.isOptional)
            else { return false }
        }
        return waits(for: next.step, chain, before: next.event)
            && survives(chain, through: next.event)
            && (next.step == last.step || !isHeldBack(chain, through: next.event))
    }

    /// Whether a chain still waits for an event of a step when `end` comes.
    private func waits(for step: Int, _ chain: [Taken], before end: Int) -> Bool {
        let last = chain[chain.count - 1]
        let isLoop = step == last.step
        let between = (last.event + 1)..<max(end, last.event + 1)
        if isLoop, between.contains(where: { steps[step].until.contains(symbols[$0]) }) {
            return false
        }
        switch isLoop ? steps[step].inner : steps[step].contiguity {
        case .strict: return between.isEmpty
        case .relaxed: return !between.contains { steps[step].symbols.contains(symbols[$0]) }
        case .any: return true
        }
    }

    /// Whether no negation behind the last step of a chain is met up to an event.
    private func survives(_ chain: [Taken], through end: Int) -> Bool {
        let last = chain[chain.count - 1]
        for negation in steps[last.step].negations {
            for event in (last.event + 1)..<max(end + 1, last.event + 1) {
                if negation.isNext {
                    if event > last.event + 1 || count(chain) < steps[last.step].minimum { break }
                }
                if negation.symbols.contains(symbols[event]) { return false }
            }
        }
        return true
    }

    /// Whether the last step is greedy and could have taken an event up to `end`.
    private func isHeldBack(_ chain: [Taken], through end: Int) -> Bool {
        let last = chain[chain.count - 1]
        let step = steps[last.step]
        guard step.isGreedy, count(chain) < step.maximum else { return false }
        for event in (last.event + 1)..<max(end + 1, last.event + 1) {
            if step.until.contains(symbols[event]) { return false }
            if step.symbols.contains(symbols[event]) { return true }
            if step.inner == .strict { return false }
        }
        return false
    }

    // MARK: Ends

    /// The last event that may have a say about a chain.
    private func horizon(_ chain: [Taken]) -> Int {
        symbols.indices.last { isInWindow($0, chain) } ?? 0
    }

    /// Whether a chain can be no more than a part: its end comes with further steps or negations.
    private func isBeforeEnd(_ chain: [Taken]) -> Bool {
        let last = chain[chain.count - 1]
        return count(chain) < steps[last.step].minimum
            || !steps[(last.step + 1)...].allSatisfy(\.isOptional)
    }

    /// The event with which a chain is known to be a match; nil if it is none.
    private func completion(of chain: [Taken]) -> Int? {
        let last = chain[chain.count - 1]
        if isBeforeEnd(chain) { return nil }
        let negations = steps[last.step].negations
        if negations.isEmpty { return last.event }
        guard last.step == steps.count - 1 else { return nil }
        if negations.contains(where: { !$0.isNext }) {
            let end = horizon(chain)
            if isHeldBack(chain, through: end) { return nil }
            return survives(chain, through: end) ? symbols.count : nil
        }
        let next = last.event + 1
        guard next < symbols.count, isInWindow(next, chain), survives(chain, through: next) else {
            return nil
        }
        return next
    }

    /// Whether a chain is left when its window is over, and was no match before.
    private func isOpenAtEnd(_ chain: [Taken]) -> Bool {
        guard specification.window != nil, completion(of: chain) == nil else { return false }
        let last = chain[chain.count - 1]
        let step = steps[last.step]
        let end = horizon(chain)
        guard survives(chain, through: end) else { return false }
        if count(chain) < step.maximum, waits(for: last.step, chain, before: end + 1) {
            return true
        }
        if count(chain) < step.minimum || isHeldBack(chain, through: end) { return false }
        for next in steps.indices.dropFirst(last.step + 1)
        where steps[(last.step + 1)..<next].allSatisfy(\.isOptional) {
            if waits(for: next, chain, before: end + 1) { return true }
        }
        // The next event will decide.
        return last.step == steps.count - 1 && !step.negations.isEmpty && end == last.event
    }

    // MARK: Skipping

    private func skipping(_ complete: [(chain: [Taken], end: Int)]) -> [[Taken]] {
        if specification.skip == .noSkip { return complete.map(\.chain) }
        var open = complete.sorted { left, right in
            if left.chain[0].event != right.chain[0].event {
                return left.chain[0].event < right.chain[0].event
            }
            if left.end != right.end { return left.end < right.end }
            return precedes(left.chain, right.chain)
        }
        var result: [[Taken]] = []
        while !open.isEmpty {
            let chain = open.removeFirst().chain
            result.append(chain)
            let limit = limit(after: chain)
            open.removeAll { $0.chain[0].event < limit }
        }
        return result
    }

    /// Of two matches that began and ended together, that one is first which left an event out first.
    private func precedes(_ left: [Taken], _ right: [Taken]) -> Bool {
        for (one, other) in zip(left, right) where one != other {
            return one.event == other.event ? one.step < other.step : one.event > other.event
        }
        return left.count < right.count
    }

    private func limit(after chain: [Taken]) -> Int {
        switch specification.skip.kind {
        case .noSkip: return 0
        case .next: return chain[0].event + 1
        case .pastLast: return chain[chain.count - 1].event + 1
        case .first(let name): return chain.first { "\($0.step)" == name }?.event ?? 0
        case .last(let name): return chain.last { "\($0.step)" == name }?.event ?? 0
        }
    }
}
