import CZlib
import Foundation
import Histogram
import Testing

@testable import WeirTool

@Suite struct `A histogram file` {
    private func histogram(_ values: [(UInt64, UInt64)]) -> Histogram<UInt64> {
        var histogram = LoadRecord.emptyHistogram
        for (value, count) in values { histogram.record(value, count: count) }
        return histogram
    }

    /// Reads the counts of the format V2 by its description, to places in the array.
    private func counts(_ compressed: [UInt8]) throws -> [Int: UInt64] {
        func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
            bytes.reduce(0) { $0 << 8 | UInt64($1) }
        }
        #expect(number(compressed[0..<4]) == 0x1c84_9314)
        #expect(number(compressed[4..<8]) == UInt64(compressed.count - 8))
        var plain = [UInt8](repeating: 0, count: 1 << 20)
        var length = UInt(plain.count)
        let status = uncompress(
            &plain, &length, Array(compressed[8...]), UInt(compressed.count - 8))
        try #require(status == Z_OK)
        #expect(number(plain[0..<4]) == 0x1c84_9313)
        #expect(number(plain[4..<8]) == UInt64(length) - 40)
        #expect(number(plain[8..<12]) == 0 && number(plain[12..<16]) == 3)
        #expect(number(plain[16..<24]) == 1 && number(plain[24..<32]) == LoadRecord.latencyMax)
        #expect(Double(bitPattern: number(plain[32..<40])) == 1)
        var result: [Int: UInt64] = [:]
        var (position, place) = (40, 0)
        while position < Int(length) {
            var (value, shift): (UInt64, UInt64) = (0, 0)
            while true {
                let byte = UInt64(plain[position])
                position += 1
                if shift == 56 {
                    value |= byte << 56
                    break
                }
                value |= (byte & 0x7F) << shift
                shift += 7
                if byte & 0x80 == 0 { break }
            }
            let signed = Int64(bitPattern: value >> 1) ^ -Int64(value & 1)
            if signed < 0 {
                place += Int(-signed)
            } else {
                if signed > 0 { result[place] = UInt64(signed) }
                place += 1
            }
        }
        return result
    }

    @Test func `has the bytes that HdrHistogram's port to Python writes`() {
        let values: [(UInt64, UInt64)] = [
            (0, 1), (1, 2), (4, 1), (2_047, 5), (2_048, 1), (2_049, 1), (1_000_000, 300),
            (123_456_789, 70_000), (35_999_999_999_999, 1),
        ]
        let hexadecimal = HistogramEncoding.uncompressed(histogram(values))
            .map { String(format: "%02x", $0) }.joined()
        // Header: cookie, length, offset, digits, lowest and highest value, ratio.
        let header =
            "1c849313" + "00000016" + "00000000" + "00000003" + "0000000000000001"
            + "000020bde7364000" + "3ff0000000000000"
        #expect(hexadecimal == header + "02040302f31f0a04bf8e01d804f16ee0c508f5a20202")
    }

    @Test func `holds every count, at the place of its value`() throws {
        var values: [(UInt64, UInt64)] = []
        var state: UInt64 = 7
        for _ in 0..<2_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let magnitude = state >> 58
            values.append(
                (min(state >> (20 + magnitude / 2), LoadRecord.latencyMax), state % 9 + 1))
        }
        var expected: [Int: UInt64] = [:]
        for (value, count) in values {
            expected[HistogramEncoding.index(of: value), default: 0] += count
        }
        let encoded = HistogramEncoding.compressed(histogram(values))
        #expect(try counts(encoded) == expected)
        #expect(try counts(HistogramEncoding.compressed(histogram([]))) == [:])
    }

    @Test func `writes large counts in nine bytes at most`() {
        for (number, expected) in [
            (0, [0]), (-1, [1]), (1, [2]), (63, [126]), (64, [0x80, 1]), (-65, [0x81, 1]),
            (Int64.max, [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ] as [(Int64, [UInt8])] {
            var bytes: [UInt8] = []
            HistogramEncoding.append(zigzag: number, to: &bytes)
            #expect(bytes == expected)
        }
    }

    @Test func `finds places without a gap or an overlap`() {
        #expect(
            (0..<4_096).map { HistogramEncoding.index(of: $0) }
                == Array(0..<2_048) + (2_048..<4_096).map { 2_048 + ($0 - 2_048) / 2 })
        #expect(HistogramEncoding.index(of: 4_096) == 3_072)
    }

    @Test func `has a line for each second, and percentiles as text`() async throws {
        let target = try await HTTPTarget()
        let plan = try target.plan {
            $0.messages = 1_200; $0.rate = 1_000
        }
        let result = try await LoadRun(plan, keepsHistograms: true).measure()
        let lines = HistogramLog.text(.log, result).split(separator: "\n")
        #expect(lines[1] == "#[Histogram log format version 1.3]")
        #expect(lines[2].hasPrefix("#[StartTime: "))
        #expect(lines[3].hasPrefix("\"StartTimestamp\""))
        var total: UInt64 = 0
        var end = 0.0
        for line in lines.dropFirst(4) {
            let fields = line.split(separator: ",")
            try #require(fields.count == 4)
            let start = try #require(Double(fields[0]))
            #expect(abs(start - end) < 0.003)
            end = start + (Double(fields[1]) ?? 0)
            let bytes = [UInt8](try #require(Data(base64Encoded: String(fields[3]))))
            total += try counts(bytes).values.reduce(0, +)
        }
        #expect(total == 1_200 && lines.count >= 6)
        let text = HistogramLog.text(.percentiles, result)
        #expect(text.contains("1/(1-Percentile)") && text.contains("Total count    =         1200"))
        #expect(HistogramLog.Format(path: "a.HGRM") == .percentiles)
        await target.stop()
    }
}
