import WeirCore

extension Recipe {
    /// Asynchronous calls and rates.
    static let calls: [Recipe] = [.one(mapAsync), .one(lookUp), .one(rateLimit)]

    private static func mapAsync(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let (inFlight, ordered) = (draw.number(1...5), draw.chance(2, of: 3))
        let text = "mapAsync(inFlight: \(inFlight), ordered: \(ordered)) { value + 11 }"
        return ComposedOperator(text, ordered ? input : input.ordered(.any)) { stream, place in
            place.within(
                stream.mapAsync(inFlight: inFlight, ordered: ordered, name: place.name) { item in
                    for _ in 0..<item.value % 4 { await Task.yield() }
                    return item.with(value: item.value + 11)
                })
        } compute: { items in
            items.map { $0.with(value: $0.value + 11) }
        }
    }

    private static func lookUp(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let ordered = draw.chance(2, of: 3)
        let text = "enrich(by: key, cache: 2, ordered: \(ordered))"
        return ComposedOperator(text, ordered ? input : input.ordered(.any)) { stream, place in
            place.within(
                stream.enrich(
                    by: \.key, cache: 2, inFlight: 3, ordered: ordered, name: place.name,
                    lookUp: { key in
                        await Task.yield()
                        return key * 100
                    }
                ) { item, answer in item.with(value: item.value + answer) })
        } compute: { items in
            items.map { $0.with(value: $0.value + $0.key * 100) }
        }
    }

    private static func rateLimit(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let events = draw.number(1...3)
        let output = input.ordered(min(input.order, .perKey))
        return ComposedOperator("rateLimit(events: \(events), .delay)", output) { stream, place in
            place.within(
                stream.keyed(by: \.key)
                    .rateLimit(
                        events: events, per: .milliseconds(3), mode: .delay(), name: place.name
                    ).passed)
        } compute: {
            $0
        }
    }
}
