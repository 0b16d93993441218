import Synchronization
import WeirCore

extension Recipe {
    /// Events that can't be handled, and calls that fail for a while.
    static let failing: [Recipe] = [
        .one(givenUp), .one(givenUpByKey), .one(givenUpInWindow), .one(givenUpResult),
        .one(givenUpTimer), .one(givenUpCall), .one(flakyCall), .one(guardedCall),
    ]

    private static func fit(_ item: Item, _ modulus: Int) throws -> Item {
        if item.value % modulus == 0 { throw Unfit() }
        return item
    }

    private static func fit(_ items: [Item], _ modulus: Int) -> [Item] {
        items.filter { $0.value % modulus != 0 }
    }

    private static func givenUp(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let modulus = draw.number(4...9)
        let count = draw.number(1...4)
        return ComposedOperator("map { value % \(modulus) == 0 throws }", input.untimed()) {
            stream, place in
            place.within(stream.stage(place.name)).map { item throws in try fit(item, modulus) }
                .chunked(count: count).flatMap { $0 }
        } compute: {
            fit($0, modulus)
        }
    }

    private static func givenUpByKey(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        guard input.order >= .perKey else { return nil }
        let modulus = draw.number(4...9)
        return ComposedOperator(
            "keyed.scan { sum, value % \(modulus) == 0 throws }", input.keyed(draw.parallelism)
        ) { stream, place in
            place.within(
                stream.keyed(by: \.key).scan(into: 0, name: place.name) { sum, item throws in
                    sum += item.value
                    return try fit(item, modulus).with(value: sum)
                })
        } compute: { items in
            var sums: [Int: Int] = [:]
            return fit(items, modulus).map { item in
                sums[item.key, default: 0] += item.value
                return item.with(value: sums[item.key, default: 0])
            }
        }
    }

    private static func givenUpInWindow(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        guard input.isTimed else { return nil }
        let (window, modulus) = (ComposedWindow.drawn(&draw), draw.number(4...9))
        return ComposedOperator(
            "keyed.window(\(window.text)).sum, value % \(modulus) == 0 throws",
            input.ordered(.perKey)
        ) { stream, place in
            place.within(
                stream.keyed(by: \.key).window(window.window)
                    .reduce(into: 0, name: place.name) { sum, item throws in
                        sum = Item.bounded(sum + item.value)
                        _ = try fit(item, modulus)
                    } combine: { sum, other in
                        sum = Item.bounded(sum + other)
                    }
            ).items { Item($0.key, $0.value, at: $1) }
        } compute: { items in
            byKey(fit(items, modulus)) { key, own in
                window.cut(own).map { Item(key, $0.items.sum(), at: $0.end - 1) }
            }
        }
    }

    /// Results of windows that the code behind them can't take.
    private static func givenUpResult(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        guard input.isTimed else { return nil }
        let (window, modulus) = (ComposedWindow.drawn(&draw), draw.number(3...6))
        let recovers = draw.chance(1, of: 2)
        return ComposedOperator(
            "keyed.window(\(window.text)).sum.map { value % \(modulus) == 0 throws }"
                + (recovers ? ".recover { skip }" : ""), input.ordered(.perKey)
        ) { stream, place in
            let results = place.within(
                stream.keyed(by: \.key).window(window.window)
                    .reduce(into: 0, name: place.name) { sum, item in
                        sum = Item.bounded(sum + item.value)
                    } combine: { sum, other in
                        sum = Item.bounded(sum + other)
                    }
            ).items { Item($0.key, $0.value, at: $1) }.map { item throws in
                try fit(item, modulus)
            }
            return recovers ? results.recover(from: Unfit.self) { _ in .skip } : results
        } compute: { items in
            fit(
                byKey(items) { key, own in
                    window.cut(own).map { Item(key, $0.items.sum(), at: $0.end - 1) }
                }, modulus)
        }
    }

    private static func givenUpTimer(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        guard input.isTimed else { return nil }
        let modulus = draw.number(2...5)
        return ComposedOperator(
            "keyed.handle { sums by time, % \(modulus) == 0 throws }", input.ordered(.perKey)
        ) { stream, place in
            place.within(
                stream.keyed(by: \.key).handle(place.name) { FailingSums(modulus: modulus) })
        } compute: { items in
            byKey(items) { key, own in
                let sums = Set(own.map(\.at)).sorted().map { at in
                    Item(key, own.filter { $0.at == at }.sum(), at: at)
                }
                return fit(sums, modulus)
            }
        }
    }

    /// A sum for each event time.
    private struct FailingSums: KeyedHandler {
        let modulus: Int

        func initialState(for key: Int) -> [Item] { [] }

        func on(_ item: Item, state: inout [Item], _ context: inout Context<Int, Item>) throws {
            state.append(item)
            context.setTimer(at: item.time)
        }

        func onTimer(
            _ timer: FiredTimer, state: inout [Item], _ context: inout Context<Int, Item>
        ) throws {
            let own = state.filter { $0.time == timer.time }
            state.removeAll { $0.time == timer.time }
            let sum = Item(context.key, own.sum(), at: timer.time.nanoseconds)
            context.emit(sum)
            _ = try fit(sum, modulus)
        }
    }

    private static func givenUpCall(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        let (modulus, inFlight) = (draw.number(4...9), draw.number(1...4))
        let ordered = draw.chance(1, of: 2)
        let text = "mapAsync(ordered: \(ordered)) { value % \(modulus) == 0 throws }"
        return ComposedOperator(text, ordered ? input : input.ordered(.any)) { stream, place in
            place.within(
                stream.mapAsync(inFlight: inFlight, ordered: ordered, name: place.name) {
                    item throws in
                    for _ in 0..<item.value % 3 { await Task.yield() }
                    return try fit(item, modulus)
                })
        } compute: {
            fit($0, modulus)
        }
    }

    private static func flakyCall(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let (failures, ordered) = (draw.number(1...5), draw.chance(1, of: 2))
        let text = "mapAsync(ordered: \(ordered), retry: 6) { fails up to \(failures) times }"
        return ComposedOperator(text, ordered ? input : input.ordered(.any)) { stream, place in
            let service = FlakyService(failures: failures)
            return place.within(
                stream.mapAsync(
                    inFlight: 3, ordered: ordered,
                    retry: .exponential(attempts: 6, from: .milliseconds(1)), name: place.name
                ) { item throws in try await service.answer(item) })
        } compute: {
            $0
        }
    }

    private static func guardedCall(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        let (failures, window) = (draw.number(1...3), draw.number(3...4))
        let (rejects, ordered) = (draw.chance(1, of: 2), draw.chance(1, of: 2))
        let (trials, pause) = (draw.number(1...2), Duration.milliseconds(draw.number(1...6)))
        let text =
            "mapAsync(breaker: \(failures) of \(window), \(pause), trials: \(trials), "
            + "\(rejects ? "reject, both outputs merged" : "wait"), ordered: \(ordered))"
        let output = ordered && !rejects ? input : input.ordered(.any)
        return ComposedOperator(text, output) { stream, place in
            let service = FlakyService(failures: 4)
            let calls = stream.mapAsync(
                breaker: CircuitBreaker(
                    failures: failures, of: window, pause: pause, trials: trials,
                    whileOpen: rejects ? .reject : .wait),
                inFlight: 3, ordered: ordered,
                retry: .exponential(attempts: 6, from: .milliseconds(1)), name: place.name
            ) { item throws in try await service.answer(item) }
            return place.within(rejects ? calls.results.merge(calls.rejected) : calls.results)
        } compute: {
            $0
        }
    }
}

/// Answers with the question, but fails for some at first.
private final class FlakyService: Sendable {
    private let failures: Int
    private let asked = Mutex<[Item: Int]>([:])

    init(failures: Int) {
        self.failures = failures
    }

    func answer(_ item: Item) async throws -> Item {
        let times = asked.withLock { asked in
            asked[item, default: 0] += 1
            return asked[item, default: 0]
        }
        for _ in 0..<(item.value + times) % 4 { await Task.yield() }
        if item.value % 3 == 0, times <= failures { throw Unfit() }
        return item
    }
}
