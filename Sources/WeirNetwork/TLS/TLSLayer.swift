/// The encryption of one connection: its engine, and what waits on either side of it.
///
/// Used on the connection's loop only. Decrypting stops when the handler is full, and encrypting
/// when the kernel takes no more, so that little is ever held: at most one read buffer that is not
/// yet decrypted, and plain bytes within the connection's write limit.
final class TLSLayer {
    let engine: TLSEngine
    var isHandshaking = true
    /// Plain bytes that wait to be encrypted.
    var waiting = WriteQueue()
    /// Whether there may be something to decrypt or to report before the socket is read again.
    var hasMore = false
    private var held: UnsafeMutableRawBufferPointer?
    private var onHandshake: ((Result<TLSInfo, NetworkError>) -> Void)?

    init(
        _ engine: TLSEngine, onHandshake: @escaping (Result<TLSInfo, NetworkError>) -> Void
    ) {
        self.engine = engine
        self.onHandshake = onHandshake
    }

    /// Bytes that wait to be decrypted.
    var heldByteCount: Int { held == nil ? 0 : engine.input.count }

    /// Keeps what the engine has not used up of a read buffer.
    func keepRest() {
        let rest = engine.input
        if rest.isEmpty {
            dropHeld()
        } else if held == nil {
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: rest.count, alignment: 16)
            copy.copyMemory(from: rest)
            held = copy
            engine.input = UnsafeRawBufferPointer(copy)
        }
    }

    private func dropHeld() {
        engine.input = UnsafeRawBufferPointer(start: nil, count: 0)
        held?.deallocate()
        held = nil
    }

    /// Reports the end of the handshake, once.
    func finishHandshake(_ result: Result<TLSInfo, NetworkError>) {
        guard let onHandshake else { return }
        self.onHandshake = nil
        onHandshake(result)
    }

    /// What the end of the socket means before the peer has said that it ends.
    var truncation: NetworkError {
        isHandshaking
            ? NetworkError(
                .connectionLost, "the peer ended the connection during the TLS handshake")
            : NetworkError(
                .truncated,
                "the TLS connection was cut: the peer did not say that it ends, so the last of"
                    + " what it sent may be missing")
    }

    deinit { held?.deallocate() }
}
