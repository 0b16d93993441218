import WeirCore

extension Recipe {
    /// State for each key.
    static let keyed: [Recipe] = [
        .one(reduce), .one(scan), .one(distinct), .one(changes), .one(handle), .one(handle),
        .one(latestPerCheckpoint),
    ]

    private static func reduce(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order >= .perKey, input.isTimed else { return nil }
        return ComposedOperator("keyed.reduce { sum }", input.keyed(draw.parallelism)) {
            stream, place in
            place.within(
                stream.keyed(by: \.key).reduce(into: 0, name: place.name) { sum, item throws in
                    sum += (try item.checked()).value
                }
            ).items { Item($0.key, $0.value, at: $1) }
        } compute: {
            runningSums($0)
        }
    }

    private static func runningSums(_ items: [Item]) -> [Item] {
        var sums: [Int: Int] = [:]
        return items.map { item in
            sums[item.key, default: 0] += item.value
            return item.with(value: sums[item.key, default: 0])
        }
    }

    private static func scan(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order >= .perKey else { return nil }
        return ComposedOperator("keyed.scan { sum }", input.keyed(draw.parallelism)) {
            stream, place in
            place.within(
                stream.keyed(by: \.key).scan(into: 0, name: place.name) { sum, item in
                    sum += item.value
                    return item.with(value: sum)
                }
            ).fallible()
        } compute: {
            runningSums($0)
        }
    }

    private static func distinct(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order >= .perKey else { return nil }
        let modulus = draw.number(2...5)
        // The items of one key are spread over instances.
        let order = draw.parallelism == 1 ? input.order : .any
        return ComposedOperator(
            "keyed(by: key, value % \(modulus)).distinct", input.ordered(order)
        ) { stream, place in
            place.within(
                stream.keyed { $0.key * modulus + $0.value % modulus }.distinct(name: place.name)
            ).fallible()
        } compute: { items in
            var known: Set<[Int]> = []
            return items.filter { known.insert([$0.key, $0.value % modulus]).inserted }
        }
    }

    private static func changes(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order >= .perKey else { return nil }
        let modulus = draw.number(2...4)
        let text = "keyed.changes(of: value % \(modulus))"
        return ComposedOperator(text, input.keyed(draw.parallelism)) { stream, place in
            place.within(
                stream.keyed(by: \.key).changes(of: { $0.value % modulus }, name: place.name)
            ).fallible()
        } compute: { items in
            var last: [Int: Int] = [:]
            return items.filter { item in
                last.updateValue(item.value % modulus, forKey: item.key) != item.value % modulus
            }
        }
    }

    /// Sums at each item's time and a delay what has come of its key since the delay before; the side
    /// output numbers the items.
    private static func handle(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.isTimed else { return nil }
        let delay = Int64(draw.number(1...6)) * 1_000_000_000
        let timers = input.ordered(.perKey)
        let numbered = input.keyed(draw.parallelism)
        let hasSide = input.order >= .perKey
        return ComposedOperator(
            "keyed.handle { sum of \(delay / 1_000_000_000) s }, sideOutput { number }",
            hasSide ? [timers, numbered] : [timers]
        ) { place, stream in
            let handled = place.within(
                stream.keyed(by: \.key).handle(place.name) { DelayedSum(delay: delay) })
            return hasSide ? [handled, handled.sideOutput(DelayedSum.numbered)] : [handled]
        } compute: { items in
            var sums: [Item] = []
            for time in Set(items.map { $0.at + delay }).sorted() {
                for key in Set(items.filter { $0.at + delay == time }.map(\.key)) {
                    let own = items.filter {
                        $0.key == key && $0.at <= time && $0.at > time - 2 * delay
                    }
                    sums.append(Item(key, own.sum(), at: time))
                }
            }
            var counts: [Int: Int] = [:]
            let numbered = items.map { item in
                counts[item.key, default: 0] += 1
                return item.with(value: counts[item.key, default: 0])
            }
            return hasSide ? [sums, numbered] : [sums]
        }
    }

    private struct DelayedSum: KeyedHandler {
        static let numbered = SideOutput<Item>("numbered")

        struct State: Codable, Sendable {
            var items: [Item] = []
            var count = 0
        }

        let delay: Int64

        func initialState(for key: Int) -> State { State() }

        func on(
            _ item: Item, state: inout State, _ context: inout Context<Int, Item>
        ) throws(Unfit) {
            state.items.append(try item.checked())
            state.count += 1
            context.setTimer(at: EventTime(nanoseconds: item.at + delay))
            context.emit(item.with(value: state.count), to: Self.numbered)
        }

        func onTimer(
            _ timer: FiredTimer, state: inout State, _ context: inout Context<Int, Item>
        ) {
            // Later items may have come already, how many depends on the batches.
            let time = timer.time.nanoseconds
            state.items.removeAll { $0.at <= time - 2 * delay }
            let sum = state.items.filter { $0.at <= time }.sum()
            context.emit(Item(context.key, sum, at: time))
        }
    }

    /// How many come of a key depends on the checkpoints; the last one does not.
    private static func latestPerCheckpoint(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        guard input.order >= .perKey else { return nil }
        return ComposedOperator(
            "keyed.latestPerCheckpoint, the last of each", input.untimed().ordered(.perKey)
        ) { stream, place in
            place.within(
                stream.keyed(by: \.key).latestPerCheckpoint(name: place.name)
            ).map(\.element).keyed(by: \.key)
                .window(.global(trigger: .every(1_000_000)))
                .reduce(into: [Item](), name: "\(place.name)-last") { $0 = [$1] }
                .flatMap(\.value)
        } compute: { items in
            Item.keys.sorted().compactMap { key in items.last { $0.key == key } }
        }
    }
}
