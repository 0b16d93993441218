/// The same queries as plain loops of one thread, without a framework: the least that they can cost.
///
/// Not all of their semantics: events come in order, no watermark waits for late ones, nothing is
/// kept for recovery, results are counted. q10, which writes files, has none.
package enum NexmarkLoops {
    /// Runs a query's loop; how many results there were, and a sum that makes the work count.
    ///
    /// Nil for a query without one.
    @inline(never)
    package static func run(
        _ name: String, _ events: ContiguousArray<NexmarkEvent>
    ) -> (count: Int, checksum: Int)? {
        switch name {
        case "q0": q0(events)
        case "q1": q1(events)
        case "q2": q2(events)
        case "q3": q3(events)
        case "q4": q4(events)
        case "q5": q5(events)
        case "q6": q6(events)
        case "q7": q7(events)
        case "q8": q8(events)
        case "q9": q9(events)
        case "q11": q11(events)
        case "q12": q12(events)
        case "q13": q13(events)
        case "q14": q14(events)
        case "q15": q15(events)
        case "q16": q16(events)
        case "q17": q17(events)
        case "q18": q18(events)
        case "q19": q19(events)
        case "q20": q20(events)
        case "q21": q21(events)
        case "q22": q22(events)
        default: nil
        }
    }

    static func q0(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        for case .bid(let bid) in events {
            sum &+= bid.auction ^ bid.bidder ^ bid.price ^ bid.dateTime ^ bid.extra.count
            count += 1
        }
        return (count, sum)
    }

    static func q1(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        for case .bid(let bid) in events {
            sum &+= bid.auction ^ bid.bidder ^ (bid.price * 908) ^ bid.dateTime ^ bid.extra.count
            count += 1
        }
        return (count, sum)
    }

    static func q2(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        for case .bid(let bid) in events where bid.auction % 123 == 0 {
            sum &+= bid.auction ^ bid.price
            count += 1
        }
        return (count, sum)
    }

    static func q14(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        for case .bid(let bid) in events {
            let price = 908 * bid.price
            guard price > 1_000_000_000, price < 50_000_000_000 else { continue }
            let time = TimeOfDay(hour: bid.dateTime / 3_600_000 % 24)
            sum &+=
                price ^ NexmarkQueries.count(UInt8(ascii: "c"), in: bid.extra)
                ^ (time == .dayTime ? 1 : 0)
            count += 1
        }
        return (count, sum)
    }

    static func q21(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        for case .bid(let bid) in events {
            guard let id = NexmarkQueries.channelID(of: bid) else { continue }
            sum &+= bid.price ^ id.count
            count += 1
        }
        return (count, sum)
    }

    static func q22(_ events: ContiguousArray<NexmarkEvent>) -> (Int, Int) {
        var (count, sum) = (0, 0)
        for case .bid(let bid) in events {
            let parts = NexmarkQueries.directories(of: bid.url)
            sum &+= bid.price ^ parts.0.count ^ parts.1.count ^ parts.2.count
            count += 1
        }
        return (count, sum)
    }
}
