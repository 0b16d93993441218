extension EventStream {
    /// Decides what happens when an operator above, in the same stage, throws an error of this type.
    ///
    /// The event that failed is handled alone, all others of its batch go through. Without a policy the stage restarts.
    ///
    /// - Parameters:
    ///   - type: The errors it is for.
    ///   - decide: The decision; `.emit(…)` sends a replacement on, with the time of the event that failed.
    public func recover<Failure: Error>(
        from type: Failure.Type, file: StaticString = #fileID, line: UInt = #line,
        _ decide: @escaping @Sendable (Failure) -> Decision<Element>
    ) -> EventStream<Element> {
        transform("recover", at: SourceLocation(file, line)) { scope, downstream in
            scope.markFallible()
            let passed = PassedFlag()
            scope.register(passed)
            scope.register(
                Recovery { error in
                    // Thrown behind this policy: not its business.
                    if passed.value { return nil }
                    guard let failure = error as? Failure else { return nil }
                    switch decide(failure) {
                    case .restart: return .restart
                    case .skip: return .skip
                    case .deadLetter: return .deadLetter
                    case .escalate: return .escalate
                    case .emit(let event):
                        return .emit { time in
                            var batch = Batch<Element>()
                            batch.append(event, at: time)
                            try downstream.batch(batch)
                        }
                    }
                })
            return Receiver(
                batch: { batch in
                    do {
                        try downstream.batch(batch)
                    } catch {
                        passed.value = true
                        throw error
                    }
                }, signal: downstream.signal)
        }
    }
}

/// Whether the running transaction has got past a recovery.
private final class PassedFlag: TransactionParticipant {
    var value = false

    func beginBatch() { value = false }
    func commitBatch() {}
    func rollbackBatch() {}
}
