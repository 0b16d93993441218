/// Which rate to try next.
///
/// The steps in order; with a bound, behind the first step that breaks it, the middle between that
/// one and the last good one, until they are close.
struct RateSearch {
    private enum State {
        case climbing(Int)
        case narrowing(attempts: Int)
        case finished
    }

    /// How close the two rates have to be, as a part of the lower one.
    static let precision = 0.05
    /// Tries beyond the steps.
    static let attemptsMax = 6

    private let steps: [Double]
    private let stopsAtFirstBad: Bool
    private var state = State.climbing(0)
    private(set) var highestGood: Double?
    private var lowestBad: Double?

    init(_ steps: [Double], stopsAtFirstBad: Bool) {
        self.steps = steps
        self.stopsAtFirstBad = stopsAtFirstBad
    }

    /// The rate to try now; nil when the search is over.
    var next: Double? {
        switch state {
        case .climbing(let index): index < steps.count ? steps[index] : nil
        case .narrowing: middle
        case .finished: nil
        }
    }

    /// Notes whether the rate that ``next`` named was good.
    mutating func tried(isGood: Bool) {
        guard let rate = next else { return }
        if isGood {
            highestGood = max(rate, highestGood ?? 0)
        } else {
            lowestBad = min(rate, lowestBad ?? .infinity)
        }
        switch state {
        case .climbing(let index):
            if isGood || !stopsAtFirstBad {
                state = .climbing(index + 1)
            } else {
                state = highestGood == nil ? .finished : .narrowing(attempts: 0)
            }
        case .narrowing(let attempts):
            state = attempts + 1 < Self.attemptsMax ? .narrowing(attempts: attempts + 1) : .finished
        case .finished: break
        }
    }

    /// Gives up, as when the generator is the limit.
    mutating func stop() { state = .finished }

    private var middle: Double? {
        guard let good = highestGood, let bad = lowestBad, bad - good > good * Self.precision else {
            return nil
        }
        let middle = (good + bad) / 2
        // Whole messages, where that leaves a difference.
        return good >= 100 ? middle.rounded() : middle
    }
}
