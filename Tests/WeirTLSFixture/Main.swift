import Foundation
import Logging
import WeirNetwork

/// A server for tests from outside: `WeirTLSFixture PORT [CERTIFICATE KEY]… [--clients CA]`.
///
/// Serves a page at `/` and echoes WebSocket messages at `/echo`, over TLS when a certificate is
/// given. Prints its port, and ends when it is killed.
@main struct Main {
    static func main() async throws {
        var arguments = Array(CommandLine.arguments.dropFirst())
        guard let port = arguments.first.flatMap({ Int($0) }) else {
            print("usage: WeirTLSFixture PORT [CERTIFICATE KEY]… [--clients CA]")
            return
        }
        arguments.removeFirst()
        var tls = TLSServerConfiguration()
        while arguments.count >= 2 {
            if arguments[0] == "--clients" {
                tls.clients = .required(.file(arguments[1]))
            } else {
                tls.certificates.append(.files(chain: arguments[0], key: arguments[1]))
            }
            arguments.removeFirst(2)
        }
        var configuration = NetworkServer.Configuration(port: port)
        configuration.logger.logLevel = .warning
        if !tls.certificates.isEmpty { configuration.tls = tls }
        let server = try NetworkServer(configuration)
        server.addPage("/", .html("<p>hello</p>"))
        server.addWebSocket("/echo") { _ in .accept(Echo()) }
        let listening = try await server.start().port
        FileHandle.standardOutput.write(Data("\(listening)\n".utf8))
        while true { try await Task.sleep(for: .seconds(3_600)) }
    }
}

private final class Echo: WebSocketHandler {
    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow {
        connection.send(bytes, kind)
        return .proceed
    }
}
