import WeirCore

/// A kind of windows, and which windows the items of a key are in by plain arithmetic.
struct ComposedWindow: Sendable {
    let text: String
    let window: Window
    let isSession: Bool
    /// The items of one key in windows that are not empty, by their ends; the items as they came.
    let cut: @Sendable ([Item]) -> [(end: Int64, items: [Item])]

    static let second: Int64 = 1_000_000_000

    static func drawn(_ draw: inout Draw) -> ComposedWindow {
        let size = draw.number(2...8)
        let step = draw.number(1...4)
        switch draw.below(4) {
        case 0:
            return ComposedWindow(
                "tumbling(\(size))", .tumbling(.seconds(size)), size: size, slide: size)
        case 1:
            return ComposedWindow(
                "sliding(\(size), every: \(min(step, size)))",
                .sliding(.seconds(size), every: .seconds(min(step, size))), size: size,
                slide: min(step, size))
        case 2:
            return ComposedWindow(cumulative: step * draw.number(2...3), step: step)
        default: return ComposedWindow(gap: step)
        }
    }

    private init(_ text: String, _ window: Window, size: Int, slide: Int) {
        let (size, slide) = (Int64(size) * Self.second, Int64(slide) * Self.second)
        self.text = text
        self.window = window
        isSession = false
        cut = { items in
            var windows: [Int64: [Item]] = [:]
            for item in items {
                var start = item.at / slide * slide
                while start > item.at - size {
                    windows[start + size, default: []].append(item)
                    start -= slide
                }
            }
            return windows.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
    }

    private init(cumulative seconds: Int, step: Int) {
        text = "cumulative(\(seconds), step: \(step))"
        window = .cumulative(.seconds(seconds), step: .seconds(step))
        isSession = false
        let (size, step) = (Int64(seconds) * Self.second, Int64(step) * Self.second)
        cut = { items in
            var windows: [Int64: [Item]] = [:]
            for item in items {
                let start = item.at / size * size
                var end = start + step
                while end <= start + size {
                    if item.at < end { windows[end, default: []].append(item) }
                    end += step
                }
            }
            return windows.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
    }

    private init(gap seconds: Int) {
        text = "session(gap: \(seconds))"
        window = .session(gap: .seconds(seconds))
        isSession = true
        let gap = Int64(seconds) * Self.second
        cut = { items in
            var sessions: [(end: Int64, items: [Item])] = []
            for item in items.sorted(by: { $0.at < $1.at }) {
                if let last = sessions.last, item.at < last.end {
                    sessions[sessions.count - 1] = (item.at + gap, last.items + [item])
                } else {
                    sessions.append((item.at + gap, [item]))
                }
            }
            return sessions
        }
    }
}

extension Recipe {
    static let windows: [Recipe] = [
        .one(window), .one(window), .one(window), .one(orderedWindow), .one(orderedWindow),
        .one(earlyWindow), .one(retimed),
    ]

    /// Gives a stream the times that its items say; the watermark waits for the end.
    private static func retimed(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        if input.isTimed { return nil }
        var output = input
        output.isTimed = true
        return ComposedOperator("eventTime", output) { stream, _ in
            stream.eventTime(\.time, .boundedOutOfOrderness(.hours(1_000)).neverIdle)
        } compute: {
            $0
        }
    }

    /// What is computed of a window, whatever the order of its events.
    private enum Summary: CaseIterable {
        case sum, count, largest

        func compute(_ items: [Item]) -> Int {
            switch self {
            case .sum: items.sum()
            case .count: items.count
            case .largest: items.map(\.value).max() ?? 0
            }
        }
    }

    private static func window(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.isTimed else { return nil }
        let (window, summary) = (ComposedWindow.drawn(&draw), draw.pick(Summary.allCases))
        let lateness = draw.chance(1, of: 3) ? Duration.seconds(3) : .zero
        let showsLate = draw.chance(1, of: 3)
        let output = input.ordered(.perKey)
        return ComposedOperator(
            "keyed.window(\(window.text), allowedLateness: \(lateness)).\(summary)"
                + (showsLate ? ", late" : ""), showsLate ? [output, input.ordered(.any)] : [output]
        ) { place, stream in
            let windows = stream.keyed(by: \.key).window(window.window, allowedLateness: lateness)
            let results = place.within(results(windows, summary, place.name)).items {
                Item($0.key, $0.value, at: $1)
            }
            return showsLate ? [results, windows.late] : [results]
        } compute: { items in
            let results = byKey(items) { key, own in
                window.cut(own).map { Item(key, summary.compute($0.items), at: $0.end - 1) }
            }
            return showsLate ? [results, []] : [results]
        }
    }

    private static func results(
        _ windows: WindowedStream<Int, Item>, _ summary: Summary, _ name: String
    ) -> EventStream<Windowed<Int, Int>> {
        switch summary {
        case .sum:
            windows.reduce(into: 0, name: name) { sum, item throws in
                sum = Item.bounded(sum + (try item.checked()).value)
            } combine: { sum, other in
                sum = Item.bounded(sum + other)
            }
        case .count: windows.aggregate(.count(), name: name).fallible()
        case .largest:
            windows.aggregate(.max(of: \.value), name: name).map {
                Windowed(key: $0.key, window: $0.window, value: $0.value ?? -1)
            }
        }
    }

    /// Events of a window in the order of their arrival.
    private static func orderedWindow(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        let window = ComposedWindow.drawn(&draw)
        guard input.isTimed, input.order >= .perKey, !window.isSession else { return nil }
        let isCollected = draw.chance(1, of: 2) && window.text.hasPrefix("tumbling")
        return ComposedOperator(
            "keyed.window(\(window.text)).reduce in order", input.ordered(.perKey)
        ) { stream, place in
            let windows = stream.keyed(by: \.key).window(window.window)
            if isCollected {
                return place.within(windows.collect(maximum: 100, name: place.name)).fallible()
                    .items { Item($0.key, $0.value.events.digest, at: $1) }
            }
            return place.within(
                windows.reduce(into: [Item](), name: place.name) { items, item throws in
                    items.append(try item.checked())
                }
            ).items { Item($0.key, $0.value.digest, at: $1) }
        } compute: { items in
            byKey(items) { key, own in
                window.cut(own).map { Item(key, $0.items.digest, at: $0.end - 1) }
            }
        }
    }

    /// Results before the end of the window, after so many events.
    private static func earlyWindow(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        let (window, count) = (ComposedWindow.drawn(&draw), draw.number(1...3))
        guard input.isTimed, input.order >= .perKey, !window.isSession else { return nil }
        let isDiscarding = draw.chance(1, of: 2)
        let lateness = draw.chance(1, of: 3) ? Duration.seconds(3) : .zero
        let trigger = WindowTrigger.every(count, isDiscarding ? .discarding : .accumulating)
        return ComposedOperator(
            "keyed.window(\(window.text), trigger: .every(\(count)), \(isDiscarding))"
                + ".reduce in order", input.ordered(.any)
        ) { stream, place in
            place.within(
                stream.keyed(by: \.key)
                    .window(window.window, allowedLateness: lateness, trigger: trigger)
                    .reduce(into: [Item](), name: place.name) { items, item throws in
                        items.append(try item.checked())
                    }
            ).items { Item($0.key, $0.value.digest, at: $1) }
        } compute: { items in
            byKey(items) { key, own in
                window.cut(own).flatMap { end, items in
                    var parts = chunks(items, count)
                    if !isDiscarding {
                        parts =
                            stride(from: count, through: items.count, by: count).map {
                                Array(items.prefix($0))
                            } + [items]
                    }
                    return parts.map { Item(key, $0.digest, at: end - 1) }
                }
            }
        }
    }

    static func byKey(_ items: [Item], _ body: (Int, [Item]) -> [Item]) -> [Item] {
        Set(items.map(\.key)).sorted().flatMap { key in body(key, items.filter { $0.key == key }) }
    }
}
