import Synchronization
public import WeirCore

/// What a test takes from an outlet.
public final class OutletProbe<Element: Sendable>: Sendable {
    private struct Locked: Sendable {
        var received: [Element] = []
        var isFinished = false
        var failure: (any Error)?
    }

    private let locked = Mutex(Locked())
    private let gate = Gate(isOpen: true)

    init() {}

    /// The events that were taken, in order.
    public var received: [Element] { locked.withLock { $0.received } }

    /// Whether the outlet has ended, with or without an error.
    public var isFinished: Bool { locked.withLock { $0.isFinished } }

    /// The error with which the outlet ended.
    public var failure: (any Error)? { locked.withLock { $0.failure } }

    /// Takes no more from now on.
    public func pause() { gate.close() }

    /// Takes again.
    public func resume() { gate.open() }

    func collect(_ events: OutletSequence<Element>, limit: Int) async {
        do {
            var count = 0
            try await gate.pass()
            for try await event in events {
                locked.withLock { $0.received.append(event) }
                count += 1
                if count >= limit { break }
                try await gate.pass()
            }
            locked.withLock { $0.isFinished = true }
        } catch {
            locked.withLock { locked in
                locked.failure = error
                locked.isFinished = true
            }
        }
    }
}

extension TopologyTest {
    /// Takes the events of an outlet from the next ``run()`` on.
    ///
    /// - Parameters:
    ///   - outlet: The outlet.
    ///   - limit: Stop after this many events, as a consumer does that has seen enough. Default: never.
    ///   - isPaused: Begin without taking anything, until ``OutletProbe/resume()``.
    /// - Throws: ``TopologyError`` when the topology has no such outlet.
    public func collect<Element: Sendable>(
        _ outlet: Outlet<Element>, limit: Int = .max, isPaused: Bool = false
    ) throws -> OutletProbe<Element> {
        let probe = OutletProbe<Element>()
        if isPaused { probe.pause() }
        let events = try running.output(outlet)
        start { await probe.collect(events, limit: limit) }
        return probe
    }
}
