import Weir

/// The client side: one connection after the other.
struct EchoClient {
    /// How long a server has to answer the question for a number.
    private static let patience = Duration.seconds(3)

    let connection: WebSocketConnection.Configuration
    let tls: TLSClientContext?

    private var configuration: WebSocketClientConfiguration {
        var configuration = WebSocketClientConfiguration()
        configuration.connection = connection
        configuration.tls = tls
        return configuration
    }

    /// Echoes what a server sends until the connection has ended.
    func echo(_ url: String) async throws -> WebSocketClosure {
        let loop = try Loop.shared()
        let configuration = configuration
        return try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                let handler = Echo { continuation.resume(returning: $0) }
                WebSocketConnection.connect(
                    to: url, on: loop, configuration: configuration, handler: handler
                ) { result in
                    if case .failure(let error) = result { continuation.resume(throwing: error) }
                }
            }
        }
    }

    /// The number that a server sends first; nil when it sends none.
    func number(_ url: String) async -> Int? {
        let (texts, continuation) = AsyncStream<String>.makeStream()
        let client = try? await WebSocketClient.connect(to: url, configuration: configuration) {
            bytes, _ in
            continuation.yield(String(decoding: bytes, as: UTF8.self))
            return .proceed
        } onClose: { _ in
            continuation.finish()
        }
        guard let client else { return nil }
        let patience = Task {
            try await Task.sleep(for: Self.patience)
            continuation.finish()
        }
        defer { patience.cancel() }
        let first = await texts.first { _ in true }
        await client.close()
        return first.flatMap { Int($0) }
    }
}
