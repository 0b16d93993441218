@testable import WeirCore

/// Finds the matches of a pattern by trying all choices of events and judging each by the definition.
struct PatternOracle {
    struct Taken: Equatable {
        var place: PatternPlace
        var event: Int
    }

    let specification: PatternSpecification
    /// The symbols and times of the events, in order.
    let symbols: [Int]
    let times: [Int]

    private var places: PatternPlaces { PatternPlaces(steps: specification.steps) }

    /// What the matcher has to find: the matches, and the time-outs without a skip strategy.
    func solve() -> (matches: [[Taken]], timeouts: [[Taken]]) {
        var complete: [(chain: [Taken], end: Int)] = []
        var timeouts: [[Taken]] = []
        func extend(_ chain: [Taken]) {
            if let end = completion(of: chain) { complete.append((chain, end)) }
            if isOpenAtEnd(chain) { timeouts.append(chain) }
            let last = chain[chain.count - 1]
            let next =
                [(place: last.place, contiguity: step(last).inner)] + places.behind(last.place).next
            for event in (last.event + 1)..<symbols.count + 1
            where event < symbols.count && isInWindow(event, chain) {
                for (place, contiguity) in next
                where follows(chain, Taken(place: place, event: event), contiguity) {
                    extend(chain + [Taken(place: place, event: event)])
                }
            }
        }
        for event in symbols.indices {
            for place in places.beginnings where takes(event, place, behind: []) {
                extend([Taken(place: place, event: event)])
            }
        }
        return (skipping(complete), timeouts)
    }

    // MARK: Single conditions

    private func step(_ taken: Taken) -> PatternSpecification.Step { places.step(taken.place) }

    private func takes(_ event: Int, _ place: PatternPlace, behind chain: [Taken]) -> Bool {
        places.step(place).symbols.contains(symbols[event])
            && !isEnded(by: event, until(place, isIn: true), chain)
    }

    /// What ends the group that a place belongs to, and the step there once it has an event.
    private func until(
        _ place: PatternPlace, isIn: Bool
    ) -> [PatternSpecification.Until] {
        let own = isIn ? places.step(place).until : nil
        return places.groupUntil(place) + (own.map { [$0] } ?? [])
    }

    /// Whether an event satisfies one of these conditions for a chain as it is before it.
    private func isEnded(
        by event: Int, _ until: [PatternSpecification.Until], _ chain: [Taken]
    ) -> Bool {
        until.contains { until in
            until.holds(for: symbols[event]) { step in
                chain.count { places.number($0.place) == step }
            }
        }
    }

    private func isInWindow(_ event: Int, _ chain: [Taken]) -> Bool {
        guard let window = specification.window else { return true }
        return times[event] - times[chain[0].event] < window
    }

    /// How many events the last step of a chain has.
    private func count(_ chain: [Taken]) -> Int {
        chain.reversed().prefix { $0.place == chain[chain.count - 1].place }.count
    }

    /// Whether a chain may be continued so.
    private func follows(_ chain: [Taken], _ next: Taken, _ contiguity: Contiguity) -> Bool {
        let last = chain[chain.count - 1]
        let count = count(chain)
        let isSame = next.place == last.place
        guard takes(next.event, next.place, behind: chain),
            isSame ? count < step(last).maximum : count >= step(last).minimum
        else { return false }
        return waits(for: next.place, contiguity, chain, before: next.event)
            && survives(chain, through: next.event)
            && (isSame || !isHeldBack(chain, through: next.event))
    }

    /// Whether a chain still waits for an event at a place when `end` comes.
    private func waits(
        for place: PatternPlace, _ contiguity: Contiguity, _ chain: [Taken], before end: Int
    ) -> Bool {
        let last = chain[chain.count - 1]
        let step = places.step(place)
        let between = (last.event + 1)..<max(end, last.event + 1)
        let until = until(place, isIn: place == last.place)
        if between.contains(where: { isEnded(by: $0, until, chain) }) { return false }
        switch contiguity {
        case .strict: return between.isEmpty
        case .relaxed: return !between.contains { step.symbols.contains(symbols[$0]) }
        case .any: return true
        }
    }

    /// Whether no negation behind the last step of a chain is met up to an event.
    private func survives(_ chain: [Taken], through end: Int) -> Bool {
        let last = chain[chain.count - 1]
        for negation in places.negations(last.place) {
            for event in (last.event + 1)..<max(end + 1, last.event + 1) {
                if negation.isNext {
                    if event > last.event + 1 || count(chain) < step(last).minimum { break }
                }
                if negation.symbols.contains(symbols[event]) { return false }
            }
        }
        return true
    }

    /// Whether the last step is greedy and could have taken an event up to `end`.
    private func isHeldBack(_ chain: [Taken], through end: Int) -> Bool {
        let last = chain[chain.count - 1]
        let step = step(last)
        guard step.isGreedy, count(chain) < step.maximum else { return false }
        let until = until(last.place, isIn: true)
        for event in (last.event + 1)..<max(end + 1, last.event + 1) {
            if isEnded(by: event, until, chain) { return false }
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

    /// The event with which a chain is known to be a match; nil if it is none.
    private func completion(of chain: [Taken]) -> Int? {
        let last = chain[chain.count - 1]
        guard count(chain) >= step(last).minimum, places.behind(last.place).isEnd else {
            return nil
        }
        let negations = places.negations(last.place)
        if negations.isEmpty { return last.event }
        guard isLastStep(last.place) else { return nil }
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

    /// Whether nothing can come behind a place.
    private func isLastStep(_ place: PatternPlace) -> Bool { places.behind(place).next.isEmpty }

    /// Whether a chain is left when its window is over, and was no match before.
    private func isOpenAtEnd(_ chain: [Taken]) -> Bool {
        guard specification.window != nil, completion(of: chain) == nil else { return false }
        let last = chain[chain.count - 1]
        let step = step(last)
        let end = horizon(chain)
        guard survives(chain, through: end) else { return false }
        if count(chain) < step.maximum,
            waits(for: last.place, step.inner, chain, before: end + 1)
        {
            return true
        }
        if count(chain) < step.minimum || isHeldBack(chain, through: end) { return false }
        for (place, contiguity) in places.behind(last.place).next
        where waits(for: place, contiguity, chain, before: end + 1) {
            return true
        }
        // The next event will decide.
        return isLastStep(last.place) && !places.negations(last.place).isEmpty && end == last.event
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
            return one.event == other.event ? one.place < other.place : one.event > other.event
        }
        return left.count < right.count
    }

    private func limit(after chain: [Taken]) -> Int {
        func isNamed(_ name: String) -> (Taken) -> Bool {
            { "\(places.number($0.place))" == name }
        }
        switch specification.skip.kind {
        case .noSkip: return 0
        case .next: return chain[0].event + 1
        case .pastLast: return chain[chain.count - 1].event + 1
        case .first(let name): return chain.first(where: isNamed(name))?.event ?? 0
        case .last(let name): return chain.last(where: isNamed(name))?.event ?? 0
        }
    }
}
