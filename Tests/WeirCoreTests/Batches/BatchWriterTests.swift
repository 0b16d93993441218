import Synchronization
import Testing

@testable import WeirCore

struct BatchWriterTests {
    /// How many guests there are.
    private final class Room: Sendable {
        let guests = Atomic(0)

        var count: Int { guests.load(ordering: .relaxed) }
    }

    private final class Guest: Sendable {
        let id: Int
        private let room: Room

        init(_ id: Int, in room: Room) {
            self.id = id
            self.room = room
            room.guests.add(1, ordering: .relaxed)
        }

        deinit { room.guests.subtract(1, ordering: .relaxed) }
    }

    private struct Failure: Error {}

    @Test(arguments: [0, 1, 7, 16, 100, 1_000], [0, 1, 16, 100])
    func eventsComeOutAsWritten(count: Int, expected: Int) {
        let batch = BatchWriter<String>.gather(expecting: expected) { writer in
            for index in 0..<count { writer.append("event \(index)", at: .min) }
        }
        #expect(batch.elements == ContiguousArray((0..<count).map { "event \($0)" }))
        #expect(!batch.hasTimes)
    }

    @Test(arguments: [0, 1, 100, 300, 512])
    func aBatchHoldsLittleMoreMemoryThanItsEventsNeed(count: Int) {
        let batch = BatchWriter<Int>.gather(expecting: 512) { writer in
            for index in 0..<count { writer.append(index, at: .min) }
        }
        #expect(batch.elements == ContiguousArray(0..<count))
        #expect(batch.elements.capacity <= max(16, count * 5))
    }

    @Test(arguments: [0, 3, 100])
    func timesBeginWhereTheFirstIs(expected: Int) {
        let batch = BatchWriter<Int>.gather(expecting: expected) { writer in
            for index in 0..<50 {
                writer.append(index, at: index < 20 ? .min : EventTime(nanoseconds: Int64(index)))
            }
        }
        #expect(batch.elements == ContiguousArray(0..<50))
        #expect(
            batch.times
                == ContiguousArray(
                    (0..<50).map { $0 < 20 ? .min : EventTime(nanoseconds: Int64($0)) }))
    }

    @Test(arguments: [0, 2, 10])
    func takingLeavesAnEmptyWriter(expected: Int) {
        var parts: [Batch<Int>] = []
        let rest = BatchWriter<Int>.gather(expecting: expected) { writer in
            for index in 0..<25 {
                if writer.count == 10 { parts.append(writer.take()) }
                writer.append(index, at: EventTime(nanoseconds: Int64(index)))
            }
        }
        #expect(parts.map(\.elements) == [ContiguousArray(0..<10), ContiguousArray(10..<20)])
        #expect(rest.elements == ContiguousArray(20..<25))
        #expect(rest.times.map(\.nanoseconds) == Array(20..<25))
        #expect(parts.map { $0.times.first?.nanoseconds } == [0, 10])
    }

    @Test(arguments: [0, 5, 10, 40], [1, 10, 16, 37])
    func sequencesAreSentInFullParts(expected: Int, limit: Int) {
        var parts: [Batch<Int>] = []
        let rest = BatchWriter<Int>.gather(expecting: expected) { writer in
            for (part, count) in [3, 0, 20, 64].enumerated() {
                let time = part == 0 ? EventTime.min : EventTime(nanoseconds: Int64(part))
                writer.append(all: 0..<count, at: time, upTo: limit) { full in
                    #expect(full.count == limit)
                    parts.append(full.take())
                }
            }
        }
        parts.append(rest)
        let events = [3, 0, 20, 64].flatMap { 0..<$0 }
        let times = [3, 0, 20, 64].enumerated().flatMap {
            [Int64](repeating: $0 == 0 ? EventTime.min.nanoseconds : Int64($0), count: $1)
        }
        #expect(parts.flatMap(\.elements) == events)
        #expect(
            parts.flatMap { part in part.elements.indices.map { part.time(at: $0).nanoseconds } }
                == times)
    }

    @Test(arguments: [0, 5, 100])
    func whatHasBeenWrittenIsReleasedAfterAnError(expected: Int) {
        let room = Room()
        #expect(throws: Failure.self) {
            _ = try BatchWriter<Guest>.gather(expecting: expected) { writer in
                for index in 0..<30 { writer.append(Guest(index, in: room), at: .min) }
                throw Failure()
            }
        }
        #expect(room.count == 0)
    }

    @Test(arguments: [0, 5, 100])
    func eachEventIsHeldOnce(expected: Int) {
        let room = Room()
        do {
            let batch = BatchWriter<Guest>.gather(expecting: expected) { writer in
                for index in 0..<30 { writer.append(Guest(index, in: room), at: .min) }
            }
            #expect(batch.elements.map(\.id) == Array(0..<30))
            #expect(room.count == 30)
        }
        #expect(room.count == 0)
    }

    @Test func anEstimateIsAsManyForEachAsLastTimeAndAnEighthMore() {
        var estimate = OutputEstimate()
        #expect(estimate.outputs(ofInputs: 512, atMost: 512) == 1)
        estimate.note(inputs: 100, outputs: 800)
        #expect(estimate.outputs(ofInputs: 10, atMost: 512) == 91)
        #expect(estimate.outputs(ofInputs: 100, atMost: 512) == 512)
        #expect(estimate.outputs(ofInputs: .max, atMost: 512) == 512)
    }
}
