/// A value that lives on one loop, in a box that may travel between threads.
///
/// The value can be read only on the loop's thread; anywhere else is a programmer's error and traps.
/// Safety: the stored value is reachable only through the getter, which checks the thread.
public struct LoopBound<Value>: @unchecked Sendable {
    private let stored: Value
    /// The loop that owns the value.
    public let loop: Loop

    /// Boxes a value that belongs to `loop`.
    public init(_ value: Value, on loop: Loop) {
        self.stored = value
        self.loop = loop
    }

    /// The value; to be read only on the loop's thread.
    public var value: Value {
        loop.preconditionOnLoop()
        return stored
    }
}
