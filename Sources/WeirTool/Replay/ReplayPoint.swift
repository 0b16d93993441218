import ArgumentParser
import WeirCore

/// A place in a journal as it is typed: a record's number, a time, or `event N`.
enum ReplayPoint: ExpressibleByArgument, Equatable {
    case record(Int)
    case time(EventTime)
    case event(Int)

    init?(argument: String) {
        let text = argument.trimmingPrefix(" ")
        if text.hasPrefix("event") {
            let digits = text.dropFirst(5).drop { $0 == " " || $0 == ":" }
            guard let number = Int(digits), number >= 0 else { return nil }
            self = .event(number)
        } else if let number = Int(text) {
            guard number >= 0 else { return nil }
            self = .record(number)
        } else if let time = EventTime(rfc3339: text) {
            self = .time(time)
        } else {
            return nil
        }
    }
}

/// How fast a replay goes, as it is typed: `max`, or a factor such as `10x`.
struct ReplaySpeed: ExpressibleByArgument, Equatable {
    var defaultValueDescription: String { factor.map { "\($0)x" } ?? "max" }

    /// Nil for full speed.
    let factor: Double?

    static let max = ReplaySpeed(factor: nil)

    private init(factor: Double?) {
        self.factor = factor
    }

    init?(argument: String) {
        if argument == "max" {
            factor = nil
            return
        }
        let number = argument.hasSuffix("x") ? argument.dropLast() : argument[...]
        guard let value = Double(number), value > 0, value.isFinite else { return nil }
        factor = value
    }
}
