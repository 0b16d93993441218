import Weir

/// What the messages of a load hold.
enum Payload: Sendable, Equatable {
    /// Nothing: an HTTP request without a body.
    case empty
    /// Seeded letters and digits, different in each message.
    case random(byteCount: Int)
    /// Templates, used in turn.
    case templates([MessageTemplate])

    /// What an HTTP request says that it carries, unless another type is given.
    var mediaType: String? {
        switch self {
        case .empty: nil
        case .random: "text/plain"
        case .templates: "application/json"
        }
    }

    func validate(forLines: Bool) throws(LoadError) {
        switch self {
        case .empty: break
        case .random(let count):
            let most =
                forLines ? LineFraming.defaultMaximumLength : LoadPlan.Limits.messageByteCount
            guard (1...most).contains(count) else {
                throw LoadError("--size is \(count); it can be 1 to \(most)")
            }
        case .templates(let templates):
            guard !templates.isEmpty else { throw LoadError("there is no message in the file") }
            if forLines, templates.contains(where: { $0.hasLineBreak }) {
                throw LoadError(
                    "the message has a line break, which ends a message: give --framing length")
            }
        }
    }
}

/// A message with places that are filled in: `{{seq}}`, `{{now}}` and `{{random}}`.
struct MessageTemplate: Sendable, Equatable {
    private enum Piece: Sendable, Equatable {
        case text([UInt8])
        /// The message's number in the load, from 0.
        case sequence
        /// The time of sending, as in 2026-01-31T23:59:59.123Z.
        case now
        /// A seeded number from 0 to 999999.
        case random
    }

    private let pieces: [Piece]

    /// Reads a template.
    ///
    /// - Throws: A ``LoadError`` when it has a place of another name, or is too long or empty.
    init(_ text: some StringProtocol) throws(LoadError) {
        guard !text.isEmpty else { throw LoadError("the message is empty") }
        guard text.utf8.count <= LoadPlan.Limits.messageByteCount else {
            throw LoadError(
                "the message is longer than \(LoadPlan.Limits.messageByteCount) bytes")
        }
        var pieces: [Piece] = []
        var rest = Substring(text)
        while let open = rest.firstRange(of: "{{"),
            let close = rest[open.upperBound...].firstRange(of: "}}")
        {
            if open.lowerBound > rest.startIndex {
                pieces.append(.text(Array(rest[..<open.lowerBound].utf8)))
            }
            let name = rest[open.upperBound..<close.lowerBound].filter { $0 != " " }
            switch name {
            case "seq": pieces.append(.sequence)
            case "now": pieces.append(.now)
            case "random": pieces.append(.random)
            default:
                throw LoadError(
                    "{{\(name)}} is not known: there are {{seq}}, {{now}} and {{random}}")
            }
            rest = rest[close.upperBound...]
        }
        if !rest.isEmpty { pieces.append(.text(Array(rest.utf8))) }
        self.pieces = pieces
    }

    var hasLineBreak: Bool {
        pieces.contains { piece in
            if case .text(let bytes) = piece { bytes.contains(UInt8(ascii: "\n")) } else { false }
        }
    }

    /// The name of the JSON member that holds `{{seq}}`: what `"name":` stands before it.
    var sequenceMember: String? {
        guard let index = pieces.firstIndex(of: .sequence), index > 0,
            case .text(let bytes) = pieces[index - 1]
        else { return nil }
        // The number may stand in quotation marks.
        let text = String(decoding: bytes, as: UTF8.self)
        let match = text.firstMatch(of: /"([^"\\]+)"\s*:\s*"?$/)
        return match.map { String($0.1) }
    }

    func append(
        to bytes: inout [UInt8], sequence: Int, now: () -> String, random: inout SplitMix64
    ) {
        for piece in pieces {
            switch piece {
            case .text(let text): bytes.append(contentsOf: text)
            case .sequence: bytes.append(contentsOf: String(sequence).utf8)
            case .now: bytes.append(contentsOf: now().utf8)
            case .random: bytes.append(contentsOf: String(random.next() % 1_000_000).utf8)
            }
        }
    }
}

/// Writes the messages of a load, one after the other; equal seeds write equal messages.
struct PayloadWriter {
    private let payload: Payload
    private var random: SplitMix64

    init(_ payload: Payload, seed: UInt64) {
        self.payload = payload
        random = SplitMix64(seed: seed)
    }

    /// Replaces what is in `bytes` by the message of this number.
    mutating func write(_ sequence: Int, into bytes: inout [UInt8]) {
        bytes.removeAll(keepingCapacity: true)
        switch payload {
        case .empty: break
        case .random(let count):
            appendLetters(count, to: &bytes)
        case .templates(let templates):
            templates[sequence % templates.count].append(
                to: &bytes, sequence: sequence, now: { MonotonicTime.wallClockText },
                random: &random)
        }
    }

    private mutating func appendLetters(_ count: Int, to bytes: inout [UInt8]) {
        // 64 characters, so that six bits choose one without a bias.
        let letters: StaticString =
            "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
        letters.withUTF8Buffer { letters in
            bytes.reserveCapacity(count)
            while bytes.count < count {
                var bits = random.next()
                for _ in 0..<min(10, count - bytes.count) {
                    bytes.append(letters[Int(bits & 63)])
                    bits >>= 6
                }
            }
        }
    }
}
