import WeirCore

extension Recipe {
    /// One stream into several, several into one, and round.
    static let routing: [Recipe] = [
        .one(splitByKey), .one(splitByValue), .one(branch), .two(merge), .two(merge),
        .one(balance), .one(loop), .one(loopWithAllRounds),
    ]

    private static func splitByKey(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        let modulus = draw.number(2...3)
        let (matching, rest) = (
            input.keys.filter { $0 % modulus == 0 }, input.keys.filter { $0 % modulus != 0 }
        )
        return ComposedOperator(
            "split { key % \(modulus) == 0 }", [input.having(matching), input.having(rest)]
        ) { _, stream in
            let (matching, rest) = stream.split { $0.key % modulus == 0 }
            return [matching, rest]
        } compute: { items in
            [items.filter { $0.key % modulus == 0 }, items.filter { $0.key % modulus != 0 }]
        }
    }

    private static func splitByValue(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        let modulus = draw.number(2...4)
        return ComposedOperator("split { value % \(modulus) == 0 }", [input, input]) { _, stream in
            let (matching, rest) = stream.split { item throws in
                (try item.checked()).value % modulus == 0
            }
            return [matching, rest]
        } compute: { items in
            [items.filter { $0.value % modulus == 0 }, items.filter { $0.value % modulus != 0 }]
        }
    }

    private static func branch(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let outputs = (0..<3).map { rest in input.having(input.keys.filter { $0 % 3 == rest }) }
        return ComposedOperator("branch(3) { key % 3 }", outputs) { _, stream in
            stream.branch(3) { $0.key % 3 }
        } compute: { items in
            (0..<3).map { rest in items.filter { $0.key % 3 == rest } }
        }
    }

    private static func merge(
        _ draw: inout Draw, _ left: StreamTraits, _ right: StreamTraits
    ) -> ComposedOperator? {
        let keepsKeys = left.keys.isDisjoint(with: right.keys)
        let output = StreamTraits(
            order: keepsKeys ? min(left.order, right.order, .perKey) : .any,
            isTimed: left.isTimed && right.isTimed, keys: left.keys.union(right.keys))
        let run = draw.below(6)
        let isPrioritised = draw.chance(1, of: 3) && run > 0
        let text = isPrioritised ? "merge(prioritised, maximumRun: \(run))" : "merge"
        return ComposedOperator(text, joined: output) { left, right, place in
            place.within(
                isPrioritised
                    ? left.merge(prioritisedOver: right, maximumRun: run) : left.merge(right))
        } compute: {
            $0 + $1
        }
    }

    private static func balance(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let workers = draw.number(2...3)
        return ComposedOperator("balance(over: \(workers)) { value + 7 }", input.ordered(.any)) {
            stream, place in
            stream.balance(over: workers, name: place.name) { part in
                place.within(
                    part.map { item throws in
                        let item = try item.checked()
                        return item.with(value: item.value + 7)
                    })
            }
        } compute: { items in
            items.map { $0.with(value: $0.value + 7) }
        }
    }

    /// Halves each value until it is small, in a body of one stage or several.
    private static func loop(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let way = draw.below(3)
        return ComposedOperator("loop(\(way)) { value / 2 until < 60 }", input.ordered(.any)) {
            stream, place in
            stream.loop(place.name) { item in
                let next = body(item, way, place).split { $0.value < 60 }
                return (feedback: next.rest, output: next.matching)
            }
        } compute: { items in
            items.map { item in
                var item = item.with(value: item.value / 2)
                while item.value >= 60 { item = item.with(value: item.value / 2) }
                return item
            }
        }
    }

    private static func body(
        _ item: ItemStream, _ way: Int, _ place: ComposedOperator.Place
    ) -> ItemStream {
        switch way {
        case 0: return item.map { $0.with(value: $0.value / 2) }
        case 1:
            return place.within(item.stage("\(place.name)-body")).map { item throws in
                let item = try item.checked()
                return item.with(value: item.value / 2)
            }
        default:
            return place.within(
                item.keyed(by: \.key).scan(into: 0, name: "\(place.name)-body") { count, item in
                    count += 1
                    return item.with(value: item.value / 2)
                }
            ).mapAsync(inFlight: 3, ordered: false, name: "\(place.name)-call") { item in
                for _ in 0..<item.value % 3 { await Task.yield() }
                return item
            }
        }
    }

    /// All values on the way leave as well.
    private static func loopWithAllRounds(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        let way = draw.below(3)
        return ComposedOperator("loop(\(way)) { value / 2, each round }", input.ordered(.any)) {
            stream, place in
            stream.loop(place.name) { item in
                let next = body(item, way, place)
                return (feedback: next.filter { $0.value > 100 }, output: next)
            }
        } compute: { items in
            items.flatMap { item in
                var rounds = [item.with(value: item.value / 2)]
                while let last = rounds.last, last.value > 100 {
                    rounds.append(last.with(value: last.value / 2))
                }
                return rounds
            }
        }
    }
}
