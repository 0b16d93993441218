import CLibUV

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// An IP address and a port.
public struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    /// The address as text without brackets, for instance `127.0.0.1` or `::1`.
    public let ip: String
    /// The port, 0 to 65535.
    public let port: Int
    /// Whether it is an IPv6 address.
    public let isIPv6: Bool

    /// Creates an address from a literal IPv4 or IPv6 address; `nil` when it is not one.
    public init?(ip: String, port: Int) {
        guard (0...65_535).contains(port) else { return nil }
        var v4 = sockaddr_in()
        var v6 = sockaddr_in6()
        if uv_ip4_addr(ip, Int32(port), &v4) == 0 {
            isIPv6 = false
        } else if uv_ip6_addr(ip, Int32(port), &v6) == 0 {
            isIPv6 = true
        } else {
            return nil
        }
        self.ip = ip
        self.port = port
    }

    /// Reads an address of the operating system; `nil` when it is not IPv4 or IPv6.
    init?(_ address: UnsafePointer<sockaddr>) {
        let raw = UnsafeRawPointer(address)
        let text: String?
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            let v4 = raw.assumingMemoryBound(to: sockaddr_in.self)
            port = Int(UInt16(bigEndian: v4.pointee.sin_port))
            isIPv6 = false
            text = Self.text { uv_ip4_name(v4, $0, $1) }
        case AF_INET6:
            let v6 = raw.assumingMemoryBound(to: sockaddr_in6.self)
            port = Int(UInt16(bigEndian: v6.pointee.sin6_port))
            isIPv6 = true
            text = Self.text { uv_ip6_name(v6, $0, $1) }
        default:
            return nil
        }
        guard let text else { return nil }
        ip = text
    }

    /// The text form.
    public var description: String { isIPv6 ? "[\(ip)]:\(port)" : "\(ip):\(port)" }

    private static func text(
        _ write: (UnsafeMutablePointer<CChar>?, Int) -> Int32
    ) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            guard let base = buffer.baseAddress, write(base, 64) == 0 else { return nil }
            return String(cString: base)
        }
    }

    /// Gives the address in the operating system's form.
    func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>) -> Result) -> Result {
        var storage = sockaddr_storage()
        return withUnsafeMutablePointer(to: &storage) { storage in
            let raw = UnsafeMutableRawPointer(storage)
            if isIPv6 {
                uv_ip6_addr(ip, Int32(port), raw.assumingMemoryBound(to: sockaddr_in6.self))
            } else {
                uv_ip4_addr(ip, Int32(port), raw.assumingMemoryBound(to: sockaddr_in.self))
            }
            return body(UnsafePointer(raw.assumingMemoryBound(to: sockaddr.self)))
        }
    }

    /// The address to which a socket is bound; `nil` when it is none or not IPv4 or IPv6.
    static func local(of descriptor: Int32) -> SocketAddress? {
        read { address, _ in
            UnsafeMutableRawPointer(address).withMemoryRebound(
                to: sockaddr_storage.self, capacity: 1
            ) { cuv_local_address(descriptor, $0) }
        }
    }

    /// The address to which a socket is connected; `nil` when it is none or not IPv4 or IPv6.
    static func peer(of descriptor: Int32) -> SocketAddress? {
        read { address, _ in
            UnsafeMutableRawPointer(address).withMemoryRebound(
                to: sockaddr_storage.self, capacity: 1
            ) { cuv_peer_address(descriptor, $0) }
        }
    }

    /// The same address in the operating system's spelling, so that equal ones compare equal.
    var canonical: SocketAddress { withSockaddr { SocketAddress($0) } ?? self }

    /// The address as bytes in network order: 4 or 16.
    var bytes: [UInt8] {
        withSockaddr { address in
            let raw = UnsafeRawPointer(address)
            if isIPv6 {
                return withUnsafeBytes(
                    of: raw.assumingMemoryBound(to: sockaddr_in6.self).pointee.sin6_addr
                ) { [UInt8]($0) }
            }
            return withUnsafeBytes(
                of: raw.assumingMemoryBound(to: sockaddr_in.self).pointee.sin_addr
            ) { [UInt8]($0) }
        }
    }

    /// Asks libuv for an address and reads it.
    static func read(
        _ fill: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<Int32>) -> Int32
    ) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = Int32(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { storage in
            let address = UnsafeMutableRawPointer(storage).assumingMemoryBound(to: sockaddr.self)
            guard fill(address, &length) == 0 else { return nil }
            return SocketAddress(UnsafePointer(address))
        }
    }
}
