import ArgumentParser
import CLoad
import CMeasure
import Foundation

/// Sends length-prefixed messages over TCP; started by `LoadGenerator`.
struct GenerateTCP: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate-tcp", shouldDisplay: false)
    @OptionGroup var load: GeneratorOptions

    /// Messages in a block of at most 64 KiB.
    static let perBlock = IngestPayload.blockLengthMax / (4 + IngestPayload.length)

    func run() throws {
        let header: [UInt8] = [0, 0, 0, UInt8(IngestPayload.length)]
        let block = (0..<Self.perBlock).flatMap { header + IngestPayload.bytes($0) }
        try load.send(block: block, frameLength: 4 + IngestPayload.length, tail: [])
    }
}

/// Sends masked WebSocket text messages; started by `LoadGenerator`.
struct GenerateWebSocket: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate-websocket", shouldDisplay: false)
    @OptionGroup var load: GeneratorOptions

    static let frameLength = 2 + 4 + IngestPayload.length
    static let perBlock = IngestPayload.blockLengthMax / frameLength
    static let path = "/events"

    func run() throws {
        var random = SplitMix64(seed: 11)
        let block = (0..<Self.perBlock).flatMap { number in
            Self.frame(opcode: 0x1, IngestPayload.bytes(number), &random)
        }
        let close = Self.frame(opcode: 0x8, [0x03, 0xE8], &random)
        try load.send(
            block: block, frameLength: Self.frameLength, tail: close
        ) { try Self.handshake($0, port: load.port) }
    }

    /// A final frame with a mask of its own, its payload shorter than 126 bytes.
    static func frame(
        opcode: UInt8, _ payload: [UInt8], _ random: inout SplitMix64
    ) -> [UInt8] {
        let mask = (0..<4).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let masked = payload.enumerated().map { index, byte in byte ^ mask[index & 3] }
        return [0x80 | opcode, 0x80 | UInt8(payload.count)] + mask + masked
    }

    /// - Parameters:
    ///   - extensions: The value of `Sec-WebSocket-Extensions`; nil for no such header.
    /// - Returns: The head of the answer.
    @discardableResult
    static func handshake(
        _ socket: Int32, port: UInt16, extensions: String? = nil
    ) throws -> String {
        let further = extensions.map { "Sec-WebSocket-Extensions: \($0)\r\n" } ?? ""
        let request = """
            GET \(path) HTTP/1.1\r
            Host: 127.0.0.1:\(port)\r
            Upgrade: websocket\r
            Connection: Upgrade\r
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
            Sec-WebSocket-Version: 13\r
            \(further)\r

            """
        var answer = [UInt8](repeating: 0, count: 4_096)
        let bytes = Array(request.utf8)
        let length = cload_exchange(socket, bytes, bytes.count, &answer, answer.count)
        let text = String(decoding: answer.prefix(max(0, Int(length))), as: UTF8.self)
        guard text.hasPrefix("HTTP/1.1 101 ") else {
            throw MeasurementError(description: "no WebSocket handshake (\(length)): \(text)")
        }
        return text
    }
}

/// Sends a WebSocket message over each connection whenever the one before has come back; started by
/// `LoadGenerator`.
struct GenerateEcho: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate-echo", shouldDisplay: false)
    @OptionGroup var load: GeneratorOptions

    func run() throws {
        var random = SplitMix64(seed: 13)
        let payload = Array(EchoLoad.payload.utf8)
        let frame = GenerateWebSocket.frame(opcode: 0x1, payload, &random)
        let answer = [0x81, UInt8(payload.count)] + payload
        let sockets = try (0..<load.connections).map { _ in
            let socket = try load.connect()
            try GenerateWebSocket.handshake(socket, port: load.port)
            return socket
        }
        defer { sockets.forEach { cload_close($0) } }
        try load.measured {
            cload_echo(
                sockets, sockets.count, frame, frame.count, answer, answer.count,
                UInt64(load.messages))
        }
    }
}

/// Sends POST requests, one at a time on each connection; started by `LoadGenerator`.
struct GenerateHTTP: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate-http", shouldDisplay: false)
    @OptionGroup var load: GeneratorOptions

    static let path = "/events"
    static let perBlock = 256

    func run() throws {
        let head = """
            POST \(Self.path) HTTP/1.1\r
            Host: 127.0.0.1:8080\r
            User-Agent: weir-bench\r
            Accept: */*\r
            Content-Type: application/json\r
            Content-Length: \(IngestPayload.length)\r
            \r

            """
        let block = (0..<Self.perBlock).flatMap { Array(head.utf8) + IngestPayload.bytes($0) }
        try load.send(
            block: block, frameLength: head.utf8.count + IngestPayload.length, tail: [],
            isClosedLoop: true)
    }
}

/// The arguments of the load generators, and what they have in common.
struct GeneratorOptions: ParsableArguments {
    @Option var port: UInt16
    @Option var messages: Int
    @Option var connections: Int

    /// Connects, waits for the word to begin, sends the load and says what it took.
    func send(
        block: [UInt8], frameLength: Int, tail: [UInt8], isClosedLoop: Bool = false,
        handshake: (Int32) throws -> Void = { _ in }
    ) throws {
        var connections = try (0..<self.connections).map { index in
            let socket = try connect()
            try handshake(socket)
            let share = IngestPayload.share(
                messages, connection: index, of: self.connections)
            return cload_connection(socket: socket, sent: 0, total: UInt64(share * frameLength))
        }
        defer { connections.forEach { cload_close($0.socket) } }
        try measured {
            isClosedLoop
                ? cload_ask(&connections, connections.count, block, block.count, frameLength)
                : cload_pump(&connections, connections.count, block, block.count, tail, tail.count)
        }
    }

    /// Waits for the word to begin, does the work and says what processor time it took.
    func measured(_ work: () -> Int32) throws {
        try say("ready")
        guard try FileHandle.standardInput.read(upToCount: 1)?.count == 1 else { return }
        let before = CPUTime.process
        let code = work()
        guard code == 0 else {
            throw MeasurementError(description: "load: \(String(cString: strerror(code)))")
        }
        let used = CPUTime.process - before
        try say("sent \(Int64(used.user)) \(Int64(used.system))")
        _ = try FileHandle.standardInput.readToEnd()
    }

    func connect() throws -> Int32 { try Self.connect(to: port) }

    /// - Parameter source: The address to connect from, as a number; 0 for any.
    static func connect(to port: UInt16, from source: UInt32 = 0) throws -> Int32 {
        let socket = cload_connect(port, source)
        guard socket >= 0 else {
            let reason = String(cString: strerror(-socket))
            throw MeasurementError(description: "connect: \(reason)")
        }
        return socket
    }

    private func say(_ line: String) throws {
        try FileHandle.standardOutput.write(contentsOf: Data("\(line)\n".utf8))
    }
}
