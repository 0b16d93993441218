import CLibUV

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Where datagrams go.
enum DatagramDestination: Sendable {
    case address(SocketAddress)
    /// The socket is connected to it.
    case file(UnixPath)

    /// Gives it in the operating system's form; nil for what the socket is connected to.
    func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>?) -> Result) -> Result {
        switch self {
        case .address(let address): address.withSockaddr(body)
        case .file: body(nil)
        }
    }

    /// Throws what a status means for it.
    func check(_ status: Int32, _ action: String) throws(NetworkError) {
        switch self {
        case .address(let address): try WeirNetwork.check(status, action, "udp \(address)")
        case .file(let path): try path.check(status, action)
        }
    }
}
