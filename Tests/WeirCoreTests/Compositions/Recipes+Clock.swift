import WeirCore

extension Recipe {
    /// What goes by the clock: how events are gathered or thinned out differs from run to run, what
    /// comes of all of them does not.
    static let clock: [Recipe] = [
        .one(thinned), .one(thinned), .one(chunkedWithin), .one(conflated), .one(clockWindow),
        .one(clockWindow), .one(clockTimers), .one(clockPattern), .one(limited),
    ]

    /// Lets some events of a stream through, the last one in any case.
    private static func thinned(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order == .whole else { return nil }
        let way = draw.below(6)
        let time = Duration.milliseconds(draw.number(1...8))
        let name = [
            "debounce", "sample", "conflateToLatest", "throttle(.dropOldest)",
            "throttle(.latest)", "throttle(.dropNewest)",
        ][way]
        let output = StreamTraits(order: .whole, isTimed: false, keys: input.keys)
        return ComposedOperator("\(name) by \(time), the last", output) { stream, place in
            let numbered = stream.scan(into: 0) { number, item in
                number += 1
                return item.with(value: number)
            }
            let some =
                switch way {
                case 0: numbered.debounce(time)
                case 1: numbered.sample(every: time)
                case 2:
                    numbered.conflateToLatest(name: place.name).stage("\(place.name)-slow")
                        .mailbox(.bounded(1))
                case 3: numbered.throttle(events: 2, per: time, mode: .dropOldest)
                case 4: numbered.throttle(events: 2, per: time, mode: .latest)
                default: numbered.throttle(events: 2, per: time, mode: .dropNewest)
                }
            return last(some.fallible(), place, isKnown: way < 5)
        } compute: { items in
            guard let last = items.last else { return [] }
            return [Item(way < 5 ? last.key : 0, way < 5 ? items.count : 0, at: 0)]
        }
    }

    /// The last one of numbers that rise; its time says how many did not.
    private static func last(
        _ numbers: ItemStream, _ place: ComposedOperator.Place, isKnown: Bool
    ) -> ItemStream {
        numbers.keyed(by: { _ in 0 }).window(.global(trigger: .every(1_000_000)))
            .reduce(into: Item(0, 0, at: 0), name: "\(place.name)-last") { last, item in
                last = item.at(item.value > last.value ? last.at : last.at + 1)
            }
            .map { isKnown ? $0.value : Item(0, 0, at: $0.value.at) }
    }

    private static func chunkedWithin(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        let (count, time) = (draw.number(2...6), Duration.milliseconds(draw.number(1...8)))
        let text = "chunked(count: \(count), within: \(time)).flatMap { $0 }"
        return ComposedOperator(text, input.untimed()) { stream, _ in
            stream.chunked(count: count, within: time).fallible().flatMap { $0 }
        } compute: {
            $0
        }
    }

    private static func conflated(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let capacity = draw.number(1...3)
        let text = "conflate(capacity: \(capacity), seed: [$0]) { $0 + $1 }.flatMap { $0 }"
        return ComposedOperator(text, input.untimed()) { stream, place in
            stream.conflate(capacity: capacity, seed: { [$0] }, name: place.name) { $0 + $1 }
                .fallible().stage("\(place.name)-slow").mailbox(.bounded(1)).flatMap { $0 }
        } compute: {
            $0
        }
    }

    private static func clockWindow(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        let kind = draw.below(4)
        let (step, steps) = (draw.number(1...4), draw.number(1...3))
        let size = Duration.milliseconds(step * steps)
        let way = draw.below(kind == 1 ? 2 : 3)
        let name = ["tumbling", "session", "sliding", "cumulative"][kind]
        let output = input.untimed().ordered(kind < 2 ? min(input.order, .perKey) : .any)
        return ComposedOperator(
            "keyed.window(\(name)(\(size), \(step), in: .processingTime)), \(way)", output
        ) { stream, place in
            let window: Window =
                switch kind {
                case 0: .tumbling(size, in: .processingTime)
                case 1: .session(gap: size, in: .processingTime)
                case 2: .sliding(size, every: .milliseconds(step), in: .processingTime)
                default: .cumulative(size, step: .milliseconds(step), in: .processingTime)
                }
            let windows = stream.keyed(by: \.key).window(window)
            let all = place.within(gathered(windows, way, place.name)).fallible()
            // How many of the running totals an event is in depends on when it comes.
            return kind == 3 ? all.stage("\(place.name)-all").distinct() : all
        } compute: { items in
            switch kind {
            case 2: items.flatMap { [Item](repeating: $0, count: steps) }
            case 3: Set(items).sorted()
            default: items
            }
        }
    }

    /// Holds the events of a key until the clock has gone on, or all have come.
    private static func clockTimers(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        guard input.isTimed else { return nil }
        let delay = Duration.milliseconds(draw.number(0...8))
        let output = input.untimed().ordered(min(input.order, .perKey))
        return ComposedOperator("keyed.handle { \(delay) later by the clock }", output) {
            stream, place in
            place.within(
                stream.keyed(by: \.key).handle(place.name) { ClockDelay(delay: delay) })
        } compute: {
            $0
        }
    }

    private struct ClockDelay: KeyedHandler {
        let delay: Duration

        func initialState(for key: Int) -> [Item] { [] }

        func on(
            _ item: Item, state: inout [Item], _ context: inout Context<Int, Item>
        ) throws(Unfit) {
            state.append(try item.checked())
            context.setTimer(at: context.now.advanced(by: delay), in: .processingTime)
            // The end drops timers by the clock.
            context.setTimer(at: EventTime(nanoseconds: .max / 2))
        }

        func onTimer(
            _ timer: FiredTimer, state: inout [Item], _ context: inout Context<Int, Item>
        ) {
            for item in state { context.emit(item) }
            context.clearState()
        }
    }

    private static func clockPattern(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        guard input.order >= .perKey else { return nil }
        let modulus = draw.number(2...3)
        let text =
            "keyed.pattern(value % \(modulus) == 0, followedBy value % 2 == 1, time: .processingTime)"
        return ComposedOperator(text, scattered(input)) { stream, place in
            let both = Pattern<Item>("first") { $0.value % modulus == 0 }
                .followedBy("second") { $0.value % 2 == 1 }
            return place.within(
                stream.keyed(by: \.key).pattern(both, name: place.name, time: .processingTime)
                    .matches
            ).fallible().map { Item($0.key, ($0["first"] + $0["second"]).digest, at: 0) }
        } compute: { items in
            byKey(items) { key, own in
                own.indices.compactMap { index -> Item? in
                    guard own[index].value % modulus == 0 else { return nil }
                    return own[(index + 1)...].first { $0.value % 2 == 1 }.map {
                        Item(key, [own[index], $0].digest, at: 0)
                    }
                }
            }
        }
    }

    /// Events beyond the rate of their key leave by another way.
    private static func limited(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let (events, waiting) = (draw.number(1...3), draw.number(0...2))
        let mode: KeyedRateMode =
            waiting == 0 ? .drop : .delay(waitingPerKey: waiting, waiting: 2 * waiting)
        let text = "rateLimit(events: \(events), waiting: \(waiting)), both outputs merged"
        return ComposedOperator(text, input.ordered(.any)) { stream, place in
            let limited = stream.keyed(by: \.key)
                .rateLimit(events: events, per: .milliseconds(3), mode: mode, name: place.name)
            return place.within(limited.passed).fallible().merge(limited.excess)
        } compute: {
            $0
        }
    }
}
