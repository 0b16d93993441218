import CLibUV

@testable import WeirNetwork

extension TCPConnection {
    /// A connection without a peer, for what needs none.
    static func unconnected(on loop: Loop) throws -> TCPConnection {
        try adopt(cuv_unix_socket(0), on: loop)
    }
}
