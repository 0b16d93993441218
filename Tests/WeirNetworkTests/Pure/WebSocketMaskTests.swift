import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite struct `Masking a payload` {
    @Test func `agrees with the bytewise form for every length and offset`() {
        var random = SplitMix64(seed: 1)
        let keyBytes: [UInt8] = [0x12, 0xF4, 0x56, 0x9A]
        let key = keyBytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
        var wrong: [String] = []
        for length in 0...300 {
            for offset in 0..<8 {
                let original = random.bytes(length + offset)
                var masked = original
                masked.withUnsafeMutableBytes { bytes in
                    let part = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
                    _ = WebSocketMask.apply(part, key: WebSocketMask.rotated(key, by: offset))
                }
                let expected = original.enumerated().map { place, byte in
                    place < offset ? byte : byte ^ keyBytes[place % 4]
                }
                if masked != expected { wrong.append("length \(length), offset \(offset)") }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test func `tells whether the result is ASCII`() {
        var wrong: [String] = []
        for length in 1...100 {
            for place in 0..<length {
                var bytes = [UInt8](repeating: 0x41, count: length)
                let before = bytes.withUnsafeMutableBytes { WebSocketMask.apply($0, key: 0) }
                bytes[place] = 0x80
                let after = bytes.withUnsafeMutableBytes { WebSocketMask.apply($0, key: 0) }
                if !before || after { wrong.append("length \(length), place \(place)") }
            }
        }
        #expect(wrong.isEmpty)
    }
}

@Suite struct `Checking UTF-8` {
    static let valid: [[UInt8]] = [
        [], Array("plain".utf8), Array("κόσμε".utf8), Array("日本語".utf8), Array("🏞️👩‍👩‍👧".utf8),
        [0xC2, 0x80], [0xDF, 0xBF], [0xE0, 0xA0, 0x80], [0xED, 0x9F, 0xBF], [0xEE, 0x80, 0x80],
        [0xEF, 0xBF, 0xBF], [0xF0, 0x90, 0x80, 0x80], [0xF4, 0x8F, 0xBF, 0xBF], [0x00],
    ]
    /// Bytes with the place of the first one that cannot be right; `nil` for a cut character.
    static let invalid: [([UInt8], Int?)] = [
        ([0x80], 0), ([0xC0, 0x80], 0), ([0xC1, 0xBF], 0), ([0xC2, 0x41], 1), ([0xC2, 0xC2], 1),
        ([0xE0, 0x9F, 0xBF], 1), ([0xED, 0xA0, 0x80], 1), ([0xE2, 0x28, 0xA1], 1),
        ([0xF0, 0x8F, 0xBF, 0xBF], 1), ([0xF4, 0x90, 0x80, 0x80], 1),
        ([0xF5, 0x80, 0x80, 0x80], 0),
        ([0xFF], 0), ([0xFE], 0), ([0xF0, 0x9F, 0x41], 2), ([0xC2], nil), ([0xE2, 0x82], nil),
        ([0xF0, 0x9F, 0x8F], nil), (Array("abcdefghij".utf8) + [0xFF], 10),
    ]

    private func firstWrong(_ bytes: [UInt8], cutAt cut: Int) -> Int? {
        var check = UTF8Check()
        for (begin, end) in [(0, cut), (cut, bytes.count)] {
            for place in begin..<end
            where !bytes[place...place].withContiguous({ check.append($0) }) {
                return place
            }
        }
        return check.isComplete ? nil : bytes.count
    }

    @Test(arguments: valid) func `accepts valid text over every cut`(_ bytes: [UInt8]) {
        for cut in 0...bytes.count {
            var check = UTF8Check()
            #expect(bytes[..<cut].withContiguous { check.append($0) })
            #expect(bytes[cut...].withContiguous { check.append($0) })
            #expect(check.isComplete)
        }
    }

    @Test(arguments: invalid)
    func `fails at the first wrong byte`(_ bytes: [UInt8], _ place: Int?) {
        for cut in 0...bytes.count {
            #expect(firstWrong(bytes, cutAt: cut) == place ?? bytes.count)
            var check = UTF8Check()
            let isFine =
                bytes[..<cut].withContiguous { check.append($0) }
                && bytes[cut...].withContiguous { check.append($0) } && check.isComplete
            #expect(!isFine)
        }
    }

    @Test func `agrees with the standard library on random bytes`() {
        var random = SplitMix64(seed: 2)
        var wrong: [[UInt8]] = []
        let pieces: [[UInt8]] = Self.valid + Self.invalid.map(\.0)
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...6, using: &random)
            let bytes = (0..<count).flatMap { _ in pieces.randomElement(using: &random) ?? [] }
            var check = UTF8Check()
            let isFine = bytes[...].withContiguous { check.append($0) } && check.isComplete
            if isFine != (String(validating: bytes, as: UTF8.self) != nil) { wrong.append(bytes) }
        }
        #expect(wrong.isEmpty)
    }
}

extension ArraySlice<UInt8> {
    func withContiguous<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(body)
    }
}
