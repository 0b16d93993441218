import WeirBinary

/// State of a key as an earlier version of the code has left it in a checkpoint.
public struct OldState {
    private let reader: BinaryReader

    init(_ reader: BinaryReader) {
        self.reader = reader
    }

    /// Decodes the state as the type it was.
    ///
    /// - Throws: `DecodingError` when it was another one.
    public func decode<Old: Decodable>(_ type: Old.Type) throws -> Old {
        var reader = reader
        guard let old = try reader.next(type) else {
            throw DecodingError.valueNotFound(
                type, .init(codingPath: [], debugDescription: "the checkpoint has no such state"))
        }
        return old
    }
}

/// Passes over a value of whatever type.
struct SkippedValue: Decodable {
    init(from decoder: any Decoder) {}
}

/// A handler can't take over state of an earlier version.
struct StateMigrationError: Error, CustomStringConvertible {
    let handler: String
    let version: Int
    let current: Int

    var description: String {
        "it has version \(version) and \(handler) has \(current): implement "
            + "\(handler).migrate(_:from:)"
    }
}
