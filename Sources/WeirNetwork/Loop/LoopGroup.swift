import Synchronization

/// Several loops, handed out in turn.
public final class LoopGroup: Sendable {
    /// The loops of the group.
    public let loops: [Loop]
    private let turn = Atomic<UInt>(0)

    /// Starts `count` loops; 1 or more.
    ///
    /// - Throws: ``NetworkError`` when the system has no descriptors or threads left.
    public init(count: Int, name: String = "weir-loop") throws(NetworkError) {
        guard count > 0 else {
            throw NetworkError(.invalidArgument, "a loop group needs at least one loop")
        }
        var loops: [Loop] = []
        for index in 0..<count { loops.append(try Loop(name: "\(name)-\(index)")) }
        self.loops = loops
    }

    /// The next loop in turn.
    public func next() -> Loop {
        let index = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return loops[Int(index % UInt(loops.count))]
    }

    /// Stops all loops and waits for their threads.
    public func stop() async {
        for loop in loops { await loop.stop() }
    }
}
