import Foundation

/// Looks for the numbers of acknowledged messages in the file of JSON lines that a service wrote.
struct Verification {
    /// Where the number is in a line: member names with dots between them.
    private let path: [String]
    private let acknowledged: SequenceSet
    private var seen: SequenceSet
    private var twice: SequenceSet
    private var carry: [UInt8] = []
    private var lines = 0
    private var otherLines = 0

    /// Begins with nothing read.
    ///
    /// - Parameter capacity: How many messages there were.
    init(member: String, acknowledged: SequenceSet, capacity: Int) {
        path = member.split(separator: ".").map(String.init)
        self.acknowledged = acknowledged
        seen = SequenceSet(capacity: capacity)
        twice = SequenceSet(capacity: capacity)
    }

    /// Takes what the file holds next, in any pieces.
    mutating func read(_ bytes: some Sequence<UInt8>) {
        carry.append(contentsOf: bytes)
        var start = 0
        while let end = carry[start...].firstIndex(of: UInt8(ascii: "\n")) {
            readLine(carry[start..<end])
            start = end + 1
        }
        carry.removeFirst(start)
    }

    /// The file has ended: a last line may lack its line break.
    mutating func finish() {
        readLine(carry[...])
        carry = []
    }

    private mutating func readLine(_ line: ArraySlice<UInt8>) {
        if line.allSatisfy({ $0 <= 0x20 }) { return }
        lines += 1
        guard let number = number(in: line) else {
            otherLines += 1
            return
        }
        if !seen.insert(number) {
            if seen.contains(number) { twice.insert(number) } else { otherLines += 1 }
        }
    }

    private func number(in line: ArraySlice<UInt8>) -> Int? {
        var value = try? JSONSerialization.jsonObject(with: Data(line), options: .fragmentsAllowed)
        for name in path { value = (value as? [String: Any])?[name] }
        if let text = value as? String { return Int(text) }
        return (value as? NSNumber).flatMap { Int(exactly: $0) }
    }

    /// Whether every acknowledged message was found.
    var isComplete: Bool { acknowledged.subtracting(seen, limit: 0).count == 0 }

    private static let listed = 20

    var report: VerificationReport {
        let missing = acknowledged.subtracting(seen, limit: Self.listed)
        let none = SequenceSet(capacity: 0)
        let duplicates = twice.subtracting(none, limit: Self.listed)
        return VerificationReport(
            member: path.joined(separator: "."), lines: lines, otherLines: otherLines,
            acknowledged: acknowledged.count, missing: missing.count,
            firstMissing: missing.first, duplicates: duplicates.count,
            firstDuplicates: duplicates.first,
            notAcknowledgedButFound: seen.subtracting(acknowledged, limit: 0).count)
    }
}

/// What was found in the file that a service wrote.
struct VerificationReport: Codable, Sendable, Equatable {
    /// The member of a line that holds the message's number.
    let member: String
    let lines: Int
    /// Lines without a number of this load.
    let otherLines: Int
    let acknowledged: Int
    let missing: Int
    let firstMissing: [Int]
    let duplicates: Int
    let firstDuplicates: [Int]
    /// Messages that are there though their acknowledgement has not come: no error.
    let notAcknowledgedButFound: Int

    var isGood: Bool { missing == 0 && duplicates == 0 }

    var text: String {
        func list(_ count: Int, _ first: [Int]) -> String {
            if count == 0 { return "0" }
            let more = count > first.count ? ", …" : ""
            return "\(count) (\(first.map(String.init).joined(separator: ", "))\(more))"
        }
        var text =
            "verification  \(acknowledged) acknowledged, \(lines) lines, missing "
            + list(missing, firstMissing) + ", duplicates " + list(duplicates, firstDuplicates)
        if otherLines > 0 { text += ", \(otherLines) lines without a \(member) of this load" }
        return text + (isGood ? ": each exactly once" : ": NOT EXACTLY ONCE")
    }
}

extension Verification {
    /// Reads a file, and what is appended to it, until every acknowledged message is there or the
    /// time is over.
    mutating func follow(_ path: String, for patience: Duration) async throws {
        let end = ContinuousClock.now + patience
        var file: FileHandle?
        defer { try? file?.close() }
        while true {
            if file == nil { file = FileHandle(forReadingAtPath: path) }
            while let data = try file?.read(upToCount: 1 << 20), !data.isEmpty { read(data) }
            if isComplete || ContinuousClock.now >= end { break }
            try await Task.sleep(for: .milliseconds(100))
        }
        if file == nil { throw LoadError("\(path) cannot be read") }
        finish()
    }
}
