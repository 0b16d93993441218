import Testing
import WeirCore

private func at(_ seconds: Int64) -> EventTime { EventTime(milliseconds: seconds * 1_000) }

@Suite struct `The input channels of a stage` {
    @Test func `advance with the slowest of them`() {
        var channels = InputChannels(count: 2)
        #expect(channels.received(.watermark(at(5)), on: 0) == .none)
        #expect(channels.received(.watermark(at(3)), on: 1) == .watermark(at(3)))
        #expect(channels.received(.watermark(at(9)), on: 1) == .watermark(at(5)))
    }

    @Test func `never go back`() {
        var channels = InputChannels(count: 1)
        #expect(channels.received(.watermark(at(5)), on: 0) == .watermark(at(5)))
        #expect(channels.received(.watermark(at(3)), on: 0) == .none)
        #expect(channels.watermark == at(5))
    }

    @Test func `do not wait for an idle one`() {
        var channels = InputChannels(count: 2)
        #expect(channels.received(.watermark(at(5)), on: 0) == .none)
        #expect(channels.received(.idle, on: 1) == .watermark(at(5)))
        channels.receivedBatch(on: 1)
        #expect(channels.received(.watermark(at(9)), on: 0) == .none)
        #expect(channels.received(.watermark(at(7)), on: 1) == .watermark(at(7)))
    }

    @Test func `are idle when all are, at the time of the furthest`() {
        var channels = InputChannels(count: 2)
        _ = channels.received(.watermark(at(5)), on: 0)
        _ = channels.received(.watermark(at(3)), on: 1)
        #expect(channels.received(.idle, on: 1) == .watermark(at(5)))
        #expect(channels.received(.idle, on: 0) == .idle(after: nil))
        #expect(channels.received(.idle, on: 0) == .none)
    }

    @Test func `are idle when the slowest is the last to be`() {
        var channels = InputChannels(count: 2)
        _ = channels.received(.watermark(at(5)), on: 0)
        #expect(channels.received(.watermark(at(3)), on: 1) == .watermark(at(3)))
        #expect(channels.received(.idle, on: 0) == .none)
        #expect(channels.received(.idle, on: 1) == .idle(after: at(5)))
        #expect(channels.watermark == at(5) && channels.isIdle)
    }

    @Test func `are idle when the last active one ends`() {
        var channels = InputChannels(count: 2)
        _ = channels.received(.watermark(at(5)), on: 0)
        _ = channels.received(.watermark(at(3)), on: 1)
        #expect(channels.received(.idle, on: 0) == .none)
        #expect(channels.received(.end, on: 1) == .idle(after: at(5)))
    }

    @Test func `end when all have ended, and do not wait for one that has`() {
        var channels = InputChannels(count: 2)
        _ = channels.received(.watermark(at(5)), on: 0)
        #expect(channels.received(.end, on: 1) == .watermark(at(5)))
        #expect(channels.received(.end, on: 0) == .end(after: nil))
    }

    @Test func `do not wait for one whose time is over, nor take its end for theirs`() {
        var channels = InputChannels(count: 2)
        _ = channels.received(.watermark(at(5)), on: 0)
        #expect(channels.received(.watermark(at(3)), on: 1) == .watermark(at(3)))
        #expect(channels.received(.idle, on: 1) == .watermark(at(5)))
        #expect(channels.received(.watermark(.max), on: 0) == .idle(after: nil))
        #expect(channels.received(.end, on: 0) == .none)
        channels.receivedBatch(on: 1)
        #expect(channels.received(.watermark(at(7)), on: 1) == .watermark(at(7)))
        #expect(channels.received(.watermark(.max), on: 1) == .over(after: nil))
        #expect(channels.received(.end, on: 1) == .end(after: nil))
    }

    @Test func `come to the time of the furthest before their time is over, once`() {
        var channels = InputChannels(count: 2)
        _ = channels.received(.watermark(at(9)), on: 0)
        #expect(channels.received(.watermark(at(3)), on: 1) == .watermark(at(3)))
        #expect(channels.received(.watermark(.max), on: 0) == .none)
        #expect(channels.received(.watermark(.max), on: 1) == .over(after: at(9)))
        #expect(channels.received(.end, on: 0) == .none)
        #expect(channels.received(.end, on: 1) == .end(after: nil))
    }
}
