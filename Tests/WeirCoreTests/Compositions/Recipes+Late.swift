import WeirCore

extension Recipe {
    /// What comes too late: which events do depends on the batches, but each is in a result or among
    /// the late ones.
    static let late: [Recipe] = [
        .one(lateWindow), .one(lateWindow), .one(lateOverlaps), .one(latePattern),
        .one(lateHandle), .two(lateWindowJoin), .two(lateIntervalJoin), .two(lateAsOf),
    ]

    /// Gives a stream a watermark that doesn't wait for what is out of order.
    private static func hurried(_ stream: ItemStream) -> ItemStream {
        stream.eventTime(\.time, .monotonic.neverIdle)
    }

    static func scattered(_ input: StreamTraits) -> StreamTraits {
        input.ordered(.any).untimed()
    }

    /// Windows of which each event has one.
    private static func lateWindow(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let seconds = draw.number(1...6)
        let isSession = draw.chance(1, of: 2)
        let lateness = draw.chance(1, of: 2) ? Duration.seconds(draw.number(1...4)) : .zero
        let count = draw.number(1...3)
        let trigger: WindowTrigger =
            switch draw.below(lateness == .zero ? 3 : 2) {
            case 0: .every(count, .discarding)
            case 1: .every(.milliseconds(count), .discarding)
            default: .atEnd
            }
        let way = draw.below(isSession ? 2 : 3)
        let text =
            "late: keyed.window(\(isSession ? "session" : "tumbling")(\(seconds)), "
            + "allowedLateness: \(lateness), \(trigger)), \(way)"
        return ComposedOperator(text, scattered(input)) { stream, place in
            let size = Duration.seconds(seconds)
            let windows = hurried(stream).keyed(by: \.key).window(
                isSession ? .session(gap: size) : .tumbling(size), allowedLateness: lateness,
                trigger: trigger)
            return place.within(gathered(windows, way, place.name)).fallible().merge(windows.late)
        } compute: {
            $0
        }
    }

    /// The events of windows, collected in one of several ways; the last one is not for sessions.
    static func gathered(
        _ windows: WindowedStream<Int, Item>, _ way: Int, _ name: String
    ) -> ItemStream {
        switch way {
        case 0: windows.collect(maximum: 1_000, name: name).flatMap(\.value.events)
        case 1:
            windows.reduce(into: [Item](), name: name) { items, item throws in
                items.append(try item.checked())
            } combine: { items, more in
                items += more
            }.flatMap(\.value)
        default: windows.reduce(into: [Item](), name: name) { $0.append($1) }.flatMap(\.value)
        }
    }

    /// Windows of which each event has several, some of which may be over.
    private static func lateOverlaps(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        let (size, slide) = (draw.number(2...6), draw.number(1...3))
        let isSliding = draw.chance(2, of: 3)
        let window: Window =
            isSliding
            ? .sliding(.seconds(size), every: .seconds(min(slide, size)))
            : .cumulative(.seconds(slide * size), step: .seconds(slide))
        let lateness = draw.chance(1, of: 2) ? Duration.seconds(draw.number(1...4)) : .zero
        let trigger = draw.pick([
            WindowTrigger.atEnd, .every(2), .every(.milliseconds(2)), .every(1, .discarding),
        ])
        let way = draw.below(3)
        let text =
            "late: keyed.window(\(isSliding ? "sliding" : "cumulative")(\(size), \(slide)), "
            + "allowedLateness: \(lateness), \(trigger)), \(way), distinct"
        return ComposedOperator(text, scattered(input)) { stream, place in
            let windows = hurried(stream).keyed(by: \.key).window(
                window, allowedLateness: lateness, trigger: trigger)
            return place.within(gathered(windows, way, place.name)).merge(windows.late).distinct()
        } compute: {
            Set($0).sorted()
        }
    }

    private static func latePattern(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        ComposedOperator("late: keyed.pattern(any)", scattered(input)) { stream, place in
            let found = hurried(stream).keyed(by: \.key).pattern(
                Pattern<Item>("any") { item throws in try item.checked() == item },
                name: place.name)
            return place.within(found.matches).flatMap { $0["any"] }.merge(found.late)
        } compute: {
            $0
        }
    }

    /// Timers, some of which are set for a time that has passed.
    private static func lateHandle(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let delay = Int64(draw.number(0...3)) * ComposedWindow.second
        let text = "late: keyed.handle { \(delay / ComposedWindow.second) s later }"
        return ComposedOperator(text, scattered(input)) { stream, place in
            place.within(
                hurried(stream).keyed(by: \.key).handle(place.name) { Delay(delay: delay) })
        } compute: {
            $0
        }
    }

    private struct Delay: KeyedHandler {
        let delay: Int64

        func initialState(for key: Int) -> [Item] { [] }

        func on(
            _ item: Item, state: inout [Item], _ context: inout Context<Int, Item>
        ) throws(Unfit) {
            state.append(try item.checked())
            context.setTimer(at: EventTime(nanoseconds: item.at + delay))
        }

        func onTimer(
            _ timer: FiredTimer, state: inout [Item], _ context: inout Context<Int, Item>
        ) {
            for item in state where item.at + delay == timer.time.nanoseconds {
                context.emit(item)
            }
            state.removeAll { $0.at + delay == timer.time.nanoseconds }
            if state.isEmpty { context.clearState() }
        }
    }

    private static func bothScattered(_ left: StreamTraits, _ right: StreamTraits) -> StreamTraits {
        StreamTraits(order: .any, isTimed: false, keys: left.keys.union(right.keys))
    }

    /// Rows that never meet, or of which it doesn't matter how often they do.
    private static func lateWindowJoin(
        _ draw: inout Draw, _ left: StreamTraits, _ right: StreamTraits
    ) -> ComposedOperator? {
        let (seconds, meet) = (draw.number(1...6), draw.chance(1, of: 2))
        let kind = draw.below(meet ? 3 : 2)
        let lateness = meet && draw.chance(1, of: 2) ? Duration.seconds(draw.number(1...3)) : .zero
        let text = "late: keyed.window(\(kind), \(seconds), allowedLateness: \(lateness))"
        return ComposedOperator(
            "\(text).join(.full)\(meet ? ", distinct" : "")",
            joined: bothScattered(left, right)
        ) { left, right, place in
            let size = Duration.seconds(seconds)
            let window: Window =
                switch kind {
                case 0: .tumbling(size)
                case 1: .session(gap: size)
                default: .sliding(size, every: .seconds(1))
                }
            let late = LateRows<Item, Item>()
            let rows = hurried(left).keyed(by: \.key)
                .window(window, allowedLateness: lateness)
                .join(
                    hurried(right).keyed(by: { meet ? $0.key : $0.key + 8 }), .full, late: late,
                    name: place.name
                ) { try both($0, $1) }
            let all = place.within(rows).flatMap(\.value).merge(late.left, late.right)
            return meet ? all.distinct() : all
        } compute: { left, right in
            meet ? Set(left + right).sorted() : left + right
        }
    }

    private static func both(_ left: Item?, _ right: Item?) throws -> [Item] {
        try [left, right].compactMap { try $0?.checked() }
    }

    private static func lateIntervalJoin(
        _ draw: inout Draw, _ left: StreamTraits, _ right: StreamTraits
    ) -> ComposedOperator? {
        let meet = draw.chance(1, of: 2)
        let lower = draw.number(-4...2)
        let upper = lower + draw.number(0...5)
        return ComposedOperator(
            "late: keyed.join(within: \(lower)...\(upper), .full)\(meet ? ", distinct" : "")",
            joined: bothScattered(left, right)
        ) { left, right, place in
            let late = LateRows<Item, Item>()
            let rows = hurried(left).keyed(by: \.key).join(
                hurried(right).keyed(by: { meet ? $0.key : $0.key + 8 }),
                within: .seconds(lower) ... .seconds(upper), .full, late: late, name: place.name
            ) { try both($0, $1) }
            let all = place.within(rows).flatMap { $0 }.merge(late.left, late.right)
            return meet ? all.distinct() : all
        } compute: { left, right in
            meet ? Set(left + right).sorted() : left + right
        }
    }

    /// A late event is joined as well.
    private static func lateAsOf(
        _ draw: inout Draw, _ left: StreamTraits, _ right: StreamTraits
    ) -> ComposedOperator? {
        ComposedOperator(
            "late: keyed.join(asOf:)",
            joined: scattered(left)
        ) { left, right, place in
            place.within(
                hurried(left).keyed(by: \.key)
                    .join(asOf: hurried(right).keyed(by: \.key), name: place.name) {
                        event, row throws in
                        _ = try row?.checked()
                        return event
                    })
        } compute: { left, _ in
            left
        }
    }
}
