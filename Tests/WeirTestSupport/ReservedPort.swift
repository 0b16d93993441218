#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A port on loopback that nobody is given by the system as long as this exists: for a server that
/// has to come back where it was, or a place where nobody listens.
///
/// It is bound and does not listen, so that on Linux a server with `SO_REUSEADDR` may. Elsewhere it is
/// only a port that was free.
package final class ReservedPort: Sendable {
    package let number: Int
    private let descriptor: Int32

    package init() throws {
        let descriptor = try LoopbackSocket.bound()
        number = try LoopbackSocket.port(of: descriptor)
        #if os(Linux)
            self.descriptor = descriptor
        #else
            close(descriptor)
            self.descriptor = -1
        #endif
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}
