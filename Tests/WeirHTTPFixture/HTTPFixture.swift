import WeirCore
import WeirNetwork

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A service for HTTP tools from outside: `WeirHTTPFixture PORT [FOLDER [SOCKET]]`.
///
/// `/` is a page, `/large` one of 4 MiB, `/events` takes POST requests (the body's length is the
/// event), `/lengths` sends those as server-sent events, `/files/` is the folder; beside them
/// `/healthz`, `/readyz`, `/metrics` and `/topology`. Lines that come to the Unix socket are
/// `/lines`.
@main
struct HTTPFixture {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count > 1, let port = Int(arguments[1]) else { exit(64) }
        let decoder = EventDecoder<Int> { $0.count }
        let large = StaticPage(
            contentType: "text/plain", body: [UInt8](repeating: 0x61, count: 4 << 20))
        let topology = Topology("fixture") {
            WebPage("/", port: port, .text("hello\n"))
            WebPage("/large", port: port, large)
            Operations(port: port)
            if arguments.count > 2 { WebFolder("/files/", port: port, StaticFolder(arguments[2])) }
            EventStream("events", from: .http("/events", port: port, decoder: decoder))
                .sink(.serverSentEvents("/lengths", port: port))
            if arguments.count > 3 {
                EventStream("lines", from: .unix(path: arguments[3], decoder: decoder))
                    .sink(.serverSentEvents("/lines", port: port))
            }
        }
        let running = try await topology.start()
        let actual = running.addresses["http://127.0.0.1:\(port)"]?.port ?? port
        print("listening on 127.0.0.1:\(actual)")
        fflush(nil)
        try await running.waitUntilFinished()
    }
}
