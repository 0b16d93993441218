/// One entry of the tape: a value, a key, or one of the two entries of an array or object.
///
/// An array or object takes two tokens. The first has the offset of its bracket, its parent's
/// index in `extent`, and in `payload` the index past its last token (low half) and, for an
/// object, the index of the key that is expected next (high half). The second has the place in
/// the parent in `offset` (the key's index in an object, the ordinal in an array), the number of
/// elements in `extentAndKind`, and in `payload` the ``KeyOrder`` of an object.
struct Token {
    enum Kind {
        static let null: UInt32 = 0
        static let yes: UInt32 = 1
        static let no: UInt32 = 2
        /// A whole number of 0...UInt64.max, in `payload`.
        static let unsigned: UInt32 = 3
        /// A whole number below zero, its magnitude in `payload`.
        static let negative: UInt32 = 4
        /// Any other number whose nearest Double is known: its bits are in `payload`.
        static let double: UInt32 = 5
        /// A number that is left as text.
        static let number: UInt32 = 6
        /// A string of ASCII without escapes; a key has its fingerprint in `payload`.
        static let ascii: UInt32 = 7
        /// A string of valid UTF-8 without escapes.
        static let utf8: UInt32 = 8
        /// A string with escapes, which are valid.
        static let escaped: UInt32 = 9
        static let object: UInt32 = 10
        static let array: UInt32 = 11
        /// No value at all: what a super decoder of an absent key stands on.
        static let missing: UInt32 = 12
    }

    /// What is known of the keys of an object.
    enum KeyOrder {
        /// Two keys may be equal: to be checked before the first look-up.
        static let unchecked: UInt64 = 0
        /// All keys are ASCII without escapes, and differ.
        static let distinct: UInt64 = 1
        /// Look-ups need an index, which is not built yet.
        static let complex: UInt64 = 2
        /// The number of the object's index is the rest, shifted by 8.
        static let indexed: UInt64 = 3
    }

    var offset: UInt32
    var extentAndKind: UInt32
    var payload: UInt64

    @inline(__always)
    init(offset: UInt32, extentAndKind: UInt32, payload: UInt64) {
        self.offset = offset
        self.extentAndKind = extentAndKind
        self.payload = payload
    }

    @inline(__always)
    init(_ kind: UInt32, offset: Int, extent: Int = 0, payload: UInt64 = 0) {
        self.offset = UInt32(truncatingIfNeeded: offset)
        self.extentAndKind = UInt32(truncatingIfNeeded: extent) << 4 | kind
        self.payload = payload
    }

    @inline(__always) var kind: UInt32 { extentAndKind & 15 }

    /// The length in bytes of a string (without its quotes) or number, or a container's parent.
    @inline(__always) var extent: Int { Int(extentAndKind >> 4) }

    /// The index past the last token of a container.
    @inline(__always) var end: Int { Int(UInt32(truncatingIfNeeded: payload)) }

    /// The index of the key that is expected next in an object.
    @inline(__always) var cursor: Int { Int(payload >> 32) }

    @inline(__always) var isContainer: Bool { kind == Kind.object || kind == Kind.array }

    static let absent = Token(Kind.missing, offset: 0)

    /// What an error message calls a value of this kind.
    var name: String {
        switch kind {
        case Kind.null: "null"
        case Kind.yes, Kind.no: "a boolean"
        case Kind.unsigned, Kind.negative, Kind.double, Kind.number: "a number"
        case Kind.ascii, Kind.utf8, Kind.escaped: "a string"
        case Kind.object: "an object"
        case Kind.array: "an array"
        default: "no value"
        }
    }
}
