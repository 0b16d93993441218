import ArgumentParser
import Foundation
import Testing
import Weir
import WeirTestSupport

@testable import WeirTool

@Suite struct `The plan of a load` {
    @Test(arguments: [
        "127.0.0.1", "127.9.8.7", "localhost", "LOCALHOST", "[::1]",
    ])
    func `goes to this machine`(host: String) throws {
        try LoadPlan(target: try LoadTarget("tcp://\(host):80")).validate()
    }

    @Test(arguments: [
        "example.com", "10.0.0.1", "0.0.0.0", "127.0.0.1.example.com", "127.1", "[::2]",
        "localhost.example.com",
    ])
    func `goes to no other machine unless that is allowed`(host: String) throws {
        var plan = LoadPlan(target: try LoadTarget("ws://\(host):80/"))
        let error = #expect(throws: LoadError.self) { try plan.validate() }
        #expect(error?.description.contains("--allow-remote") == true)
        #expect(throws: LoadError.self) { try LoadRun(plan) }
        plan.allowsRemote = true
        try plan.validate()
    }

    @Test func `speaks TLS where the target says so`() throws {
        for (url, isSecure) in [
            ("ws://localhost:1/a", false), ("WSS://localhost:1/a", true),
            ("tcp://localhost:1", false), ("tls://localhost:1", true),
        ] {
            #expect(try LoadTarget(url).isSecure == isSecure)
        }
        let plan = try SendLoadCommand.parse([
            "wss://localhost:1/", "--ca", "/ca.pem", "--cert", "/c.pem", "--key", "/c.key",
        ]).plan()
        #expect(plan.tls.authorities == .file("/ca.pem"))
        #expect(plan.tls.certificate == .files(chain: "/c.pem", key: "/c.key"))
        // What cannot be read is told before anything is sent.
        let error = #expect(throws: NetworkError.self) { _ = try LoadRun(plan) }
        #expect(error?.message.contains("/ca.pem") == true)
    }

    @Test(arguments: [
        (["ftp://127.0.0.1:1/"], "begins with none of ws://, tcp://, http://"),
        (["ws://127.0.0.1/"], "names no port"),
        (["ws://[::1]/"], "names no port"),
        (["tcp://127.0.0.1:0"], "1 to 65535"),
        (["tcp://127.0.0.1:99999"], "1 to 65535"),
        (["tcp://:80"], "names no host"),
        (["tcp://127.0.0.1:80/path"], "has no path"),
        (["tcp://127.0.0.1:80", "--rate", "0"], "--rate is 0"),
        (["tcp://127.0.0.1:80", "--rate", "nan"], "--rate is nan"),
        (["tcp://127.0.0.1:80", "--rate", "1000001"], "--rate is 1000001"),
        (["tcp://127.0.0.1:80", "--connections", "10001"], "--connections is 10001"),
        (["tcp://127.0.0.1:80", "--duration", "3601"], "--duration is 3601"),
        (["tcp://127.0.0.1:80", "--duration", "-1"], "--duration"),
        (["tcp://127.0.0.1:80", "--messages", "0"], "--messages is 0"),
        (["tcp://127.0.0.1:80", "--size", "0"], "--size is 0"),
        (["tcp://127.0.0.1:80", "--size", "100000"], "--size is 100000"),
        (["tcp://127.0.0.1:80", "--size", "5", "--message", "a"], "only one of"),
        (["tcp://127.0.0.1:80", "--message", "a\nb"], "line break"),
        (["tcp://127.0.0.1:80", "--message", "{{time}}"], "{{time}} is not known"),
        (["tcp://example.com:80"], "--allow-remote"),
        (["tls://127.0.0.1:80", "--cert", "a.pem"], "both of --cert and --key"),
        (["unix:"], "names no path"),
        (["http://127.0.0.1:80/a b"], "percent-encoded"),
        (["http://127.0.0.1:80/", "--expect-echo"], "--expect-echo is not for http://"),
        (["http://127.0.0.1:80/", "--acknowledge", "a"], "--acknowledge is for ws://"),
        (["http://127.0.0.1:80/", "--method", "GE T"], "is no method"),
        (["http://127.0.0.1:80/", "--header", "no colon"], "Name: value"),
        (["http://127.0.0.1:80/", "--header", "A: b\u{d}\nX: y"], "not allowed"),
        (["http://127.0.0.1:80/", "--header", "Content-Length: 1"], "by the load itself"),
        (["http://127.0.0.1:80/", "--content-type", "a\nb"], "not allowed"),
        (["http://127.0.0.1:80/", "--expect-status", "2xx,99"], "from 200 to 599"),
        (["http://127.0.0.1:80/", "--pipeline", "0"], "--pipeline is 0"),
        (["https://127.0.0.1:80/", "--unix-socket", "/a"], "not spoken over a Unix socket"),
        (["tcp://127.0.0.1:80", "--pipeline", "2"], "--pipeline is for http://"),
        (["tcp://127.0.0.1:80", "--unix-socket", "/a"], "--unix-socket is for http://"),
        (["tcp://127.0.0.1:80", "--steps", "1,x"], "write rates"),
        (["tcp://127.0.0.1:80", "--steps", "5,5"], "above the one before"),
        (["tcp://127.0.0.1:80", "--steps", "5,2000000"], "0.01 to"),
        (["tcp://127.0.0.1:80", "--ramp", "5"], "1000..20000"),
        (["tcp://127.0.0.1:80", "--ramp", "1..1000000/1"], "it can have 1000"),
        (["tcp://127.0.0.1:80", "--ramp", "1..2000000"], "--ramp's end is 2000000"),
        (["tcp://127.0.0.1:80", "--ramp", "9..5/1"], "1000..20000"),
        (["tcp://127.0.0.1:80", "--steps", "1,2", "--ramp", "1..2"], "only one of --steps"),
        (["tcp://127.0.0.1:80", "--steps", "1,2", "--rate", "3"], "only one of --rate"),
        (["tcp://127.0.0.1:80", "--steps", "1,2", "--duration", "3"], "--step-duration"),
        (["tcp://127.0.0.1:80", "--step-duration", "3"], "is for --steps"),
        (["tcp://127.0.0.1:80", "--until-late", "p99=5ms"], "is for --steps"),
        (["tcp://127.0.0.1:80", "--steps", "1", "--until-late", "p99=5ms"], "needs answers"),
        (["http://127.0.0.1:80/", "--steps", "1", "--until-late", "p98=5ms"], "such as p99=5ms"),
        (["http://127.0.0.1:80/", "--steps", "1", "--until-late", "p99=5"], "such as p99=5ms"),
        (["tcp://127.0.0.1:80", "--acknowledge", "a b"], "visible ASCII"),
        (["tcp://127.0.0.1:80", "--acknowledge", "a", "--expect-echo"], "only one of"),
        (["tcp://127.0.0.1:80", "--verify", "f"], "--verify needs --acknowledge"),
        (["tcp://127.0.0.1:80", "--acknowledge", "a", "--verify", "f"], "--verify-member"),
        (["tcp://127.0.0.1:80", "--verify-member", "f"], "is for --verify"),
        (["tcp://127.0.0.1:80", "--plot", "/tmp/plot.png"], "ends with .svg"),
    ])
    func `is refused with a sentence when an argument is wrong`(
        arguments: [String], text: String
    ) throws {
        let error = #expect(throws: (any Error).self) { try SendLoadCommand.parse(arguments) }
        #expect(SendLoadCommand.message(for: try #require(error)).contains(text))
    }

    @Test func `has a port where its scheme has one`() throws {
        #expect(try LoadTarget("http://localhost").port == 80)
        #expect(try LoadTarget("https://localhost/a?b=c#d").port == 443)
        #expect(try LoadTarget("https://localhost/a?b=c#d").path == "/a?b=c")
        #expect(try LoadTarget("http://localhost:8080?x").path == "/?x")
        #expect(try LoadTarget("unix:/tmp/a").unixPath == "/tmp/a")
        try LoadPlan(target: try LoadTarget("unix:/tmp/a")).validate()
    }

    @Test func `is bounded where nothing is said`() throws {
        let plan = try SendLoadCommand.parse(["tcp://127.0.0.1:80"]).plan()
        #expect(plan.connections == 10 && plan.rate == 1_000 && plan.duration == .seconds(10))
        #expect(plan.schedule.count == 10_000)
        #expect(!plan.allowsRemote)
    }

    @Test func `ends at the number of messages or the duration, whichever comes first`() throws {
        var plan = try SendLoadCommand.parse(["tcp://127.0.0.1:80", "--messages", "7"]).plan()
        #expect(plan.schedule.count == 7)
        plan.messages = 1_000_000
        #expect(plan.schedule.count == 10_000)
    }

    @Test func `spreads messages evenly, in bursts of 100 µs at high rates`() {
        let slow = Schedule(rate: 1_000, count: 10)
        #expect((0..<10).map { slow.offset(of: $0) } == (0..<10).map { $0 * 1_000_000 })
        let fast = Schedule(rate: 40_000, count: 10)
        #expect(
            (0..<10).map { fast.offset(of: $0) }
                == [0, 0, 0, 0, 100_000, 100_000, 100_000, 100_000, 200_000, 200_000])
    }

    @Test(arguments: [(100.0, 500.0), (500.0, 100.0)])
    func `changes its rate linearly on a ramp`(from: Double, to: Double) {
        let ramp = Schedule(from: from, to: to, seconds: 10)
        #expect(ramp.count == 3_000)
        func due(in second: Int) -> Int {
            (0..<ramp.count).count { ramp.offset(of: $0) / 1_000_000_000 == UInt64(second) }
        }
        for second in 0..<10 {
            // The rate in the middle of the second.
            let expected = from + (to - from) * (Double(second) + 0.5) / 10
            #expect(abs(Double(due(in: second)) - expected) <= 1.5)
        }
        let offsets = (0..<ramp.count).map { ramp.offset(of: $0) }
        #expect(offsets == offsets.sorted() && offsets[0] == 0)
        #expect(abs(ramp.length(of: ramp.count) - 10e9) < 1e6)
        #expect(abs(ramp.meanRate(of: ramp.count) - 300) < 0.1)
    }
}

@Suite struct `The messages of a load` {
    private func write(_ payload: Payload, seed: UInt64, _ count: Int) -> [String] {
        var writer = PayloadWriter(payload, seed: seed)
        var bytes: [UInt8] = []
        return (0..<count).map { sequence in
            writer.write(sequence, into: &bytes)
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    @Test func `are the same for the same seed, and differ from each other`() {
        let messages = write(.random(byteCount: 21), seed: 5, 50)
        #expect(messages == write(.random(byteCount: 21), seed: 5, 50))
        #expect(messages != write(.random(byteCount: 21), seed: 6, 50))
        #expect(Set(messages).count == 50)
        #expect(messages.allSatisfy { $0.utf8.count == 21 })
    }

    @Test func `fill in number, time and chance`() throws {
        let template = try MessageTemplate(
            #"{"a":{"n":{{ seq }}}},"at":"{{now}}","r":{{random}}}}"#)
        let messages = write(.templates([template]), seed: 1, 3)
        for (number, message) in messages.enumerated() {
            let match = try #require(
                message.wholeMatch(
                    of: /\{"a":\{"n":(\d+)\}\},"at":"([^"]+)","r":(\d+)\}\}/))
            #expect(match.1 == "\(number)")
            #expect(EventTime(rfc3339: match.2) != nil)
            #expect(Int(match.3).map { (0..<1_000_000).contains($0) } == true)
        }
    }

    @Test func `are the lines of a file, whatever else Unicode takes for a new line`() throws {
        let folder = try Folder()
        let lines = ["{\"a\":\"\u{2028}\u{85}\u{B}\"}", "b"]
        try (lines[0] + "\r\n\n" + lines[1] + "\n")
            .write(toFile: folder("messages"), atomically: true, encoding: .utf8)
        #expect(write(try SendLoadCommand.read(folder("messages")), seed: 1, 2) == lines)
    }

    @Test func `keep braces that enclose no place`() throws {
        let text = #"{"x":{"y":{"z":1}}}"#
        #expect(write(.templates([try MessageTemplate(text)]), seed: 1, 1) == [text])
    }

    @Test func `take templates in turn`() throws {
        let payload = Payload.templates([try MessageTemplate("a"), try MessageTemplate("b{{seq}}")])
        #expect(write(payload, seed: 1, 4) == ["a", "b1", "a", "b3"])
    }
}
