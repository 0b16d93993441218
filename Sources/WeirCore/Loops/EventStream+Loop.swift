extension EventStream {
    /// Lets events go round: what the body feeds back comes in again at its beginning.
    ///
    /// ```swift
    /// numbers.loop("collatz") { number in
    ///     let next = number.map { $0 % 2 == 0 ? $0 / 2 : 3 * $0 + 1 }.split { $0 == 1 }
    ///     return (feedback: next.rest, output: next.matching)
    /// }
    /// .sink(.print)
    /// ```
    ///
    /// The body may have stages of its own, keyed ones too, and loops of its own. What is fed back never
    /// waits for room, so a loop can't lock up: it waits at the loop's head, where it is taken before what comes
    /// from upstream; when more than half of `maximumWaiting` wait there, nothing is taken from upstream. What would be
    /// more than `maximumWaiting` becomes a dead letter that says so. That happens when events give rise to more and
    /// more of their like; the mailboxes of the body should hold less than half of it together.
    ///
    /// Event time: a watermark that has come from upstream goes into the body when nothing at or before it goes
    /// round any more. Events keep their time on their way. What a window in the body gives out because of a watermark
    /// is behind that watermark when it comes round.
    ///
    /// The loop ends when its input has ended and nothing goes round. What the body holds until its end
    /// it gives out at the final watermark, and that goes round as well; what it gives out at its end only is too late for
    /// that, a dead letter.
    ///
    /// - Parameters:
    ///   - name: The name of the stage that begins the loop, unique in its topology.
    ///   - maximumWaiting: How many events may wait to go round again, at least 1. Default 65,536.
    ///   - body: Makes, from the stream of all that goes round, what goes round again and what leaves the loop.
    /// - Returns: What leaves the loop.
    /// - Complexity: O(1) per event and round; one message per stage of the body for each watermark.
    ///
    /// **Emits when** the body gives out an event. **Suspends upstream when** the body is full, or half of
    /// `maximumWaiting` wait. **Finishes when** the input has ended and nothing goes round. **Cancels when** nobody takes
    /// what the body emits any more. **On restart** what goes round stays; from a checkpoint it comes back, each event once.
    public func loop<Output: Sendable>(
        _ name: String, maximumWaiting: Int = 65_536, file: StaticString = #fileID,
        line: UInt = #line,
        _ body: (EventStream<Element>) -> (
            feedback: EventStream<Element>, output: EventStream<Output>
        )
    ) -> EventStream<Output> {
        let location = SourceLocation(file, line)
        let id = LoopID(name)
        let limit = max(1, maximumWaiting)
        let problem =
            maximumWaiting < 1
            ? "loop takes a maximumWaiting of at least 1, not \(maximumWaiting)" : nil
        let channel: @Sendable (StageScope) -> LoopChannel<Element> = { scope in
            scope.environment.resources.shared(
                "loop \(name)", make: { LoopChannel(limit: limit) }, close: { _ in })
        }
        let head: EventStream<Element> = transform(
            "loop", name: name, boundary: true,
            traits: NodeTraits(loop: .head(id), problem: problem), at: location
        ) { scope, downstream in
            LoopHead(scope, id, channel(scope), downstream).receiver
        }
        let ends = body(head)
        let tail = Node(
            kind: "feedback", inputs: [ends.feedback.edge()], isBoundary: false,
            traits: NodeTraits(loop: .tail(id)), location: location
        ) { scope, _ in
            [AnyReceiver(LoopTail<Element>(scope, id, channel(scope)).receiver)]
        }
        return EventStream<Output>(
            node: Node(
                kind: "loopOutput", inputs: [ends.output.edge()], isBoundary: false,
                companions: [tail], location: location
            ) { _, outputs in
                [AnyReceiver(AnyReceiver.joined(outputs[0], as: Output.self))]
            })
    }
}
