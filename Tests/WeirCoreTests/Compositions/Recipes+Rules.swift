import WeirCore

extension Recipe {
    /// Rules that all instances get: which events meet which rules depends on the order, what the rules
    /// are in the end does not.
    static let rules: [Recipe] = [.two(ruled), .two(ruled), .two(passedRules)]

    private static func start(_ draw: inout Draw) -> TableStart {
        draw.chance(1, of: 2) ? .immediate : .whenLoaded(limit: draw.number(2...30))
    }

    /// Lets events through; at the end each key says which rules there are.
    private static func ruled(
        _ draw: inout Draw, _ events: StreamTraits, _ rules: StreamTraits
    ) -> ComposedOperator? {
        guard events.isTimed else { return nil }
        let (start, isInOrder) = (start(&draw), rules.order == .whole)
        // Some rules can't be taken.
        let modulus = draw.chance(1, of: 2) ? 7 : 1_000_000
        let output = events.untimed().ordered(min(events.order, .perKey))
        return ComposedOperator(
            "keyed.connect(broadcast:, \(start == .immediate ? "now" : "when loaded")).handle, "
                + "\(isInOrder ? "in order" : "in any order"), % \(modulus) throws",
            joined: output
        ) { events, rules, place in
            place.within(
                events.keyed(by: \.key)
                    .connect(broadcast: rules, into: Rules(), start: start) { known, rule throws in
                        known.count += 1
                        known.digest = Rules.digest(known.digest, rule, isInOrder)
                        if rule.value % modulus == modulus - 1 { throw Unfit() }
                    }.handle(place.name) { Ruled() })
        } compute: { events, rules in
            let kept = rules.filter { $0.value % modulus != modulus - 1 }
            let digest = kept.reduce(0) { Rules.digest($0, $1, isInOrder) }
            return events
                + Set(events.map(\.key)).sorted().map { Item($0, digest, at: Int64(kept.count)) }
        }
    }

    private struct Rules: Codable, Sendable {
        var count = 0
        var digest = 0

        static func digest(_ digest: Int, _ rule: Item, _ isInOrder: Bool) -> Int {
            Item.bounded(digest * (isInOrder ? 31 : 1) + 8 * rule.value + rule.key)
        }
    }

    private struct Ruled: BroadcastHandler {
        func initialState(for key: Int) -> Int { 0 }

        func on(
            _ item: Item, rules: Rules, state: inout Int, _ context: inout Context<Int, Item>
        ) throws(Unfit) {
            state += 1
            context.emit(try item.checked())
            context.setTimer(at: EventTime(nanoseconds: .max / 2))
        }

        func onTimer(
            _ timer: FiredTimer, rules: Rules, state: inout Int,
            _ context: inout Context<Int, Item>
        ) throws(Unfit) {
            context.emit(Item(context.key, rules.digest, at: Int64(rules.count)))
        }
    }

    private static func passedRules(
        _ draw: inout Draw, _ events: StreamTraits, _ rules: StreamTraits
    ) -> ComposedOperator? {
        let start = start(&draw)
        var output = events.keyed(draw.parallelism)
        output.isTimed = events.isTimed && rules.isTimed
        return ComposedOperator(
            "keyed.connect(broadcast:, \(start == .immediate ? "now" : "when loaded")).compactMap",
            joined: output
        ) { events, rules, place in
            place.within(
                events.keyed(by: \.key)
                    .connect(broadcast: rules, into: 0, start: start) { $0 += $1.value }
                    .compactMap(name: place.name) { item, sum throws in
                        sum < 0 ? nil : try item.checked()
                    })
        } compute: { events, _ in
            events
        }
    }
}
