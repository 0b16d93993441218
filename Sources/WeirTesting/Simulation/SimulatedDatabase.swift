/// A place outside of the simulated machine that survives its crashes, for a sink of your own.
public struct SimulatedDatabase<Element: Sendable>: Sendable {
    let world: SimulatedWorld
    let name: String
    let receiver: SimulatedReceiver<Element>?

    /// Adds events, at once and for good.
    ///
    /// - Throws: When the simulation has the write fail, or the process has crashed; then nothing was
    ///   added.
    public func write(_ events: some Sequence<Element>) throws {
        try world.beginWrite()
        guard let receiver else { throw SimulatedNameInUse(name: name) }
        receiver.receive(events)
    }

    /// What was written so far, in all lives of the process.
    public var events: [Element] { receiver?.events ?? [] }
}
