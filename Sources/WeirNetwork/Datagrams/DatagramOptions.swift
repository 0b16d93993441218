/// How a source of datagrams reads its socket.
public struct DatagramOptions: Sendable, Hashable {
    /// What a datagram holds; one message by default.
    public var content = DatagramContent.message
    /// Bytes of the longest datagram that is taken; 65,507 by default and at most, what IPv4 carries.
    ///
    /// A longer one, which a Unix socket may bring, goes to the dead letters, with 65,536 bytes of
    /// it at most.
    public var maximumLength = 65_507
    /// Bytes that the kernel keeps for the socket while it isn't read; nil for the system's default.
    ///
    /// Linux gives no more than `net.core.rmem_max`; the log tells when that is less.
    public var receiveBufferSize: Int?
    /// Datagrams that one system call reads at most, 1 to 20; 20 by default.
    ///
    /// Each takes 64 KiB of memory.
    public var datagramsPerRead = 20

    /// Creates the default options.
    public init() {}
}

/// What a datagram holds.
public struct DatagramContent: Sendable, Hashable {
    enum Choice: Sendable, Hashable { case message, lines }
    let choice: Choice

    /// One message.
    public static let message = DatagramContent(choice: .message)
    /// Lines, each a message, ended by LF or CR LF; the last one's end may be missing.
    public static let lines = DatagramContent(choice: .lines)
}
