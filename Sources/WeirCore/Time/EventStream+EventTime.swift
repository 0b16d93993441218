extension EventStream {
    /// Gives each event its event time, and the stream a watermark.
    ///
    /// - Parameters:
    ///   - time: The time of an event; a key path such as `\.at` or a closure.
    ///   - strategy: How far event time has come after each batch; by default events may be 5
    ///     seconds out of order, and the stream counts as idle after 30 seconds without an event.
    ///
    /// **Emits when** an event arrives. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the watermark goes on where it was.
    @inlinable
    public func eventTime(
        _ time: @escaping @Sendable (Element) -> EventTime,
        _ strategy: WatermarkStrategy<Element> = .boundedOutOfOrderness(.seconds(5)),
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        transform(
            "eventTime",
            traits: NodeTraits(
                assignsEventTime: true, detectsIdleness: strategy.idleness.quiet != nil,
                problem: strategy.problem),
            at: SourceLocation(file, line)
        ) { scope, downstream in
            let instance = strategy.make()
            instance.register(scope)
            let core = EventTimeCore(
                scope: scope, downstream: downstream, idleness: strategy.idleness,
                aheadMaximum: strategy.aheadMaximum)
            return Receiver(
                batch: { batch in
                    var latest = EventTime.min
                    var stamped = Batch(
                        unchecked: batch.elements,
                        times: batch.elements.mapped { element in
                            let stamp = time(element)
                            if stamp > latest { latest = stamp }
                            return stamp
                        })
                    if core.isTooFarAhead(latest) {
                        stamped = core.withoutTooFarAhead(stamped)
                        latest = .min
                        for stamp in stamped.times where stamp > latest { latest = stamp }
                        if stamped.isEmpty { return }
                    }
                    let candidate = instance.observe(stamped, latest, core.now)
                    try core.forward(stamped, candidate: candidate)
                }, signal: { try core.receive($0) })
        }
    }

    /// Gives each event the processing time at which it arrives here as its event time.
    ///
    /// Events are never late then, but the results depend on when they arrive. The watermark
    /// follows the clock while events come, and goes on with it while none do.
    ///
    /// **Emits when** an event arrives. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the watermark goes on where it was.
    public func ingestionTime(
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        transform(
            "ingestionTime",
            traits: NodeTraits(assignsEventTime: true, detectsIdleness: true),
            at: SourceLocation(file, line)
        ) { scope, downstream in
            let core = EventTimeCore(
                scope: scope, downstream: downstream,
                idleness: Idleness(quiet: .seconds(1), advances: true))
            let latest = TransactionalValue(EventTime.min)
            scope.register(latest)
            return Receiver(
                batch: { batch in
                    // The system's clock may be set back; event time does not go back with it.
                    latest.value = Swift.max(latest.value, core.now)
                    let stamp = latest.value
                    let times = ContiguousArray(repeating: stamp, count: batch.count)
                    try core.forward(
                        Batch(unchecked: batch.elements, times: times),
                        candidate: stamp.advanced(byNanoseconds: -1))
                }, signal: { try core.receive($0) })
        }
    }
}
