@testable import WeirCore

/// Where an event of a match can stand: the number of a step among those of the pattern, or the
/// number of a group, of one of its times, and so on down to a step.
struct PatternPlace: Hashable, Comparable {
    var path: [Int]

    static func < (left: PatternPlace, right: PatternPlace) -> Bool {
        left.path.lexicographicallyPrecedes(right.path)
    }
}

/// Which place of a pattern comes behind which, by its definition: groups are gone through as often
/// as there are events for.
struct PatternPlaces {
    typealias Step = PatternSpecification.Step
    /// A place that may come next, and how it follows.
    typealias Next = (place: PatternPlace, contiguity: Contiguity)

    let steps: [Step]

    /// The places with which a match may begin.
    var beginnings: [PatternPlace] { enter(steps, 0, [], nil).next.map(\.place) }

    /// What may come once the step at a place has enough, and whether a match may end there.
    func behind(_ place: PatternPlace) -> (next: [Next], isEnd: Bool) { behind(place.path[...]) }

    func step(_ place: PatternPlace) -> Step { line(to: place.path[...])[0] }

    /// The number of the step, as its name says.
    func number(_ place: PatternPlace) -> Int {
        var number = 0
        var list = steps
        var path = place.path[...]
        while let index = path.popFirst() {
            number += list[..<index].reduce(0) { $0 + $1.count }
            list = list[index].members
            _ = path.popFirst()
        }
        return number
    }

    /// What ends a group that a place belongs to.
    func groupUntil(_ place: PatternPlace) -> [PatternSpecification.Until] {
        line(to: place.path[...]).dropFirst().compactMap(\.until)
    }

    /// The negations behind the step at a place: its own, and those of groups that end with it.
    func negations(_ place: PatternPlace) -> [(isNext: Bool, symbols: Set<Int>)] {
        var result: [(isNext: Bool, symbols: Set<Int>)] = []
        var path = place.path[...]
        for step in line(to: path) {
            result += step.negations
            guard path.count > 1 else { break }
            let (time, index) = (path[path.endIndex - 2], path[path.endIndex - 1])
            path = path.dropLast(2)
            let group = line(to: path)[0]
            guard index == group.members.count - 1, time == group.maximum - 1 else { break }
        }
        return result
    }

    /// The step or group at a path, and the groups around it, inside out.
    private func line(to path: ArraySlice<Int>) -> [Step] {
        var line: [Step] = []
        var list = steps
        var path = path
        while let index = path.popFirst() {
            line.append(list[index])
            list = list[index].members
            _ = path.popFirst()
        }
        return line.reversed()
    }

    /// The places with which a list of steps may go on from one of them, and whether all of them
    /// may be missing.
    private func enter(
        _ list: [Step], _ start: Int, _ prefix: [Int], _ contiguity: Contiguity?
    ) -> (next: [Next], isEnd: Bool) {
        var next: [Next] = []
        for index in start..<list.count {
            let step = list[index]
            let first = index == start ? contiguity ?? step.contiguity : step.contiguity
            if step.isGroup {
                next += enter(step.members, 0, prefix + [index, 0], first).next
            } else {
                next.append((PatternPlace(path: prefix + [index]), first))
            }
            if !step.isOptional { return (next, false) }
        }
        return (next, true)
    }

    private func behind(_ path: ArraySlice<Int>) -> (next: [Next], isEnd: Bool) {
        let prefix = path.dropLast()
        let around = line(to: prefix.dropLast())
        let list = prefix.isEmpty ? steps : around[0].members
        var (next, isEnd) = enter(list, path[path.endIndex - 1] + 1, Array(prefix), nil)
        guard isEnd, let time = prefix.last else { return (next, isEnd) }
        let group = around[0]
        if time + 1 < group.maximum {
            next += enter(list, 0, Array(prefix.dropLast()) + [time + 1], group.inner).next
        }
        if time + 1 < group.minimum { return (next, false) }
        let rest = behind(prefix.dropLast())
        next += rest.next
        isEnd = rest.isEnd
        return (next, isEnd)
    }
}
