/// A value of a document as the scanner found it.
struct Token {
    enum Kind: UInt8 {
        /// No value, or a member that its shape has and the value has not.
        case absent
        case null, no, yes
        case unsigned, negative, wideSigned, wideUnsigned
        case float, double
        case string
        /// A string that is the name of the next token.
        case name
        case array, map, object, run
    }

    /// An integer, or the bits of a float; of containers the cursor and the number of elements.
    var payload: UInt64 = 0
    /// Where the value starts, or the text of a string.
    var offset: UInt32 = 0
    /// The length of a string, or the index past the tokens of a container.
    var extent: UInt32 = 0
    /// The shape of an object, the tag of a run, or the number of a map's index plus one.
    var detail: UInt32 = 0
    var kind: Kind

    static let absent = Token(kind: .absent)
    /// What `detail` has besides its shape if the members of an object have one token each.
    static let flat: UInt32 = 1 << 31

    @inline(__always) var shape: Int { Int(detail & ~Self.flat) }

    @inline(__always) var isContainer: Bool { kind.rawValue >= Kind.array.rawValue }
    /// The number of elements of an array, a map or a run.
    @inline(__always) var elements: Int { Int(truncatingIfNeeded: payload & 0xFFFF_FFFF) }

    /// What an error calls it.
    var name: String {
        switch kind {
        case .absent: "nothing"
        case .null: "null"
        case .no, .yes: "a boolean"
        case .unsigned, .negative, .wideSigned, .wideUnsigned: "an integer"
        case .float, .double: "a floating-point number"
        case .string, .name: "a string"
        case .array, .run: "an array"
        case .map, .object: "a keyed value"
        }
    }

    /// Reads an element of a run, and moves past it; nil where the bytes end before it does.
    @inline(__always)
    static func element(
        ofRun run: UInt8, _ bytes: UnsafePointer<UInt8>, _ offset: inout Int, end: Int
    ) -> Token? {
        guard offset < end else { return nil }
        var token = Token(offset: UInt32(truncatingIfNeeded: offset), kind: .unsigned)
        // Safety: each case has checked that its bytes are there; any alignment will do.
        let raw = UnsafeRawPointer(bytes + offset)
        switch run {
        case Tag.bytes:
            token.payload = UInt64(bytes[offset])
            offset &+= 1
        case Tag.boolRun:
            guard bytes[offset] < 2 else { return nil }
            token.kind = bytes[offset] == 0 ? .no : .yes
            offset &+= 1
        case Tag.floatRun:
            guard end &- offset >= 4 else { return nil }
            token.kind = .float
            token.payload = UInt64(UInt32(littleEndian: raw.loadUnaligned(as: UInt32.self)))
            offset &+= 4
        case Tag.doubleRun:
            guard end &- offset >= 8 else { return nil }
            token.kind = .double
            token.payload = UInt64(littleEndian: raw.loadUnaligned(as: UInt64.self))
            offset &+= 8
        default:
            guard let value = Varint.read(bytes, &offset, end: end) else { return nil }
            token.payload = value
            if run == Tag.signedRun {
                let signed = Varint.unzigzag(value)
                token.kind = signed < 0 ? .negative : .unsigned
                token.payload = UInt64(bitPattern: signed < 0 ? ~signed : signed)
            }
        }
        return token
    }

    /// The bytes of a run of so many elements, if they all have the same size.
    @inline(__always)
    static func size(ofRun run: UInt8) -> Int? {
        switch run {
        case Tag.bytes, Tag.boolRun: 1
        case Tag.floatRun: 4
        case Tag.doubleRun: 8
        default: nil
        }
    }
}

/// Where a value stands: its token, or an element of a run by the token and its offset.
struct Place: Sendable {
    var token: Int32
    /// The offset of an element of a run, or −1.
    var element: Int32 = -1

    static let root = Place(token: 0)
    static let absent = Place(token: -1)
}
