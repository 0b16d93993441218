/// What `--steps` and `--ramp` say of the rates of a load.
enum Rates: Equatable {
    /// One load after the other, each at its rate.
    case steps([Double])
    /// One load whose rate changes all the time.
    case linear(from: Double, to: Double)

    static let stepsMax = 1_000

    /// Reads rates with commas between them.
    static func steps(_ text: String) throws(LoadError) -> Rates {
        var rates: [Double] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let rate = number(part) else {
                throw LoadError("--steps '\(text)': write rates such as 1000,2000,5000")
            }
            rates.append(rate)
        }
        guard zip(rates, rates.dropFirst()).allSatisfy({ $0 < $1 }) else {
            throw LoadError("--steps '\(text)': each rate has to be above the one before it")
        }
        return .steps(try checked(rates, "--steps"))
    }

    /// Reads `FROM..TO`, or `FROM..TO/STEP` for steps.
    static func ramp(_ text: String) throws(LoadError) -> Rates {
        let wrong = LoadError(
            "--ramp '\(text)': write 1000..20000 for a rate that rises all the time, or"
                + " 1000..20000/1000 for steps")
        guard let dots = text.firstRange(of: "..") else { throw wrong }
        let ends = text[dots.upperBound...].split(
            separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let from = number(text[..<dots.lowerBound]), let to = number(ends[0]), from != to
        else { throw wrong }
        guard ends.count == 2 else { return .linear(from: from, to: to) }
        guard let step = number(ends[1]), from < to else { throw wrong }
        let count = ((to - from) / step).rounded(.down) + 1
        guard count <= Double(stepsMax) else {
            throw LoadError("--ramp has \(count) steps; it can have \(stepsMax)")
        }
        return .steps(try checked((0..<Int(count)).map { from + Double($0) * step }, "--ramp"))
    }

    private static func number(_ text: some StringProtocol) -> Double? {
        guard let value = Double(text), value.isFinite, value > 0 else { return nil }
        return value
    }

    private static func checked(_ rates: [Double], _ name: String) throws(LoadError) -> [Double] {
        guard rates.count <= stepsMax else {
            throw LoadError("\(name) has \(rates.count) steps; it can have \(stepsMax)")
        }
        let most = LoadPlan.Limits.ratePerSecond
        guard let last = rates.last, last <= most, rates[0] >= 0.01 else {
            throw LoadError("\(name): a rate can be 0.01 to \(most)")
        }
        return rates
    }
}
