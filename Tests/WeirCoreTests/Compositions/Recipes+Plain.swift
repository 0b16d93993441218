import WeirCore

extension Recipe {
    /// One event at a time.
    static let plain: [Recipe] = [
        .one(map), .one(rekey), .one(filter), .one(flatMap), .one(recover),
    ]

    private static func map(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let (factor, summand) = (draw.number(1...5), draw.below(100))
        let compute = { @Sendable (item: Item) in item.with(value: item.value * factor + summand) }
        let throwing = draw.chance(1, of: 2)
        return ComposedOperator("map { value * \(factor) + \(summand) }", input) { stream, _ in
            throwing
                ? stream.map { item throws in compute(try item.checked()) } : stream.map(compute)
        } compute: {
            $0.map(compute)
        }
    }

    private static func rekey(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let shift = draw.number(1...7)
        let way = draw.below(3)
        let isOneToOne = way == 0
        let text = ["key + \(shift)", "key / 2", "value % 8"][way]
        let key = { @Sendable (item: Item) in
            isOneToOne ? (item.key + shift) % 8 : way == 1 ? item.key / 2 : item.value % 8
        }
        let compute = { @Sendable (item: Item) in Item(key(item), item.value, at: item.at) }
        let keys = isOneToOne ? Set(input.keys.map { ($0 + shift) % 8 }) : Item.keys
        let order = input.order == .whole || isOneToOne ? input.order : .any
        return ComposedOperator("map { key: \(text) }", input.ordered(order).having(keys)) {
            stream, _ in
            stream.map(compute)
        } compute: {
            $0.map(compute)
        }
    }

    private static func filter(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let modulus = draw.number(3...6)
        let rest = draw.below(modulus)
        let includes = { @Sendable (item: Item) in item.value % modulus != rest }
        let way = draw.below(3)
        return ComposedOperator("filter { value % \(modulus) != \(rest) }", input) { stream, _ in
            switch way {
            case 0: stream.filter(includes)
            case 1: stream.filter { item throws in includes(try item.checked()) }
            default: stream.compactMap { includes($0) ? $0 : nil }
            }
        } compute: {
            $0.filter(includes)
        }
    }

    private static func flatMap(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let modulus = draw.number(2...3)
        let compute = { @Sendable (item: Item) in
            (0..<item.value % modulus + (modulus == 2 ? 1 : 0)).map {
                item.with(value: item.value + 100 * $0)
            }
        }
        let throwing = draw.chance(1, of: 2)
        return ComposedOperator("flatMap { value % \(modulus) of it }", input) { stream, _ in
            throwing
                ? stream.flatMap { item throws in compute(try item.checked()) }
                : stream.flatMap(compute)
        } compute: {
            $0.flatMap(compute)
        }
    }

    /// Some events fail each time, in a stage that begins here: what a stage did with an event before it
    /// failed is undone.
    private static func recover(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let modulus = draw.number(4...7)
        let isReplaced = draw.chance(1, of: 2) && !input.isTimed
        let text = isReplaced ? "emit" : "skip"
        let key = input.keys.min() ?? 0
        // Replaced by an event of a key of its own, so that no order matters.
        let replacement = Item(key, 500, at: 0)
        let order = isReplaced ? StreamTraits.Order.any : input.order
        return ComposedOperator("recover { value % \(modulus): \(text) }", input.ordered(order)) {
            stream, place in
            place.within(stream.stage(place.name)).map { item throws in
                if item.value % modulus == 0 { throw Unfit() }
                return item
            }.recover(from: Unfit.self) { _ in isReplaced ? .emit(replacement) : .skip }
        } compute: { items in
            items.compactMap {
                $0.value % modulus == 0 ? (isReplaced ? replacement : nil) : $0
            }
        }
    }
}
