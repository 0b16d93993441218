import Testing
import WeirCore

@testable import WeirNetwork

@Suite struct `The settings of a server` {
    private func topology(_ host: String, _ port: Int) -> Topology {
        Topology("settings") {
            ServerSettings(host: host, port: port)
            WebPage("/", port: 8_081, .html("<p>hello</p>"))
            EventStream("web", from: .webSocket("/in", port: 8_080, as: Reading.self))
                .sink(.serverSentEvents("/out", port: 8_082))
            EventStream("lines", from: .tcp(host: "::1", port: 8_083, as: Reading.self))
                .sink(.discard)
        }
    }

    @Test(arguments: [
        ("127.0.0.1", 8_080), ("127.0.0.1", 8_081), ("127.0.0.1", 8_082), ("::1", 8_083),
    ])
    func `are those of a source, sink or page`(_ host: String, _ port: Int) throws {
        try topology(host, port).validate()
    }

    @Test(arguments: [
        ("127.0.0.1", 808), ("127.0.0.1", 8_083), ("0.0.0.0", 8_080), ("27.0.0.1", 8_080),
    ])
    func `are refused where they are nobody's`(_ host: String, _ port: Int) throws {
        let error = try #require(
            #expect(throws: TopologyError.self) { try topology(host, port).validate() })
        #expect(error.problems.map(\.code) == [.invalidArgument])
        #expect(error.problems[0].message.contains("the settings of \(host):\(port) are nobody's"))
    }
}
