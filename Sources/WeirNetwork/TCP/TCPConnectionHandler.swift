/// What uses a TCP connection: it gets the bytes and the events, on the loop's thread.
public protocol TCPConnectionHandler: AnyObject {
    /// Takes bytes that have arrived, in order, and returns how many of them it has used up.
    ///
    /// Fewer than all means "full": the connection keeps the rest (one read buffer at most), stops
    /// reading the socket, and offers the rest again after ``TCPConnection/resumeReading()``. A
    /// handler that is full after the last byte calls ``TCPConnection/pauseReading()``. The bytes
    /// may be changed in place and are valid during the call only.
    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int

    /// All that one read of the socket brought has been offered: the time to pass a batch on.
    func connectionReceivedAll(_ connection: TCPConnection)

    /// The peer has ended its side; writing is still possible. By default closes gracefully.
    func connectionReachedEnd(_ connection: TCPConnection)

    /// All queued bytes are with the kernel, after some had to wait or were refused.
    func connectionDrained(_ connection: TCPConnection)

    /// Nothing was received for the connection's idle time. By default closes the connection.
    func connectionIdled(_ connection: TCPConnection)

    /// The connection is closed; the last call. `error` is `nil` after an orderly end.
    func connectionClosed(_ connection: TCPConnection, error: NetworkError?)
}

extension TCPConnectionHandler {
    /// Does nothing.
    public func connectionReceivedAll(_ connection: TCPConnection) {}

    /// Closes gracefully.
    public func connectionReachedEnd(_ connection: TCPConnection) { connection.closeGracefully() }

    /// Does nothing.
    public func connectionDrained(_ connection: TCPConnection) {}

    /// Closes the connection with ``NetworkError/Code/timedOut``.
    public func connectionIdled(_ connection: TCPConnection) {
        connection.close(NetworkError(.timedOut, "nothing was received for the idle time"))
    }

    /// Does nothing.
    public func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {}
}

/// What became of a write.
public enum WriteOutcome: Sendable, Hashable {
    /// The kernel has all of it, or will at the end of the current read callback.
    case sent
    /// Some of it waits in the connection's queue, below the limit.
    case queued
    /// Nothing of it was taken: the queue is at its limit. `connectionDrained` says when to go on.
    case refused
    /// The connection is closed or closing; nothing was taken.
    case closed
}
