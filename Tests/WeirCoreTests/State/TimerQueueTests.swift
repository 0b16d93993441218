import Testing
import WeirCore

private func at(_ value: Int) -> EventTime { EventTime(nanoseconds: Int64(value)) }

@Suite struct `A timer queue` {
    private struct Model: Equatable {
        struct Scheduled: Equatable {
            var key: String
            var time: Int
            var tag: UInt32
        }

        /// In order of scheduling.
        var timers: [Scheduled] = []

        mutating func pop(upTo now: Int) -> Scheduled? {
            // `min` returns the first of equal elements.
            guard let first = timers.min(by: { $0.time < $1.time }), first.time <= now else {
                return nil
            }
            timers.removeAll { $0 == first }
            return first
        }
    }

    @Test(arguments: 0..<6)
    func `behaves like a sorted list under random operations and batches`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let queue = TimerQueue<String>(tracksChanges: true)
        var model = Model()
        var saved: Model?
        var clock = 0
        for _ in 0..<6_000 {
            let key = "key \(Int.random(in: 0..<20, using: &random))"
            let time = clock + Int.random(in: 0..<50, using: &random)
            let tag = UInt32.random(in: 0..<2, using: &random)
            let timer = Model.Scheduled(key: key, time: time, tag: tag)
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<50:
                let isNew = !model.timers.contains(timer)
                if isNew { model.timers.append(timer) }
                #expect(
                    try queue.schedule(key, hash: stableHash(key), at: at(time), tag: tag) == isNew)
            case 50..<75:
                let count = model.timers.count
                model.timers.removeAll { $0 == timer }
                let cancelled = queue.cancel(key, hash: stableHash(key), at: at(time), tag: tag)
                #expect(cancelled == (model.timers.count < count))
            case 75..<90:
                clock += 1
                while true {
                    let due = queue.popDue(upTo: at(clock))
                    let expected = model.pop(upTo: clock)
                    #expect(due?.key == expected?.key)
                    #expect(due?.time == expected.map { at($0.time) })
                    #expect(due?.tag == expected?.tag)
                    #expect(due?.hash == expected.map { stableHash($0.key) })
                    if due == nil || expected == nil { break }
                }
            case 90..<94:
                queue.beginBatch()
                saved = model
            case 94..<96:
                queue.commitBatch()
                saved = nil
            case 96..<98:
                queue.rollbackBatch()
                model = saved ?? model
                saved = nil
            default:
                #expect(queue.nextDeadline == model.timers.map { at($0.time) }.min())
            }
            #expect(queue.count == model.timers.count)
        }
    }

    @Test func `fires timers of the same time in the order of scheduling`() throws {
        let queue = TimerQueue<Int>()
        for key in 0..<100 {
            try queue.schedule(key * 37 % 100, hash: stableHash(key * 37 % 100), at: at(5))
        }
        #expect(queue.popDue(upTo: at(4)) == nil)
        for key in 0..<100 { #expect(queue.popDue(upTo: at(5))?.key == key * 37 % 100) }
        #expect(queue.popDue(upTo: .max) == nil)
        #expect(queue.nextDeadline == nil)
    }

    @Test func `refuses timers past its maximum`() throws {
        let queue = TimerQueue<Int>(maximumTimers: 1)
        try queue.schedule(1, hash: stableHash(1), at: at(1))
        let error = #expect(throws: StateError.self) {
            try queue.schedule(2, hash: stableHash(2), at: at(1))
        }
        #expect(error?.code == .tooManyTimers)
        _ = queue.popDue(upTo: at(1))
        try queue.schedule(2, hash: stableHash(2), at: at(1))
    }

    @Test func `keeps memory bounded when timers are moved again and again`() throws {
        let queue = TimerQueue<Int>(tracksChanges: true)
        for round in 0..<30_000 {
            queue.beginBatch()
            let key = round % 10
            queue.cancel(key, hash: stableHash(key), at: at(1_000 + round - 10))
            try queue.schedule(key, hash: stableHash(key), at: at(1_000 + round))
            if round % 3 == 0 { queue.rollbackBatch() } else { queue.commitBatch() }
        }
        #expect(queue.heapCount <= 2 * queue.count + 64)
    }

    @Test func `restores the timers of each key group in their old order`() throws {
        let queue = TimerQueue<Int>()
        for key in 0..<500 {
            try queue.schedule(key, hash: stableHash(key), at: at(key % 3), tag: 9)
        }
        let copy = TimerQueue<Int>()
        for group in (0..<KeyGroup.count).reversed() {
            queue.forEach(inGroup: group) { key, time, tag, sequence in
                #expect(KeyGroup.keyGroup(ofHash: stableHash(key)) == group)
                copy.restore(key, hash: stableHash(key), at: time, tag: tag, sequence: sequence)
            }
        }
        try queue.schedule(1_000, hash: stableHash(1_000), at: at(0))
        try copy.schedule(1_000, hash: stableHash(1_000), at: at(0))
        for _ in 0..<501 {
            let due = queue.popDue(upTo: .max)
            #expect(due != nil)
            #expect(copy.popDue(upTo: .max)?.key == due?.key)
        }
        #expect(copy.count == 0)
    }
}
