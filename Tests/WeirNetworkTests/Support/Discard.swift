import WeirTestSupport

@testable import WeirNetwork

/// A handler that drops what it receives, and tells how its connection ends to who asks for it.
final class Discard: TCPConnectionHandler {
    private let ends: Recorder<NetworkError?>?

    init(ends: Recorder<NetworkError?>? = nil) { self.ends = ends }

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int { bytes.count }

    func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
        ends?.append(error)
    }
}
