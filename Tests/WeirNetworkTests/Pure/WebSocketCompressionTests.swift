import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite struct `Compressed WebSocket messages` {
    private static let agreement = DeflateAgreement(sending: WebSocketCompression())

    /// The frames of RFC 7692, section 7.2.3, all of a message "Hello".
    static let examples: [(name: String, bytes: [UInt8], count: Int)] = [
        ("one block", [0xC1, 0x07, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], 1),
        (
            "two fragments",
            [0x41, 0x03, 0xF2, 0x48, 0xCD, 0x80, 0x04, 0xC9, 0xC9, 0x07, 0x00], 1
        ),
        (
            "with the window of the message before",
            [0xC1, 0x07, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
                + [0xC1, 0x05, 0xF2, 0x00, 0x11, 0x00, 0x00], 2
        ),
        (
            "a block that is not compressed",
            [0xC1, 0x0B, 0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00], 1
        ),
        (
            "a final block, and a message after it",
            [0xC1, 0x08, 0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00]
                + [0xC1, 0x07, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], 2
        ),
        (
            "two blocks",
            [0xC1, 0x0D, 0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF]
                + [0xCA, 0xC9, 0xC9, 0x07, 0x00], 1
        ),
        (
            "after one that is sent as it is",
            [0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F]
                + [0xC1, 0x07, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], 2
        ),
    ]

    @Test(arguments: 0..<examples.count) func `of the RFC are read over every cut`(_ index: Int) {
        let (name, bytes, count) = Self.examples[index]
        let expected = [Seen](repeating: .text("Hello"), count: count)
        for cut in 0...bytes.count {
            let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
            let seen = parse(pieces, role: .client, agreement: Self.agreement)
            #expect(seen == expected, "\(name), cut at \(cut)")
        }
        let single = bytes.map { [$0] }
        #expect(parse(single, role: .client, agreement: Self.agreement) == expected, "\(name)")
    }

    @Test(arguments: [
        // A control frame, a continuation, the other reserved bits.
        [RawFrame(reserved: 4, opcode: 9)], [RawFrame(reserved: 4, opcode: 8)],
        [RawFrame.text("a", final: false), RawFrame(reserved: 4, opcode: 0)],
        [RawFrame(reserved: 2, opcode: 1)], [RawFrame(reserved: 6, opcode: 1)],
    ]) func `have their bit in the first frame only`(_ frames: [RawFrame]) {
        let seen = parse([frames.flatMap(\.bytes)], agreement: Self.agreement)
        #expect(seen == [.failure(1_002)])
    }

    @Test func `may have a ping between their fragments`() {
        let frames = [
            RawFrame(final: false, reserved: 4, opcode: 1, payload: [0xF2, 0x48, 0xCD]),
            RawFrame(opcode: 9, payload: [7]),
            RawFrame(opcode: 0, payload: [0xC9, 0xC9, 0x07, 0x00]),
        ]
        let seen = parse([frames.flatMap(\.bytes)], agreement: Self.agreement)
        #expect(seen == [.ping([7]), .text("Hello")])
    }

    @Test(
        arguments: [
            // A reserved block type, half a message, bytes behind a final block, an empty payload.
            [0x07, 0xFF], [0xF2, 0x48, 0xCD], [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], [],
        ] as [[UInt8]]) func `that are no DEFLATE close with 1007`(_ payload: [UInt8])
    {
        let bytes = RawFrame(reserved: 4, opcode: 2, payload: payload).bytes
        #expect(parse([bytes], agreement: Self.agreement) == [.failure(1_007)])
        #expect(parse(bytes.map { [$0] }, agreement: Self.agreement) == [.failure(1_007)])
    }

    @Test func `that expand to invalid text close with 1007`() throws {
        let wrong = try compressed([0x61, 0xFF], WebSocketCompression())
        let bytes = RawFrame(reserved: 4, opcode: 1, payload: wrong).bytes
        #expect(parse([bytes], agreement: Self.agreement) == [.failure(1_007)])
        let cut = try compressed([0xE6, 0x97], WebSocketCompression())
        let half = RawFrame(reserved: 4, opcode: 1, payload: cut).bytes
        #expect(parse([half], agreement: Self.agreement) == [.failure(1_007)])
    }

    // MARK: Limits

    @Test func `close with 1009 at the limit, not beyond`() throws {
        let bomb = try compressed([UInt8](repeating: 0, count: 10 << 20), WebSocketCompression())
        #expect(bomb.count < 20_000)
        let frame = RawFrame(reserved: 4, opcode: 2, payload: bomb).bytes
        #expect(parse([frame], agreement: Self.agreement) == [.failure(1_009)])
        var limits = WebSocketLimits()
        limits.maximumMessageLength = 10 << 20
        #expect(parse([frame], limits: limits, agreement: Self.agreement).count == 1)
        #expect(
            parse([frame], limits: limits, agreement: Self.agreement) != [.failure(1_009)])
    }

    @Test(arguments: [0, 1, 999, 16_384, 100_000])
    func `expand no byte more than there is room for`(_ room: Int) throws {
        var bomb = try compressed([UInt8](repeating: 0, count: 200_000), WebSocketCompression())
        let inflater = Inflater(windowBits: 15, keepsWindow: true)
        var count = 0
        var failure: WebSocketProtocolError?
        bomb.withUnsafeMutableBytes { bytes in
            do throws(WebSocketProtocolError) {
                try inflater.expand(bytes, isLast: true, room: room) {
                    part throws(WebSocketProtocolError) in
                    count += part.count
                }
            } catch {
                failure = error
            }
        }
        #expect(count == room)
        #expect(failure?.code == .messageTooBig)
    }

    @Test func `may have exactly the length of the limit`() throws {
        var limits = WebSocketLimits()
        limits.maximumMessageLength = 1_000
        let payload = [UInt8](repeating: 65, count: 1_000)
        let fits = try compressed(payload, WebSocketCompression())
        let frame = RawFrame(reserved: 4, opcode: 2, payload: fits).bytes
        #expect(parse([frame], limits: limits, agreement: Self.agreement) == [.binary(payload)])
    }

    // MARK: Both ways

    @Test(arguments: 9...15, [true, false])
    func `come back as they were, with every window`(_ bits: Int, _ keepsWindow: Bool) throws {
        var random = SplitMix64(seed: UInt64(bits))
        var compression = WebSocketCompression()
        compression.windowBits = bits
        compression.keepsWindow = keepsWindow
        compression.memoryLevel = Int.random(in: 1...9, using: &random)
        compression.level = Int.random(in: 1...9, using: &random)
        let deflater = try #require(Deflater(compression))
        var agreement = DeflateAgreement(sending: compression)
        agreement.receiveWindowBits = bits
        agreement.peerKeepsWindow = keepsWindow
        var stream: [UInt8] = []
        var expected: [Seen] = []
        for size in [1, 2, 100, 5_000, 70_000, 300_000, 3] {
            let payload = Self.payload(size, &random)
            let packed = try #require(
                payload.withUnsafeBytes { deflater.compress($0) { Array($0) } })
            stream += RawFrame(reserved: 4, opcode: 2, payload: packed).bytes
            expected.append(.binary(payload))
        }
        #expect(parse([stream], agreement: agreement) == expected)
        var pieces: [[UInt8]] = []
        while !stream.isEmpty {
            let size = min(stream.count, Int.random(in: 1...40_000, using: &random))
            pieces.append(Array(stream[..<size]))
            stream.removeFirst(size)
        }
        #expect(parse(pieces, agreement: agreement) == expected)
    }

    /// Words that repeat, with noise between.
    private static func payload(_ size: Int, _ random: inout SplitMix64) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < size {
            bytes += Array(#"{"card":"4111","amount":"#.utf8)
            bytes += random.bytes(Int.random(in: 0...30, using: &random))
        }
        return Array(bytes.prefix(size))
    }

    @Test func `don't refer to one that was not sent`() throws {
        var random = SplitMix64(seed: 5)
        let (lost, sent) = (random.bytes(2_000), random.bytes(500))
        let deflater = try #require(Deflater(WebSocketCompression()))
        _ = lost.withUnsafeBytes { deflater.compress($0) { _ in } }
        deflater.forget()
        let message = lost + sent
        let packed = try #require(message.withUnsafeBytes { deflater.compress($0) { Array($0) } })
        let frame = RawFrame(reserved: 4, opcode: 2, payload: packed).bytes
        #expect(parse([frame], agreement: Self.agreement) == [.binary(message)])
    }

    private func compressed(
        _ bytes: [UInt8], _ compression: WebSocketCompression
    ) throws -> [UInt8] {
        let deflater = try #require(Deflater(compression))
        return try #require(bytes.withUnsafeBytes { deflater.compress($0) { Array($0) } })
    }
}
