import Weir

/// Sends back what one connection brings; a connection that takes nothing more is not read.
final class Echo: WebSocketHandler {
    private var waiting: (bytes: [UInt8], kind: WebSocketMessageKind)?
    private let onClose: (WebSocketClosure) -> Void

    init(onClose: @escaping (WebSocketClosure) -> Void = { _ in }) {
        self.onClose = onClose
    }

    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow {
        guard connection.send(bytes, kind) == .refused else { return .proceed }
        waiting = (Array(bytes), kind)
        return .stop
    }

    func drained(_ connection: WebSocketConnection) {
        guard let (bytes, kind) = waiting else { return }
        waiting = nil
        bytes.withUnsafeBytes { _ = connection.send($0, kind) }
        connection.resume()
    }

    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
        onClose(closure)
    }
}
