import WeirCore

extension Recipe {
    /// State for a whole stream, and what makes stages of it.
    static let whole: [Recipe] = [
        .one(scan), .one(distinct), .one(changes), .one(part), .one(chunked), .one(chunkSums),
        .one(stage), .one(throttle),
    ]

    private static func scan(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order == .whole else { return nil }
        let throwing = draw.chance(1, of: 2)
        return ComposedOperator("scan { sum }", input) { stream, _ in
            throwing
                ? stream.scan(into: 0) { sum, item throws in
                    sum = Item.bounded(sum + (try item.checked()).value)
                    return item.with(value: sum)
                }
                : stream.enumerated().scan(Item(0, 0, at: 0)) { sum, next in
                    next.element.with(value: sum.value + next.element.value)
                }
        } compute: { items in
            var sum = 0
            return items.map { item in
                sum += item.value
                return item.with(value: sum)
            }
        }
    }

    private static func distinct(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        if input.order == .whole, draw.chance(1, of: 2) {
            let (modulus, memory) = (draw.number(4...9), draw.number(2...5))
            let text = "distinct(by: value % \(modulus), memory: \(memory))"
            return ComposedOperator(text, input) { stream, _ in
                stream.distinct(by: { $0.value % modulus }, memory: memory).fallible()
            } compute: { items in
                var known: [Int] = []
                return items.filter { item in
                    if known.contains(item.value % modulus) { return false }
                    known.append(item.value % modulus)
                    if known.count > memory { known.removeFirst() }
                    return true
                }
            }
        }
        return ComposedOperator("distinct()", input) { stream, _ in
            stream.distinct().fallible()
        } compute: { items in
            var known: Set<Item> = []
            return items.filter { known.insert($0).inserted }
        }
    }

    private static func changes(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order == .whole else { return nil }
        let modulus = draw.number(2...4)
        return ComposedOperator("changes(of: value % \(modulus))", input) { stream, _ in
            stream.changes(of: { $0.value % modulus }).fallible()
        } compute: { items in
            zip(items.indices, items).filter { index, item in
                index == 0 || items[index - 1].value % modulus != item.value % modulus
            }.map(\.1)
        }
    }

    private static func part(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order == .whole else { return nil }
        let count = draw.number(2...12)
        if draw.chance(1, of: 2) {
            return ComposedOperator("dropFirst(\(count))", input) { stream, _ in
                stream.dropFirst(count).fallible()
            } compute: {
                Array($0.dropFirst(count))
            }
        }
        return ComposedOperator("prefix(\(count))", input) { stream, place in
            place.within(stream.prefix(count, name: place.name)).fallible()
        } compute: {
            Array($0.prefix(count))
        }
    }

    /// The items of a chunk leave together, at the latest time of them.
    private static func chunked(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order == .whole || !input.isTimed else { return nil }
        let (count, isTimed) = (draw.number(2...6), input.isTimed)
        return ComposedOperator("chunked(count: \(count)).flatMap { $0 }", input) { stream, _ in
            let items = stream.chunked(count: count).fallible().flatMap { $0 }
            return isTimed ? items.items { $0.at($1) } : items
        } compute: { items in
            guard isTimed else { return items }
            return chunks(items, count).flatMap { chunk in
                let latest = chunk.map(\.at).max() ?? 0
                return chunk.map { $0.at(latest) }
            }
        }
    }

    private static func chunkSums(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order == .whole, input.isTimed else { return nil }
        let count = draw.number(2...4)
        return ComposedOperator("chunked(count: \(count)).map { sum }", input) { stream, _ in
            stream.chunked(count: count).fallible().items { Item($0[0].key, $0.digest, at: $1) }
        } compute: { items in
            chunks(items, count).map { chunk in
                Item(chunk[0].key, chunk.digest, at: chunk.map(\.at).max() ?? 0)
            }
        }
    }

    static func chunks(_ items: [Item], _ count: Int) -> [[Item]] {
        stride(from: 0, to: items.count, by: count).map {
            Array(items[$0..<min($0 + count, items.count)])
        }
    }

    private static func stage(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        ComposedOperator("stage", input) { stream, place in
            place.within(stream.stage(place.name)).fallible()
        } compute: {
            $0
        }
    }

    private static func throttle(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let burst = draw.number(1...4)
        return ComposedOperator("throttle(events: 1, burst: \(burst))", input) { stream, place in
            place.within(
                stream.throttle(
                    events: 1, per: .milliseconds(2), burst: burst, name: place.name))
        } compute: {
            $0
        }
    }
}
