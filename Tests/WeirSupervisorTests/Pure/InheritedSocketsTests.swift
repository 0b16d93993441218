import Testing

@testable import WeirNetwork
@testable import WeirSupervisor

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite struct `Inherited sockets` {
    private static func inherited(_ environment: [String: String]) -> InheritedSockets {
        InheritedSockets(processID: 42) { environment[$0] }
    }

    private static func address(_ port: Int) throws -> SocketAddress {
        try #require(SocketAddress(ip: "127.0.0.1", port: port))
    }

    @Test(arguments: [true, false])
    func `are taken by one listener at a time`(asksForAnyPort: Bool) throws {
        let opened = try ListeningSockets([ListenAddress(port: 0)])
        let port = opened.addresses[0].port
        let asked = asksForAnyPort ? 0 : port
        let sockets = Self.inherited([
            "WEIR_LISTEN_FDS": "127.0.0.1:\(asked)=\(opened.descriptors[0])"
        ])
        let wanted = try Self.address(asked)
        for _ in 0..<2 {
            let claim = try #require(try sockets.take(wanted, backlog: 16))
            #expect(SocketAddress.local(of: claim.descriptor)?.port == port)
            #expect(try sockets.take(wanted, backlog: 16) == nil)
            close(claim.descriptor)
            claim.release()
        }
        #expect(try sockets.take(Self.address(port == 1 ? 2 : 1), backlog: 16) == nil)
    }

    @Test func `are found in whatever way an IPv6 address is written`() throws {
        let entries = try InheritedSockets.parse("[::1]:9000=4,127.0.0.1:1=5")
        #expect(entries.map(\.descriptor) == [4, 5])
        let long = try #require(SocketAddress(ip: "0:0:0:0:0:0:0:1", port: 9_000))
        #expect(entries[0].asked == long.canonical)
    }

    @Test(arguments: [
        "127.0.0.1:80", "127.0.0.1:80=x", "127.0.0.1:80=2", "127.0.0.1=3", "host:80=3",
        "127.0.0.1:70000=3", "=3", "127.0.0.1:80=99999999999",
    ])
    func `that are written wrongly are an error that names the variable`(text: String) throws {
        let sockets = Self.inherited(["WEIR_LISTEN_FDS": text])
        let wanted = try Self.address(1)
        let error = #expect(throws: NetworkError.self) {
            _ = try sockets.take(wanted, backlog: 16)
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("WEIR_LISTEN_FDS") == true)
        #expect(error?.message.contains(text) == true)
    }

    @Test func `whose descriptor is something else are an error that names it`() throws {
        let opened = try ListeningSockets([ListenAddress(port: 0)])
        let port = opened.addresses[0].port
        let other = port == 1 ? 2 : 1
        let file = open("/dev/null", O_RDONLY)
        defer { close(file) }
        for (text, wanted, expected) in [
            ("127.0.0.1:\(port)=4000", port, "descriptor 4000"),
            ("127.0.0.1:\(port)=\(file)", port, "descriptor \(file)"),
            ("127.0.0.1:\(other)=\(opened.descriptors[0])", other, "listens on 127.0.0.1:\(port)"),
        ] {
            let sockets = Self.inherited(["WEIR_LISTEN_FDS": text])
            let error = #expect(throws: NetworkError.self) {
                _ = try sockets.take(Self.address(wanted), backlog: 16)
            }
            #expect(error?.message.contains("WEIR_LISTEN_FDS") == true)
            #expect(error?.message.contains(expected) == true)
        }
    }

    @Test func `of systemd are for the process that it names`() throws {
        let environment = ["LISTEN_PID": "43", "LISTEN_FDS": "many"]
        #expect(try Self.inherited(environment).take(Self.address(1), backlog: 16) == nil)
        let wrong = Self.inherited(environment.merging(["LISTEN_PID": "42"]) { $1 })
        let error = #expect(throws: NetworkError.self) {
            _ = try wrong.take(Self.address(1), backlog: 16)
        }
        #expect(error?.message.contains("LISTEN_FDS") == true)
    }
}
