import WeirCore

extension Recipe {
    /// Results that change: their changes as events, or the rows that are there in the end.
    static let changes: [Recipe] = [
        .one(aggregate), .one(top), .one(latest), .one(regrouped), .one(lastTop),
        .two(tables), .two(outerTables),
    ]

    private static func aggregate(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order >= .perKey, input.isTimed else { return nil }
        let output = input.keyed(draw.parallelism)
        return ComposedOperator("keyed.aggregate(sum).changes", output) { stream, place in
            place.within(
                stream.keyed(by: \.key).aggregate(.sum(of: \.value), name: place.name).changes
            ).items { change, time in
                Item(
                    change.row.key, number(change.before?.value, change.after?.value), at: time)
            }
        } compute: { items in
            var sums: [Int: Int] = [:]
            return items.compactMap { item in
                let before = sums[item.key]
                let after = (before ?? 0) + item.value
                sums[item.key] = after
                return before == after ? nil : item.with(value: number(before, after))
            }
        }
    }

    /// Stands for a change.
    private static func number(_ before: Int?, _ after: Int?) -> Int {
        Item.bounded(3 * (before ?? 301) + 5 * (after ?? 401))
    }

    private static func top(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order >= .perKey, input.isTimed else { return nil }
        let count = draw.number(1...3)
        let output = input.keyed(draw.parallelism)
        return ComposedOperator("keyed.top(\(count)).changes", output) { stream, place in
            place.within(
                stream.keyed(by: \.key).top(count, name: place.name) { $0.value > $1.value }.changes
            ).fallible().items { change, time in
                let number = number(change.before?.row.value, change.after?.row.value)
                return Item(change.row.key, number + change.row.rank, at: time)
            }
        } compute: { items in
            var tops: [Int: [Item]] = [:]
            return items.flatMap { item -> [Item] in
                let before = tops[item.key, default: []]
                let place = before.firstIndex { $0.value < item.value } ?? before.count
                guard place < count else { return [] }
                var after = before
                after.insert(item, at: place)
                after = Array(after.prefix(count))
                tops[item.key] = after
                return (place..<after.count).map { rank in
                    let old = rank < before.count ? before[rank].value : nil
                    return item.with(value: number(old, after[rank].value) + rank + 1)
                }
            }
        }
    }

    private static func latest(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order >= .perKey, input.isTimed else { return nil }
        let output = input.keyed(draw.parallelism)
        return ComposedOperator("keyed.latest.changes", output) { stream, place in
            place.within(stream.keyed(by: \.key).latest(name: place.name).changes).fallible()
                .items { change, time in
                    change.row.at(time).with(
                        value: number(change.before?.value, change.after?.value))
                }
        } compute: { items in
            var rows: [Int: Item] = [:]
            return items.compactMap { item in
                let before = rows[item.key]
                if let before, before.at > item.at { return nil }
                rows[item.key] = item
                return item.with(value: number(before?.value, item.value))
            }
        }
    }

    /// An aggregate of another one's rows, which leave a group and come into another.
    private static func regrouped(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let modulus = draw.number(2...4)
        let isSum = draw.chance(1, of: 2)
        let text =
            "keyed.aggregate(sum).keyed(by: value % \(modulus)).aggregate(\(isSum ? "sum" : "largest"))"
        return ComposedOperator("\(text), the rows", Settled.traits) { stream, place in
            let groups = stream.keyed(by: \.key)
                .aggregate(.sum(of: \.value), name: "\(place.name)-inner")
                .keyed(by: { $0.value % modulus })
            let rows =
                isSum
                ? groups.aggregate(.sum(of: \.value), name: place.name).map {
                    Item($0.key, $0.value, at: 0)
                }
                : groups.aggregate(.largest(of: \.value), name: place.name).map {
                    Item($0.key, $0.value ?? -1, at: 0)
                }
            return Settled.rows(rows, place)
        } compute: { items in
            let sums = Dictionary(grouping: items, by: \.key).mapValues { own in
                own.reduce(0) { $0 + $1.value }
            }
            return Dictionary(grouping: sums.values, by: { $0 % modulus }).map { group, sums in
                Item(group, isSum ? sums.reduce(0, +) : sums.max() ?? -1, at: 0)
            }.sorted()
        }
    }

    /// The first of the largest items of each key, in a total order.
    private static func lastTop(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        let count = draw.number(1...3)
        let isOfChanges = draw.chance(1, of: 2)
        let text = "keyed.\(isOfChanges ? "changing." : "")top(\(count)), the rows"
        return ComposedOperator(text, Settled.traits) { stream, place in
            let top =
                isOfChanges
                ? stream.inserted().keyed(by: \.key).top(count, name: place.name) { $0 > $1 }
                : stream.keyed(by: \.key).top(count, name: place.name) { $0 > $1 }
            return Settled.rows(
                top.filter { $0.rank <= count }.map { ranked in
                    Item(ranked.key, ranked.row.value + 100 * ranked.rank, at: ranked.row.at)
                }, place)
        } compute: { items in
            byKey(items) { _, own in
                own.sorted(by: >).prefix(count).enumerated().map { rank, item in
                    item.with(value: item.value + 100 * (rank + 1))
                }
            }.sorted()
        }
    }

    /// Two aggregates by key, joined.
    private static func tables(
        _ draw: inout Draw, _ left: StreamTraits, _ right: StreamTraits
    ) -> ComposedOperator? {
        let kind = draw.pick([ComposedJoin.inner, .left, .right, .full])
        return ComposedOperator(
            "keyed.aggregate(sum).join(keyed.aggregate(count), .\(kind)), the rows",
            joined: Settled.traits
        ) { left, right, place in
            let sums = left.keyed(by: \.key).aggregate(.sum(of: \.value), name: "\(place.name)-sum")
                .keyed(by: \.key)
            let counts = right.keyed(by: \.key).aggregate(.count(), name: "\(place.name)-count")
                .keyed(by: \.key)
            let row = { @Sendable (sum: Keyed<Int, Int>?, count: Keyed<Int, Int>?) throws -> Item in
                guard let key = sum?.key ?? count?.key else { throw Unfit() }
                return Item(key, number(sum?.value, count?.value), at: 0)
            }
            let name = place.name
            let rows =
                switch kind {
                case .left: sums.join(counts, .left, name: name) { try row($0, $1) }
                case .right: sums.join(counts, .right, name: name) { try row($0, $1) }
                case .full: sums.join(counts, .full, name: name) { try row($0, $1) }
                default: sums.join(counts, .inner, name: name) { try row($0, $1) }
                }
            return Settled.rows(rows, place)
        } compute: { left, right in
            Item.keys.sorted().compactMap { key -> Item? in
                let (left, right) = (
                    left.filter { $0.key == key }, right.filter { $0.key == key }
                )
                let sum = left.isEmpty ? nil : left.reduce(0) { $0 + $1.value }
                let count = right.isEmpty ? nil : right.count
                if sum == nil, count == nil || !kind.hasRightAlone { return nil }
                if count == nil, !kind.hasLeftAlone { return nil }
                return Item(key, number(sum, count), at: 0)
            }.sorted()
        }
    }

    /// Items joined with an aggregate that changes while they come.
    private static func outerTables(
        _ draw: inout Draw, _ left: StreamTraits, _ right: StreamTraits
    ) -> ComposedOperator? {
        let kind = draw.pick([ComposedJoin.left, .semi, .anti])
        let least = draw.number(0...400)
        return ComposedOperator(
            "inserted.keyed.join(keyed.aggregate(sum).filter { > \(least) }, .\(kind)), the rows",
            joined: Settled.traits
        ) { left, right, place in
            let items = left.inserted().keyed(by: \.key)
            let sums = right.keyed(by: \.key).aggregate(
                .sum(of: \.value), name: "\(place.name)-sum"
            )
            .filter { $0.value % 500 > least }.keyed(by: \.key)
            let row = { @Sendable (item: Item, sum: Keyed<Int, Int>?) throws -> Item in
                (try item.checked()).with(value: number(item.value, sum?.value))
            }
            let name = place.name
            let rows =
                switch kind {
                case .semi: items.join(sums, .semi, name: name) { item, _ in try row(item, nil) }
                case .anti: items.join(sums, .anti, name: name) { item, _ in try row(item, nil) }
                default: items.join(sums, .left, name: name) { try row($0, $1) }
                }
            return Settled.rows(rows, place)
        } compute: { left, right in
            left.compactMap { item -> Item? in
                let own = right.filter { $0.key == item.key }
                let sum = own.reduce(0) { $0 + $1.value }
                let partner = own.isEmpty || sum % 500 <= least ? nil : sum
                switch kind {
                case .semi: return partner == nil ? nil : item.with(value: number(item.value, nil))
                case .anti: return partner == nil ? item.with(value: number(item.value, nil)) : nil
                default: return item.with(value: number(item.value, partner))
                }
            }.sorted()
        }
    }
}

/// The rows of a result that changes, when it changes no more.
struct Settled: Codable, Sendable {
    private var present: [Item] = []
    /// What was taken away before it came.
    private var missing: [Item] = []

    static let traits = StreamTraits(order: .whole, isTimed: false, keys: Item.keys)

    static func rows(
        _ changes: ChangeStream<Item>, _ place: ComposedOperator.Place
    ) -> ItemStream {
        place.within(changes.changes).keyed(by: { _ in 0 })
            .window(.global(trigger: .every(1_000_000)))
            .reduce(into: Settled(), name: "\(place.name)-rows") { $0.take($1) }
            .flatMap { $0.value.all }
    }

    private mutating func take(_ change: Change<Item>) {
        if let before = change.before {
            if let index = present.firstIndex(of: before) {
                present.remove(at: index)
            } else {
                missing.append(before)
            }
        }
        guard let after = change.after else { return }
        if let index = missing.firstIndex(of: after) {
            missing.remove(at: index)
        } else {
            present.append(after)
        }
    }

    private var all: [Item] {
        (present + missing.map { Item($0.key, $0.value, at: -1) }).sorted()
    }
}
