import WeirJSON
import WeirJournal

/// What a complete checkpoint consists of: written last, as one line of JSON and one with its
/// checksum.
package struct Manifest: Codable, Sendable {
    /// A piece of state in a part.
    package struct State: Codable, Sendable, Hashable {
        package var id: String
        package var contents: String
        package var isKeyed: Bool
        /// How many there are that a new run doesn't have.
        package var entries: Int
        /// The version of what is in it; 1 when nil.
        package var version: Int?
    }

    /// What one instance of a stage has contributed.
    package struct Part: Codable, Sendable {
        package var stage: String
        package var instance: Int
        package var parallelism: Int
        package var file: String
        package var bytes = 0
        package var sections = 0
        package var watermark: Int64
        /// Of each input of a stage with several channels, the watermarks of its channels.
        package var inputs: [[Int64]]?
        package var random: UInt64
        package var hasEnded: Bool
        package var position: SourcePosition?
        package var states: [State] = []
    }

    package static let currentFormat = 1

    package var format = Manifest.currentFormat
    package var topology: String
    package var checkpoint: Int
    package var savepoint: String?
    /// Nanoseconds since 1970.
    package var takenAt: Int64
    /// Whether all inputs had ended.
    package var hasEnded: Bool
    package var parts: [Part]

    package func encoded() throws -> [UInt8] {
        var bytes: [UInt8] = []
        try JSONEventEncoder().encode(self, into: &bytes)
        let sum = bytes.withUnsafeBytes { Checksum.of($0) }
        bytes.append(0x0A)
        bytes.append(contentsOf: "crc32c \(String(sum, radix: 16))\n".utf8)
        return bytes
    }

    /// - Throws: A text that says what is wrong with the bytes.
    package static func decode(_ bytes: [UInt8]) throws(ManifestProblem) -> Manifest {
        guard let end = bytes.firstIndex(of: 0x0A) else {
            throw ManifestProblem(description: "it has no end")
        }
        let json = Array(bytes[..<end])
        let sum = json.withUnsafeBytes { Checksum.of($0) }
        guard Array(bytes[(end + 1)...]) == Array("crc32c \(String(sum, radix: 16))\n".utf8) else {
            throw ManifestProblem(description: "its checksum is wrong")
        }
        do {
            let manifest = try JSONEventDecoder().decode(Manifest.self, from: json)
            guard manifest.format == currentFormat else {
                throw ManifestProblem(
                    description:
                        "its format is \(manifest.format), this Weir reads \(currentFormat)")
            }
            return manifest
        } catch let problem as ManifestProblem {
            throw problem
        } catch {
            throw ManifestProblem(description: "\(error)")
        }
    }
}

package struct ManifestProblem: Error, CustomStringConvertible {
    package let description: String
}
