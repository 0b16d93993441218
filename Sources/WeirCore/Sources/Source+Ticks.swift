extension Source where Element == EventTime {
    /// A tick at regular intervals: the time at which it was due.
    ///
    /// Ticks don't drift: each is due a whole number of intervals after the start. What a stall makes it miss is left
    /// out, so that ticks never come in a burst.
    ///
    /// - Parameters:
    ///   - interval: The time between two ticks, in processing time; at least 1 microsecond.
    ///   - count: How many ticks there are; nil for no end.
    ///
    /// **Emits when** a tick is due. **Suspends upstream when** the mailbox is full: ticks are left out meanwhile.
    /// **Finishes when** `count` ticks have been sent. **Cancels when** the topology drains.
    public static func ticks(every interval: Duration, count: Int? = nil) -> Source {
        Source("ticks") { inlet in
            let step = max(.microseconds(1), interval)
            let start = inlet.context.now
            var number: Int64 = 0
            var sent = 0
            while sent < count ?? .max {
                let passed = start.duration(to: inlet.context.now).nanosecondsClamped
                number = max(number + 1, passed / step.nanosecondsClamped)
                let due = start.advanced(
                    by: .nanoseconds(number.multipliedSaturating(by: step.nanosecondsClamped)))
                try await inlet.context.sleep(until: due)
                try await inlet.send(due)
                sent += 1
            }
        }
    }
}

extension Source {
    /// Events at a fixed rate, whatever becomes of them: an open-loop load.
    ///
    /// Event `i` is due `i / rate` seconds after the start and carries that time as its event time, so a latency that is
    /// measured from it has no coordinated omission. All that is due is sent at once; after a stall it catches up.
    ///
    /// After a restart it goes on with the next index, at a new start.
    ///
    /// - Parameters:
    ///   - rate: Events per second, above zero; at most 1,000,000,000.
    ///   - count: How many events there are; nil for no end.
    ///   - resolution: How often it wakes at most. Default 1 ms.
    ///   - makeEvent: The event of an index, from 0.
    ///
    /// **Emits when** events are due. **Suspends upstream when** the mailbox is full; it catches up afterwards.
    /// **Finishes when** `count` events have been sent. **Cancels when** the topology drains.
    public static func rate(
        perSecond rate: Double, count: Int? = nil, resolution: Duration = .milliseconds(1),
        _ makeEvent: @escaping @Sendable (Int) -> Element
    ) -> Source {
        Source("rate") { inlet in
            let now = inlet.context.now
            let size = inlet.context.preferredBatchSize
            let end = count ?? .max
            var next = Int(inlet.position?.offset ?? 0)
            // Within a run the schedule stays that of the first start: what a restart has missed is caught up.
            let first = next
            let schedule = inlet.context.resources.shared("\(inlet.context.stage) schedule") {
                RateSchedule(start: now, perSecond: rate, firstIndex: first)
            } close: { _ in
            }
            while next < end {
                let now = inlet.context.now
                let due = min(end, schedule.dueCount(at: now))
                while next < due {
                    var batch = Batch<Element>()
                    batch.elements.reserveCapacity(min(size, due - next))
                    for index in next..<min(due, next + size) {
                        batch.append(makeEvent(index), at: schedule.time(of: index))
                    }
                    next += batch.count
                    try await inlet.send(batch, position: SourcePosition(offset: Int64(next)))
                }
                if next >= end { return }
                try await inlet.context.sleep(
                    until: max(schedule.time(of: next), now.advanced(by: resolution)))
            }
        }
    }
}

extension SourceContext {
    /// Suspends until a point of processing time, virtual in a test.
    ///
    /// Throws `CancellationError`.
    public func sleep(until deadline: EventTime) async throws {
        try await environment.clock.sleep(until: deadline)
    }
}

/// When each event of a fixed rate is due.
package struct RateSchedule: Sendable {
    private let start: EventTime
    private let nanosecondsPerEvent: Double
    private let firstIndex: Int

    package init(start: EventTime, perSecond rate: Double, firstIndex: Int = 0) {
        self.firstIndex = firstIndex
        self.start = start
        let bounded = rate.isFinite ? min(max(rate, 1e-6), 1e9) : 1e9
        nanosecondsPerEvent = 1e9 / bounded
    }

    package func time(of index: Int) -> EventTime {
        let offset = (Double(index - firstIndex) * nanosecondsPerEvent).rounded()
        return start.advanced(by: .nanoseconds(Int64(min(offset, 0x1p62))))
    }

    /// How many events are due.
    package func dueCount(at now: EventTime) -> Int {
        let elapsed = start.duration(to: now).nanosecondsClamped
        if elapsed < 0 { return firstIndex }
        var count = firstIndex + Int(min(Double(elapsed) / nanosecondsPerEvent, 0x1p61))
        // Rounding may be off by one either way: the times decide.
        while count > firstIndex && time(of: count - 1) > now { count -= 1 }
        while time(of: count) <= now && count < .max { count += 1 }
        return count
    }
}

extension Int64 {
    fileprivate func multipliedSaturating(by other: Int64) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        return overflow ? .max : product
    }
}
