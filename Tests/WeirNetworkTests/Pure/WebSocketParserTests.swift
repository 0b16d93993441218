import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite struct `A WebSocket parser` {
    struct Rule: Sendable {
        let name: String
        let frames: [RawFrame]
        let expected: [Seen]
    }

    static let rules: [Rule] = accepted + refused + closes

    private static let accepted = [
        Rule(name: "empty text", frames: [.text("")], expected: [.text("")]),
        Rule(
            name: "two messages",
            frames: [.text("Hello"), RawFrame(opcode: 2, payload: [0, 255])],
            expected: [.text("Hello"), .binary([0, 255])]),
        Rule(
            name: "fragments with a ping between",
            frames: [
                .text("Hel", final: false), RawFrame(opcode: 9, payload: [1, 2]),
                RawFrame(final: false, opcode: 0, payload: Array("l".utf8)),
                RawFrame(opcode: 10), RawFrame(opcode: 0, payload: Array("o 日".utf8)),
            ], expected: [.ping([1, 2]), .pong([]), .text("Hello 日")]),
        Rule(
            name: "empty fragments",
            frames: [
                .text("", final: false), RawFrame(final: false, opcode: 0), RawFrame(opcode: 0),
            ],
            expected: [.text("")]),
        Rule(
            name: "a character over two fragments",
            frames: [
                RawFrame(final: false, opcode: 1, payload: [0xE6, 0x97]),
                RawFrame(opcode: 0, payload: [0xA5]),
            ], expected: [.text("日")]),
        Rule(
            name: "the longest ping", frames: [RawFrame(opcode: 9, payload: Array(0..<125))],
            expected: [.ping(Array(0..<125))]),
        Rule(
            name: "126 bytes", frames: [RawFrame(opcode: 2, payload: Array(0..<126))],
            expected: [.binary(Array(0..<126))]),
    ]

    private static let refused: [Rule] =
        [1, 2, 4, 7].map {
            Rule(
                name: "reserved bits \($0)", frames: [RawFrame(reserved: $0, opcode: 1)],
                expected: [.failure(1_002)])
        }
        + [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map {
            Rule(
                name: "opcode \($0)", frames: [.text("ok"), RawFrame(opcode: $0)],
                expected: [.text("ok"), .failure(1_002)])
        }
        + [8, 9, 10].flatMap { opcode in
            [
                Rule(
                    name: "fragmented control \(opcode)",
                    frames: [RawFrame(final: false, opcode: opcode)], expected: [.failure(1_002)]),
                Rule(
                    name: "long control \(opcode)",
                    frames: [RawFrame(opcode: opcode, payload: Array(repeating: 65, count: 126))],
                    expected: [.failure(1_002)]),
            ]
        } + [
            Rule(
                name: "unmasked", frames: [RawFrame(opcode: 1, key: nil)],
                expected: [.failure(1_002)]),
            Rule(
                name: "continuation of nothing", frames: [RawFrame(opcode: 0)],
                expected: [.failure(1_002)]),
            Rule(
                name: "continuation after the end",
                frames: [.text("a", final: false), RawFrame(opcode: 0), RawFrame(opcode: 0)],
                expected: [.text("a"), .failure(1_002)]),
            Rule(
                name: "text in a text", frames: [.text("a", final: false), .text("b")],
                expected: [.failure(1_002)]),
            Rule(
                name: "binary in a text",
                frames: [.text("a", final: false), RawFrame(opcode: 2)], expected: [.failure(1_002)]
            ),
            Rule(
                name: "125 in two bytes",
                frames: [
                    RawFrame(opcode: 2, payload: Array(repeating: 0, count: 125), lengthBytes: 2)
                ], expected: [.failure(1_002)]),
            Rule(
                name: "126 in eight bytes",
                frames: [
                    RawFrame(opcode: 2, payload: Array(repeating: 0, count: 126), lengthBytes: 8)
                ], expected: [.failure(1_002)]),
            Rule(
                name: "64-bit length",
                frames: [RawFrame(opcode: 2, lengthBytes: 8, announced: 1 << 63)],
                expected: [.failure(1_002)]),
            Rule(
                name: "frame above the limit",
                frames: [RawFrame(opcode: 2, announced: 2_000_000)], expected: [.failure(1_009)]),
            Rule(
                name: "invalid text", frames: [RawFrame(opcode: 1, payload: [0x61, 0xFF])],
                expected: [.failure(1_007)]),
            Rule(
                name: "text cut in a character",
                frames: [RawFrame(opcode: 1, payload: [0xE6, 0x97])],
                expected: [.failure(1_007)]),
            Rule(
                name: "invalid over two fragments",
                frames: [
                    RawFrame(final: false, opcode: 1, payload: [0xE6]),
                    RawFrame(opcode: 0, payload: [0x41]),
                ], expected: [.failure(1_007)]),
            Rule(
                name: "surrogate", frames: [RawFrame(opcode: 1, payload: [0xED, 0xA0, 0x80])],
                expected: [.failure(1_007)]),
        ]

    private static let closes: [Rule] =
        [Rule(name: "empty close", frames: [RawFrame(opcode: 8)], expected: [.close(1_005, "")])]
        + [
            1_000, 1_001, 1_002, 1_003, 1_007, 1_008, 1_009, 1_010, 1_011, 1_012, 1_013, 1_014,
            3_000, 4_999,
        ]
        .map { code in
            Rule(
                name: "close \(code)", frames: [.close(code, Array("bye".utf8)), .text("late")],
                expected: [.close(code, "bye")])
        }
        + [0, 999, 1_004, 1_005, 1_006, 1_015, 1_016, 1_100, 2_000, 2_999, 5_000, 65_535].map {
            code in
            Rule(
                name: "close \(code)", frames: [.close(code)],
                expected: [.failure(1_002)])
        } + [
            Rule(
                name: "close of one byte", frames: [RawFrame(opcode: 8, payload: [3])],
                expected: [.failure(1_002)]),
            Rule(
                name: "close with invalid reason", frames: [.close(1_000, [0xC0, 0x80])],
                expected: [.failure(1_007)]),
            Rule(
                name: "close with a cut reason", frames: [.close(1_000, [0xE6, 0x97])],
                expected: [.failure(1_007)]),
            Rule(
                name: "close inside a message", frames: [.text("a", final: false), .close(1_000)],
                expected: [.close(1_000, "")]),
        ]

    @Test(arguments: rules) func `sees the same over every cut`(_ rule: Rule) {
        let bytes = rule.frames.flatMap(\.bytes)
        #expect(parse([bytes]) == rule.expected, "\(rule.name)")
        #expect(parse(bytes.map { [$0] }) == rule.expected, "\(rule.name), byte by byte")
        for cut in 0...bytes.count {
            let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
            #expect(parse(pieces) == rule.expected, "\(rule.name), cut at \(cut)")
        }
    }

    @Test(arguments: rules) func `goes on after each stop without loss`(_ rule: Rule) {
        let bytes = rule.frames.flatMap(\.bytes)
        #expect(parse([bytes], stopping: { _ in true }) == rule.expected, "\(rule.name)")
        for cut in 0...bytes.count {
            let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
            #expect(parse(pieces, stopping: { $0 % 2 == 0 }) == rule.expected, "\(rule.name)")
        }
    }

    @Test func `reads unmasked frames as a client and refuses masked ones`() {
        let plain = RawFrame(opcode: 1, payload: Array("hi".utf8), key: nil).bytes
        #expect(parse([plain], role: .client) == [.text("hi")])
        #expect(parse([RawFrame.text("hi").bytes], role: .client) == [.failure(1_002)])
    }

    @Test func `reads random messages in random pieces as they were sent`() {
        var random = SplitMix64(seed: 3)
        for _ in 0..<60 {
            var expected: [Seen] = []
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let size = [0, 1, 100, 125, 126, 1_000, 65_535, 65_536].randomElement(
                    using: &random)
                let payload = random.bytes(size ?? 0)
                expected.append(.binary(payload))
                bytes += fragments(of: payload, &random)
            }
            var pieces: [[UInt8]] = []
            while !bytes.isEmpty {
                let size = min(bytes.count, Int.random(in: 1...70_000, using: &random))
                pieces.append(Array(bytes[..<size]))
                bytes.removeFirst(size)
            }
            #expect(parse(pieces) == expected)
        }
    }

    private func fragments(of payload: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        var cuts = (0..<Int.random(in: 0...3, using: &random))
            .map { _ in Int.random(in: 0...payload.count, using: &random) }.sorted()
        cuts.append(payload.count)
        var bytes: [UInt8] = []
        var begin = 0
        for (index, end) in cuts.enumerated() {
            bytes +=
                RawFrame(
                    final: index == cuts.count - 1, opcode: index == 0 ? 2 : 0,
                    payload: Array(payload[begin..<end]), key: random.bytes(4)
                ).bytes
            begin = end
        }
        return bytes
    }

    @Test func `bounds a message over all its fragments`() {
        var limits = WebSocketLimits()
        limits.maximumMessageLength = 10
        let first = RawFrame(final: false, opcode: 2, payload: Array(repeating: 1, count: 6))
        let fits = RawFrame(opcode: 0, payload: Array(repeating: 2, count: 4))
        let tooMuch = RawFrame(opcode: 0, payload: Array(repeating: 2, count: 5))
        #expect(parse([first.bytes + fits.bytes], limits: limits).count == 1)
        #expect(parse([first.bytes + fits.bytes], limits: limits) != [.failure(1_009)])
        #expect(parse([first.bytes + tooMuch.bytes], limits: limits) == [.failure(1_009)])
    }

    @Test func `fails at the first invalid byte of a text that is still coming`() {
        let bytes = RawFrame(opcode: 1, payload: Array("ab".utf8) + [0xFF], announced: 1_000).bytes
        #expect(parse([bytes]) == [.failure(1_007)])
    }

    @Test func `keeps no more than the part of a message that has come`() throws {
        var parser = WebSocketParser(role: .server)
        var bytes = RawFrame(opcode: 2, payload: [1, 2, 3], announced: 1_000_000).bytes
        _ = try bytes.withUnsafeMutableBytes { bytes throws(WebSocketProtocolError) in
            try parser.consume(bytes) { _ in .proceed }
        }
        #expect(parser.carriedByteCount == 3)
    }

    @Test(arguments: [0, 1, 125, 126, 65_535, 65_536, 100_000])
    func `reads what the encoder writes`(_ size: Int) {
        let payload = [UInt8](repeating: 0x61, count: size)
        let frame = payload.withUnsafeBytes { WebSocketFrame(.text, $0) }
        let plain = frame.bytes.withUnsafeBytes { Array($0) }
        let expected = [Seen.text(String(decoding: payload, as: UTF8.self))]
        #expect(parse([plain], role: .client) == expected)
        var masked = [UInt8](repeating: 0, count: size + 14)
        let count = masked.withUnsafeMutableBytes { target in
            payload.withUnsafeBytes {
                FrameEncoder.writeMasked(1, $0, key: 0xDEAD_BEEF, into: target)
            }
        }
        #expect(parse([Array(masked.prefix(count))]) == expected)
    }
}
