import WeirCore

extension Recipe {
    /// Of each key what counts its events, what lives for a time, and what comes one after the other.
    static let lives: [Recipe] = [
        .one(count), .one(global), .one(expiring), .one(expiringDistinct), .one(distinctWithin),
        .one(pattern),
    ]

    private static func count(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order >= .perKey, input.isTimed else { return nil }
        let size = draw.number(2...5)
        let slide = draw.chance(1, of: 2) ? size : draw.number(1...size)
        let (text, window): (String, Window) =
            slide == size
            ? ("count(\(size))", .count(size))
            : ("count(\(size), every: \(slide))", .count(size, every: slide))
        // What is left over at the end is late by its time.
        let output = slide == size ? input.untimed() : input
        return ComposedOperator("keyed.window(\(text))", output.ordered(.perKey)) { stream, place in
            place.within(
                stream.keyed(by: \.key).window(window)
                    .reduce(into: [Item](), name: place.name) { items, item throws in
                        items.append(try item.checked())
                    } combine: { items, more in
                        items += more
                    }
            ).map {
                Item($0.key, $0.value.digest, at: $0.value.map(\.at).max() ?? 0)
            }
        } compute: { items in
            Item.keys.sorted().flatMap { key in
                let own = items.filter { $0.key == key }
                var ends = Array(stride(from: slide, through: own.count, by: slide))
                if slide == size, ends.last ?? 0 < own.count { ends.append(own.count) }
                return ends.map { end in
                    let start = slide == size ? (end - 1) / size * size : max(0, end - size)
                    let window = own[start..<end]
                    return Item(key, window.digest, at: window.map(\.at).max() ?? 0)
                }
            }
        }
    }

    private static func global(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order >= .perKey else { return nil }
        let (count, isDiscarding) = (draw.number(1...4), draw.chance(1, of: 2))
        let trigger = WindowTrigger.every(count, isDiscarding ? .discarding : .accumulating)
        return ComposedOperator(
            "keyed.window(global(trigger: .every(\(count)), discarding: \(isDiscarding)))",
            input.untimed().ordered(.perKey)
        ) { stream, place in
            place.within(
                stream.keyed(by: \.key).window(.global(trigger: trigger))
                    .reduce(into: [Item](), name: place.name) { $0.append($1) }
            ).fallible().map { Item($0.key, $0.value.digest, at: latest($0.value)) }
        } compute: { items in
            byKey(items) { key, own in
                let ends = stride(from: count, to: own.count + count, by: count)
                return ends.map { end in
                    let part = own.prefix(end).dropFirst(isDiscarding ? end - count : 0)
                    return Item(key, part.digest, at: latest(Array(part)))
                }
            }
        }
    }

    private static func latest(_ items: [Item]) -> Int64 { items.map(\.at).max() ?? 0 }

    private static func expiring(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order >= .perKey, input.isTimed else { return nil }
        let life = draw.number(1...5)
        let text = "keyed.reduce(ttl: \(life))"
        return ComposedOperator(text, input.keyed(draw.parallelism)) { stream, place in
            place.within(
                stream.keyed(by: \.key)
                    .reduce(into: 0, name: place.name, ttl: StateTTL(.seconds(life))) {
                        $0 += $1.value
                    }
            ).fallible().items { Item($0.key, $0.value, at: $1) }
        } compute: { items in
            var states: [Int: (sum: Int, deadline: Int64)] = [:]
            return items.map { item in
                var state = states[item.key] ?? (0, .max)
                if state.deadline <= item.at { state = (0, .min) }
                if state.deadline == .max { state.deadline = .min }
                state.sum += item.value
                state.deadline = max(
                    state.deadline, item.at + Int64(life) * ComposedWindow.second)
                states[item.key] = state
                return item.with(value: state.sum)
            }
        }
    }

    /// What is let through begins a new life.
    private static func expiringDistinct(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        guard input.order >= .perKey, input.isTimed else { return nil }
        let life = draw.number(1...5)
        let text = "keyed.distinct(ttl: \(life))"
        return ComposedOperator(text, input.keyed(draw.parallelism)) { stream, place in
            place.within(
                stream.keyed(by: \.key).distinct(ttl: StateTTL(.seconds(life)), name: place.name)
            ).fallible()
        } compute: { items in
            var deadlines: [Int: Int64] = [:]
            return items.filter { item in
                if let deadline = deadlines[item.key], deadline > item.at { return false }
                deadlines[item.key] = item.at + Int64(life) * ComposedWindow.second
                return true
            }
        }
    }

    private static func distinctWithin(
        _ draw: inout Draw, _ input: StreamTraits
    ) -> ComposedOperator? {
        guard input.order == .whole, input.isTimed else { return nil }
        let (modulus, life) = (draw.number(3...8), draw.number(1...5))
        let text = "distinct(by: value % \(modulus), within: \(life))"
        return ComposedOperator(text, input) { stream, _ in
            stream.distinct(by: { $0.value % modulus }, within: .seconds(life)).fallible()
        } compute: { items in
            var times: [Int: Int64] = [:]
            return items.filter { item in
                let value = item.value % modulus
                if let time = times[value],
                    abs(item.at - time) < Int64(life) * ComposedWindow.second
                {
                    return false
                }
                times[value] = item.at
                return true
            }
        }
    }

    /// Two events of a key in the order of their times, the one directly behind the other or not.
    private static func pattern(_ draw: inout Draw, _ input: StreamTraits) -> ComposedOperator? {
        guard input.order >= .perKey, input.isTimed else { return nil }
        let (modulus, isStrict) = (draw.number(2...3), draw.chance(1, of: 2))
        let text = "value % \(modulus) == 0, \(isStrict ? "next" : "followedBy") value % 2 == 1"
        return ComposedOperator("keyed.pattern(\(text))", input.ordered(.any)) { stream, place in
            let first = Pattern<Item>("first") { $0.value % modulus == 0 }
            let both =
                isStrict
                ? first.next("second") { $0.value % 2 == 1 }
                : first.followedBy("second") { $0.value % 2 == 1 }
            let matches = stream.keyed(by: \.key).pattern(both, name: place.name).matches
            return place.within(matches).fallible().items { match, time in
                Item(match.key, (match["first"] + match["second"]).digest, at: time)
            }
        } compute: { items in
            byKey(items) { key, own in
                let inTime = own.enumerated().sorted {
                    ($0.element.at, $0.offset) < ($1.element.at, $1.offset)
                }.map(\.element)
                return inTime.indices.compactMap { index -> Item? in
                    guard inTime[index].value % modulus == 0 else { return nil }
                    let rest = inTime[(index + 1)...]
                    let second = isStrict ? rest.first : rest.first { $0.value % 2 == 1 }
                    guard let second, second.value % 2 == 1 else { return nil }
                    return Item(key, [inTime[index], second].digest, at: second.at)
                }
            }
        }
    }
}
