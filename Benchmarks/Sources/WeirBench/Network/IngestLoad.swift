/// The load of an ingest benchmark and what came of it: all that a server under test needs.
///
/// A side starts its server on a port of its choice, has what receives the messages report to
/// `tally`, calls `measure(port:)` once and stops its server.
struct IngestLoad: Sendable {
    enum Framing: String, Sendable {
        /// Four bytes of length, most significant first, then the payload.
        case lengthPrefixed = "generate-tcp"
        /// One masked WebSocket text frame a message; RFC 6455 handshake before, close after.
        case webSocket = "generate-websocket"
        /// One masked WebSocket text frame at a time on each connection, answered by the same text.
        case webSocketEcho = "generate-echo"
        /// A POST request a message, each after the answer to the one before.
        case http = "generate-http"

        /// How many connections the load comes over.
        var connections: Int { self == .http ? 64 : IngestLoad.connections }
    }

    static let connections = 8

    let framing: Framing
    let messages: Int
    let tally: IngestTally

    init(_ framing: Framing, messages: Int) {
        self.framing = framing
        self.messages = messages
        tally = IngestTally(messages: messages)
    }

    /// Runs the load generator against a port of this process, until every message is tallied.
    ///
    /// The time measured runs from the first message's sending to the last one's tally: the start
    /// of the generator, its connections and handshakes come before.
    func measure(port: Int) async throws -> Sample {
        let generator = try LoadGenerator(
            framing, port: port, messages: messages, connections: framing.connections)
        do {
            try await generator.ready()
            let watch = Stopwatch()
            try generator.start()
            let (count, checksum) = try await tally.total(within: .seconds(120))
            var sample = watch.sample(events: count, checksum: checksum)
            sample.generatorCPU = try await generator.finish()
            return sample
        } catch {
            generator.kill()
            throw error
        }
    }
}

/// The payloads of the ingest benchmarks: 100 ASCII bytes, of which the first eight are digits.
enum IngestPayload {
    static let length = 100
    /// What a generator writes at once, at most.
    static let blockLengthMax = 65_536

    static func bytes(_ number: Int) -> [UInt8] {
        let digits = String(number)
        let text = String(repeating: "0", count: 8 - digits.utf8.count) + digits
        let filler = (0..<(length - 8)).map { UInt8(ascii: "a") + UInt8($0 % 26) }
        return Array(text.utf8) + filler
    }

    /// What the sink adds to its sum: the first eight bytes, least significant first.
    static func value(_ number: Int) -> UInt64 {
        bytes(number).prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// How many of the messages the connection of this index sends.
    static func share(_ messages: Int, connection: Int, of connections: Int) -> Int {
        messages / connections + (connection < messages % connections ? 1 : 0)
    }

    /// The sum over all connections, each of which goes round the block's messages.
    static func checksum(
        _ messages: Int, perBlock: Int, connections: Int = IngestLoad.connections
    ) -> UInt64 {
        let values = (0..<perBlock).map(value)
        let whole = values.reduce(0, &+)
        var sum: UInt64 = 0
        for connection in 0..<connections {
            let count = share(messages, connection: connection, of: connections)
            sum &+= whole &* UInt64(count / perBlock)
            sum = values.prefix(count % perBlock).reduce(sum, &+)
        }
        return sum
    }
}
