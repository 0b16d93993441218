/// The input channels of a stage instance: merges their watermarks, idleness and ends into one.
package struct InputChannels: Sendable {
    private var channels: [InputState]
    package private(set) var isIdle = false
    package private(set) var watermark = EventTime.min
    /// Whether the time of all inputs is over.
    private var isOver = false
    /// Whether some inputs have reached a barrier and others not yet.
    package private(set) var isAligning = false

    package init(count: Int) {
        channels = Array(repeating: InputState(), count: count)
    }

    /// What the stage tells its operators after a signal.
    package enum Change: Equatable, Sendable {
        case none
        case watermark(EventTime)
        /// All inputs are idle; the time is that of a watermark that comes before.
        case idle(after: EventTime?)
        /// The time of all inputs is over; the time is that of a watermark that comes before.
        case over(after: EventTime?)
        /// All inputs have ended; the time as above.
        case end(after: EventTime?)
    }

    /// Takes note that a channel sends again.
    package mutating func receivedBatch(on channel: Int) {
        if channels[channel].isIdle {
            channels[channel].isIdle = false
            isIdle = false
        }
    }

    package mutating func received(_ signal: Signal, on channel: Int) -> Change {
        switch signal {
        case .watermark(let time):
            channels[channel].isIdle = false
            isIdle = false
            if time == .max {
                channels[channel].isOver = true
            } else {
                channels[channel].watermark = max(channels[channel].watermark, time)
            }
        case .idle: channels[channel].isIdle = true
        case .end: channels[channel].hasEnded = true
        }
        if channels.allSatisfy({ $0.hasEnded }) { return .end(after: furthest()) }
        guard channels.allSatisfy({ $0.hasEnded || $0.isOver }) else { return merged() }
        if isOver { return .none }
        isOver = true
        return .over(after: furthest())
    }

    /// Brings time to where the furthest input has brought it, whichever of them ends last; nil if it
    /// is there.
    private mutating func furthest() -> EventTime? {
        let furthest = channels.reduce(EventTime.min) { max($0, $1.watermark) }
        guard furthest > watermark else { return nil }
        watermark = furthest
        return furthest
    }

    /// Takes note of a barrier; true when all inputs have reached it or have ended.
    package mutating func receivedBarrier(on channel: Int) -> Bool {
        isAligning = true
        channels[channel].hasBarrier = true
        return isAligned
    }

    /// Whether all inputs have reached the barrier or have ended.
    package var isAligned: Bool {
        isAligning && channels.allSatisfy { $0.hasBarrier || $0.hasEnded }
    }

    /// Whether what comes by a channel belongs behind the checkpoint under way.
    package func isHeld(_ channel: Int) -> Bool { isAligning && channels[channel].hasBarrier }

    package mutating func releaseBarrier() {
        isAligning = false
        for index in channels.indices { channels[index].hasBarrier = false }
    }

    /// Begins with a watermark that the inputs together had reached before, and each its own.
    package mutating func restore(watermark: EventTime, channels watermarks: [EventTime]) {
        self.watermark = watermark
        for index in channels.indices {
            channels[index].watermark =
                index < watermarks.count ? watermarks[index] : watermark
        }
    }

    /// The state of each channel, for a look at who holds things up.
    package var states: [InputState] { channels }

    private mutating func merged() -> Change {
        var lowest = EventTime.max
        var highestIdle = EventTime.min
        var hasActive = false
        for channel in channels where !channel.hasEnded && !channel.isOver {
            if channel.isIdle {
                highestIdle = max(highestIdle, channel.watermark)
            } else {
                hasActive = true
                lowest = min(lowest, channel.watermark)
            }
        }
        // With nobody left to wait for, time is where the furthest input has brought it.
        let merged = hasActive ? lowest : highestIdle
        let isNews = merged > watermark
        if isNews { watermark = merged }
        if !hasActive && !isIdle {
            isIdle = true
            return .idle(after: isNews ? merged : nil)
        }
        return isNews ? .watermark(merged) : .none
    }
}
