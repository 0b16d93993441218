/// Who gets the frames of a connection.
enum FrameConsumer {
    /// Gets them one by one, and says after each whether it takes more.
    case one((UnsafeRawBufferPointer) throws -> Flow)
    /// Gets those of one read together and takes them all, at most ``FrameList/capacity``.
    case many((Messages) throws -> Flow)

    /// Takes a frame now, or with others of the same read.
    func take(
        _ frame: UnsafeRawBufferPointer, in read: UnsafeRawBufferPointer, _ list: inout FrameList
    ) throws -> Flow {
        switch self {
        case .one(let onFrame): return try list.connection.pausing { try onFrame(frame) }
        case .many(let onFrames): return try list.take(frame, in: read, onFrames)
        }
    }

    /// Takes what waits for others.
    func takeRest(of list: inout FrameList) throws {
        if case .many(let onFrames) = self { _ = try list.give(to: onFrames) }
    }
}

/// Frames in the read buffer that wait for their consumer; lives as long as one read.
struct FrameList {
    /// Frames given at once: few enough that small ones are still in the processor's first cache.
    static let capacity = 256

    let connection: TCPConnection
    /// Room for ``capacity`` frames, of which the first `count` are there.
    private let frames: UnsafeMutablePointer<UnsafeRawBufferPointer>
    private var count = 0

    init(_ connection: TCPConnection) {
        self.connection = connection
        frames = connection.loop.scratch.takeFrames()
    }

    /// Keeps a frame until others of the same read have come, or the list is full.
    ///
    /// - Parameter read: What the read brought: what was carried over from before is gone after the call.
    @inline(__always)
    mutating func take(
        _ frame: UnsafeRawBufferPointer, in read: UnsafeRawBufferPointer,
        _ onFrames: (Messages) throws -> Flow
    ) throws -> Flow {
        frames[count] = frame
        count &+= 1
        if count < Self.capacity, read.encloses(frame) { return .proceed }
        return try give(to: onFrames)
    }

    /// Gives the frames away, if there are any; pauses the connection when the consumer is full.
    mutating func give(to onFrames: (Messages) throws -> Flow) throws -> Flow {
        if count == 0 { return .proceed }
        let given = UnsafeBufferPointer(start: frames, count: count)
        count = 0
        return try connection.pausing { try onFrames(given) }
    }

    /// Lets another read use the memory.
    func giveBack() { connection.loop.scratch.giveBack(frames: frames) }
}

extension Framing {
    /// Cuts what a read has brought, for a consumer that takes frames together.
    @inline(__always)
    mutating func list(
        _ bytes: UnsafeRawBufferPointer, in list: inout FrameList,
        _ onFrames: (Messages) throws -> Flow
    ) throws -> Int {
        try consume(bytes) { frame in try list.take(frame, in: bytes, onFrames) }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes of `part` are bytes of this buffer.
    @inline(__always)
    func encloses(_ part: UnsafeRawBufferPointer) -> Bool {
        guard let start = baseAddress, let first = part.baseAddress else { return false }
        return first >= start && first + part.count <= start + count
    }
}
