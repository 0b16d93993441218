import CZlib
import Foundation
import Histogram

/// The compressed form V2 of HdrHistogram, which its ports in all languages read.
///
/// A cookie and the length of a zlib stream; in that a header of 40 bytes and the counts in their
/// array's order, each a zigzag LEB128 number of at most nine bytes, runs of zeros as one negative
/// number.
enum HistogramEncoding {
    // 0x10 says that the counts are of variable length.
    private static let cookie: UInt32 = 0x1c84_9303 | 0x10
    private static let compressedCookie: UInt32 = 0x1c84_9304 | 0x10
    private static let significantDigits: UInt32 = 3
    /// The array's first 2,048 places are for one value each, from there 1,024 for each doubling.
    private static let subBucketMagnitude = 11

    /// Encodes a histogram of three digits whose smallest unit is 1.
    static func compressed(_ histogram: Histogram<UInt64>) -> [UInt8] {
        let plain = uncompressed(histogram)
        var length = compressBound(UInt(plain.count))
        var bytes = [UInt8](repeating: 0, count: Int(length))
        // It fails only without memory, or when the buffer is too small, which the bound excludes.
        let status = compress2(&bytes, &length, plain, UInt(plain.count), Z_DEFAULT_COMPRESSION)
        guard status == Z_OK else { return [] }
        var result: [UInt8] = []
        append(compressedCookie, to: &result)
        append(UInt32(length), to: &result)
        result.append(contentsOf: bytes.prefix(Int(length)))
        return result
    }

    static func uncompressed(_ histogram: Histogram<UInt64>) -> [UInt8] {
        var counts: [UInt8] = []
        var next = 0
        for entry in histogram.recordedValues() {
            let index = index(of: entry.value)
            let zeros = index - next
            if zeros == 1 {
                append(zigzag: 0, to: &counts)
            } else if zeros > 1 {
                append(zigzag: -Int64(zeros), to: &counts)
            }
            append(zigzag: Int64(clamping: entry.count), to: &counts)
            next = index + 1
        }
        // An empty histogram has one zero.
        if counts.isEmpty { append(zigzag: 0, to: &counts) }
        var result: [UInt8] = []
        append(cookie, to: &result)
        append(UInt32(counts.count), to: &result)
        append(UInt32(0), to: &result)
        append(significantDigits, to: &result)
        append(histogram.lowestDiscernibleValue, to: &result)
        append(histogram.highestTrackableValue, to: &result)
        append(1.0.bitPattern, to: &result)
        return result + counts
    }

    /// A value's place in the array of counts.
    static func index(of value: UInt64) -> Int {
        let mask: UInt64 = 1 << UInt64(subBucketMagnitude) - 1
        let bucket = UInt64.bitWidth - (value | mask).leadingZeroBitCount - subBucketMagnitude
        let half = 1 << (subBucketMagnitude - 1)
        return (bucket + 1) * half + Int(value >> UInt64(bucket)) - half
    }

    private static func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    static func append(zigzag number: Int64, to bytes: inout [UInt8]) {
        var rest = UInt64(bitPattern: number << 1 ^ number >> 63)
        // The ninth byte holds eight bits, so that 64 fit.
        for _ in 0..<8 {
            if rest < 0x80 { break }
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}
