import Foundation
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `Syslog sources` {
    private static let line =
        "<34>1 2003-10-11T22:14:15.003Z host su 7 ID47 [a@1 b=\"c\"] text"

    private func topology(
        _ transport: SyslogTransport, _ seen: Recorder<SyslogMessage>,
        _ options: SyslogOptions = SyslogOptions()
    ) -> Topology {
        Topology("syslog") {
            EventStream("log", from: .syslog(transport, port: 0, options: options)).sink(seen.sink)
        }
    }

    @Test func `take datagrams, and the event time from them`() async throws {
        let times = Recorder<EventTime>()
        let timed = Topology("times") {
            EventStream("log", from: .syslog(.udp(), port: 0))
                .sink(
                    .forEachBatch { batch in
                        for index in 0..<batch.count { times.append(batch.time(at: index)) }
                    })
        }
        let running = try await timed.start(.quiet())
        let letters = running.recordDeadLetters()
        let sender = try await DatagramSender.to(try running.udp)
        try await sender.send(Self.line, "<34>nonsense", "<34>1 - - - - - - x")
        let expected = EventTime(rfc3339: "2003-10-11T22:14:15.003Z")
        #expect(await times.wait(for: 2) == [expected, .min])
        let letter = await letters.wait(for: 1)[0]
        #expect(letter.reason.contains("at byte 4"))
        #expect(letter.eventText == "<34>nonsense")
        try await running.drain()
    }

    @Test func `take both framings of TCP on one connection`() async throws {
        let seen = Recorder<SyslogMessage>()
        let running = try await topology(.tcp, seen).start(.quiet())
        let client = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
        try await client.send("\(Self.line.utf8.count) \(Self.line)\(Self.line)\n")
        #expect(await seen.wait(for: 2).map(\.appName) == ["su", "su"])
        // What is neither closes the connection.
        try await client.send("what?\n")
        _ = await client.receive()
        try await running.drain()
    }

    @Test func `take lengths only over TLS`() async throws {
        let certificates = try await Certificates.shared
        let seen = Recorder<SyslogMessage>()
        let running = try await topology(.tls(certificates.server()), seen).start(.quiet())
        let address = try #require(running.addresses["tls://127.0.0.1:0"])
        let sending = Topology("sender") {
            EventStream("out", from: .collection([Self.line, Self.line])).sink(
                .tcp(
                    host: "127.0.0.1", port: address.port, tls: certificates.client(),
                    framing: .syslog(), encoder: .text))
        }
        try await sending.start(.quiet()).waitUntilFinished()
        #expect(await seen.wait(for: 2).map(\.text) == ["text", "text"])
        try await running.drain()
    }

    @Test func `take the older format when asked to`() async throws {
        let seen = Recorder<SyslogMessage>()
        var options = SyslogOptions()
        options.acceptsLegacyFormat = true
        let running = try await topology(.udp(), seen, options).start(.quiet())
        let sender = try await DatagramSender.to(try running.udp)
        try await sender.send("<34>Oct 11 22:14:15 old su: failed", Self.line)
        #expect(await seen.wait(for: 2).map(\.hostName) == ["old", "host"])
        try await running.drain()
    }

    private static let logger = ["/usr/bin/logger", "/bin/logger"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    @Test(
        .enabled(if: logger != nil, "there is no `logger` of util-linux"),
        arguments: [["--udp"], ["--tcp"], ["--tcp", "--octet-count"]])
    func `take what logger sends`(_ arguments: [String]) async throws {
        let seen = Recorder<SyslogMessage>()
        let isUDP = arguments == ["--udp"]
        let running = try await topology(isUDP ? .udp() : .tcp, seen).start(.quiet())
        let port = isUDP ? try running.udp.port : try running.tcp.port
        let process = try ChildProcess(
            try #require(Self.logger),
            ["--rfc5424", "--server", "127.0.0.1", "--port", "\(port)"] + arguments + [
                "--tag", "weir", "--msgid", "HELLO", "--priority", "local0.warning", "--sd-id",
                "shop@32473", "--sd-param", #"till="7""#, "it works",
            ])
        #expect(await process.waitForEnd().status == 0)
        let message = await seen.wait(for: 1)[0]
        #expect(message.facility == 16)
        #expect(message.severity == .warning)
        #expect(message.appName == "weir")
        #expect(message.messageID == "HELLO")
        #expect(message.text == "it works")
        #expect(message.value("till", in: "shop@32473") == "7")
        #expect(message.timestamp != nil)
        try await running.drain()
    }
}
