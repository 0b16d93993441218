import WeirCore

/// A kind of joins: what it gives of the rows of a key that meet, and of those that don't.
enum ComposedJoin: CaseIterable, Sendable {
    case inner, left, right, full, semi, anti

    var hasPairs: Bool { self != .semi && self != .anti }
    var hasLeftAlone: Bool { self == .left || self == .full || self == .anti }
    var hasRightAlone: Bool { self == .right || self == .full }

    /// The value of a pair, or of a row without a partner.
    static func value(_ left: Item?, _ right: Item?) -> Int {
        Item.bounded(3 * (left?.value ?? 301) + 5 * (right?.value ?? 401))
    }

    static func checkedValue(_ left: Item?, _ right: Item?) throws -> Int {
        _ = try left?.checked()
        return value(left, right)
    }
}

extension Recipe {
    /// Two streams.
    static let joins: [Recipe] = [
        .two(windowJoin), .two(intervalJoin), .two(intervalJoin), .two(asOfJoin),
        .two(regularJoin),
    ]

    private static func joined(_ left: StreamTraits, _ right: StreamTraits) -> StreamTraits {
        StreamTraits(
            order: .any, isTimed: left.isTimed && right.isTimed,
            keys: left.keys.union(right.keys))
    }

    private static func windowJoin(
        _ draw: inout Draw, _ left: StreamTraits, _ right: StreamTraits
    ) -> ComposedOperator? {
        guard left.isTimed, right.isTimed else { return nil }
        let (window, kind) = (ComposedWindow.drawn(&draw), draw.pick(ComposedJoin.allCases))
        return ComposedOperator(
            "keyed.window(\(window.text)).join(.\(kind))", joined: joined(left, right)
        ) { left, right, place in
            let windows = left.keyed(by: \.key).window(window.window)
            let other = right.keyed(by: \.key)
            let value = ComposedJoin.checkedValue
            let name = place.name
            let results =
                switch kind {
                case .inner: windows.join(other, .inner, name: name) { try value($0, $1) }
                case .left: windows.join(other, .left, name: name) { try value($0, $1) }
                case .right: windows.join(other, .right, name: name) { try value($0, $1) }
                case .full: windows.join(other, .full, name: name) { try value($0, $1) }
                case .semi: windows.join(other, .semi, name: name) { l, _ in try value(l, nil) }
                case .anti: windows.join(other, .anti, name: name) { l, _ in try value(l, nil) }
                }
            return place.within(results).items { Item($0.key, $0.value, at: $1) }
        } compute: { left, right in
            let sides = left.map { ($0, true) } + right.map { ($0, false) }
            return Item.keys.sorted().flatMap { key -> [Item] in
                let own = sides.filter { $0.0.key == key }
                // Told apart by their places.
                let marked = own.enumerated().map { Item($0.offset, 0, at: $0.element.0.at) }
                return window.cut(marked).flatMap { end, places -> [Item] in
                    let rows = places.map { own[$0.key] }
                    return pairs(
                        kind, rows.filter(\.1).map(\.0), rows.filter { !$0.1 }.map(\.0)
                    ) { _, _ in true }.map { Item(key, $0.value, at: end - 1) }
                }
            }
        }
    }

    /// What a kind of join gives of rows of one key, with the rows.
    private static func pairs(
        _ kind: ComposedJoin, _ lefts: [Item], _ rights: [Item], meet: (Item, Item) -> Bool
    ) -> [(value: Int, left: Item?, right: Item?)] {
        var results: [(Item?, Item?)] = []
        for left in lefts {
            let partners = rights.filter { meet(left, $0) }
            if kind.hasPairs { results += partners.map { (left, $0) } }
            if kind.hasLeftAlone, partners.isEmpty { results.append((left, nil)) }
            if kind == .semi, !partners.isEmpty { results.append((left, nil)) }
        }
        if kind.hasRightAlone {
            for right in rights where !lefts.contains(where: { meet($0, right) }) {
                results.append((nil, right))
            }
        }
        return results.map { (ComposedJoin.value($0, $1), $0, $1) }
    }

    private static func intervalJoin(
        _ draw: inout Draw, _ left: StreamTraits, _ right: StreamTraits
    ) -> ComposedOperator? {
        guard left.isTimed, right.isTimed else { return nil }
        let kind = draw.pick(ComposedJoin.allCases)
        let lower = draw.number(-4...2)
        let upper = lower + draw.number(0...5)
        // When the row of a semi-join gets its partner depends on the order.
        let output = kind == .semi ? joined(left, right).untimed() : joined(left, right)
        return ComposedOperator(
            "keyed.join(within: \(lower)...\(upper), .\(kind))", joined: output
        ) { left, right, place in
            let results = place.within(
                joinedWithin(
                    .seconds(lower) ... .seconds(upper), kind, left.keyed(by: \.key),
                    right.keyed(by: \.key), place.name))
            return kind == .semi ? results : results.items { $0.at($1) }
        } compute: { left, right in
            let (lower, upper) = (
                Int64(lower) * ComposedWindow.second, Int64(upper) * ComposedWindow.second
            )
            return Item.keys.sorted().flatMap { key in
                pairs(kind, left.filter { $0.key == key }, right.filter { $0.key == key }) {
                    $1.at - $0.at >= lower && $1.at - $0.at <= upper
                }.map { value, left, right in
                    let at =
                        switch (left, right) {
                        case (let left?, let right?): max(left.at, right.at)
                        case (let left?, nil): kind == .semi ? left.at : left.at + max(0, upper)
                        case (nil, let right?): right.at + max(0, -lower)
                        case (nil, nil): Int64.min
                        }
                    return Item(key, value, at: at)
                }
            }
        }
    }

    private static func joinedWithin(
        _ interval: ClosedRange<Duration>, _ kind: ComposedJoin, _ left: KeyedStream<Int, Item>,
        _ right: KeyedStream<Int, Item>, _ name: String
    ) -> ItemStream {
        let item = { @Sendable (left: Item?, right: Item?) throws -> Item in
            guard let some = left ?? right else { throw Unfit() }
            return some.with(value: try ComposedJoin.checkedValue(left, right))
        }
        return switch kind {
        case .inner: left.join(right, within: interval, .inner, name: name) { try item($0, $1) }
        case .left: left.join(right, within: interval, .left, name: name) { try item($0, $1) }
        case .right: left.join(right, within: interval, .right, name: name) { try item($0, $1) }
        case .full: left.join(right, within: interval, .full, name: name) { try item($0, $1) }
        case .semi:
            left.join(right, within: interval, .semi, name: name) { left, _ in
                try item(left, nil)
            }
        case .anti:
            left.join(right, within: interval, .anti, name: name) { left, _ in
                try item(left, nil)
            }
        }
    }

    private static func asOfJoin(
        _ draw: inout Draw, _ left: StreamTraits, _ right: StreamTraits
    ) -> ComposedOperator? {
        // Of versions with the same time the last one counts.
        guard left.isTimed, right.isTimed, right.order >= .perKey else { return nil }
        let output = joined(left, right).having(left.keys).ordered(min(left.order, .perKey))
        return ComposedOperator("keyed.join(asOf:)", joined: output) { left, right, place in
            place.within(
                left.keyed(by: \.key).join(asOf: right.keyed(by: \.key), name: place.name) {
                    event, row throws in
                    event.with(value: try ComposedJoin.checkedValue(event, row))
                })
        } compute: { left, right in
            left.enumerated().sorted {
                ($0.element.at, $0.offset) < ($1.element.at, $1.offset)
            }.map { _, event in
                var version: Item?
                for row in right where row.key == event.key && row.at <= event.at {
                    if version.map({ row.at >= $0.at }) ?? true { version = row }
                }
                return event.with(value: ComposedJoin.value(event, version))
            }
        }
    }

    /// A pair has the time of the row that came later.
    private static func regularJoin(
        _ draw: inout Draw, _ left: StreamTraits, _ right: StreamTraits
    ) -> ComposedOperator? {
        ComposedOperator("keyed.join", joined: joined(left, right).untimed()) {
            left, right, place in
            place.within(
                left.keyed(by: \.key).join(right.keyed(by: \.key), name: place.name) {
                    left, right throws in
                    left.with(value: try ComposedJoin.checkedValue(left, right))
                })
        } compute: { left, right in
            left.flatMap { left in
                right.filter { $0.key == left.key }.map {
                    left.with(value: ComposedJoin.value(left, $0))
                }
            }
        }
    }
}
