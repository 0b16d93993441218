extension Document {
    @inline(__always)
    func isNull(_ place: Place) -> Bool {
        let kind = token(place).kind
        return kind == .null || kind == .absent
    }

    func bool(at place: Place) throws -> Bool {
        switch token(place).kind {
        case .yes: return true
        case .no: return false
        default: throw mismatch(Bool.self, at: place)
        }
    }

    @inline(__always)
    func string(at place: Place) throws -> String {
        let token = token(place)
        guard token.kind == .string else { throw mismatch(String.self, at: place) }
        let text = text(of: token)
        if let string = Self.ascii(text) { return string }
        guard let string = String(validating: text, as: UTF8.self) else {
            throw corrupted(.invalidUTF8, "the string is not UTF-8", at: place)
        }
        return string
    }

    /// A string of bytes that are all ASCII; several times as fast as one of any UTF-8.
    @inline(__always)
    static func ascii(_ text: UnsafeBufferPointer<UInt8>) -> String? {
        guard #available(macOS 26, iOS 26, tvOS 26, watchOS 26, visionOS 26, *),
            let start = text.baseAddress
        else { return nil }
        var bits: UInt64 = 0
        var index = 0
        // Safety: eight bytes are left; any alignment will do.
        while index &+ 8 <= text.count {
            bits |= UnsafeRawPointer(start + index).loadUnaligned(as: UInt64.self)
            index &+= 8
        }
        while index < text.count {
            bits |= UInt64(start[index])
            index &+= 1
        }
        guard bits & 0x8080_8080_8080_8080 == 0 else { return nil }
        // Safety: no byte has its high bit, so that the text is ASCII.
        return String(copying: unsafe UTF8Span(unchecked: text.span, isKnownASCII: true))
    }

    @inline(__always)
    func integer<Value: FixedWidthInteger>(
        _ type: Value.Type, at place: Place
    ) throws -> Value {
        let token = token(place)
        if token.kind == .unsigned, let value = Value(exactly: token.payload) { return value }
        return try otherInteger(type, token, at: place)
    }

    @inline(never)
    private func otherInteger<Value: FixedWidthInteger>(
        _ type: Value.Type, _ token: Token, at place: Place
    ) throws -> Value {
        let value: Value?
        switch token.kind {
        case .unsigned: value = Value(exactly: token.payload)
        case .negative: value = Value(exactly: -1 - Int128(token.payload))
        case .wideSigned: value = Value(exactly: Int128(truncatingIfNeeded: wide(token)))
        case .wideUnsigned: value = Value(exactly: wide(token))
        default: throw mismatch(type, at: place)
        }
        guard let value else {
            throw corrupted(.numberOutOfRange, "the number does not fit \(type)", at: place)
        }
        return value
    }

    private func wide(_ token: Token) -> UInt128 {
        guard isOpen else { return 0 }
        // Safety: the scanner has found 16 bytes after the tag; any alignment will do.
        let raw = UnsafeRawPointer(storage.pointee.bytes + Int(token.offset) + 1)
        return UInt128(littleEndian: raw.loadUnaligned(as: UInt128.self))
    }

    @inline(__always)
    func double(at place: Place) throws -> Double {
        let token = token(place)
        if token.kind == .double { return Double(bitPattern: token.payload) }
        return try otherDouble(token, at: place)
    }

    /// A floating-point number of another width, or an integer, is taken if it has the same value.
    @inline(never)
    private func otherDouble(_ token: Token, at place: Place) throws -> Double {
        let value: Double?
        switch token.kind {
        case .float: value = Double(Float(bitPattern: UInt32(truncatingIfNeeded: token.payload)))
        case .unsigned: value = Double(exactly: token.payload)
        case .negative: value = Double(exactly: -1 - Int128(token.payload))
        default: throw mismatch(Double.self, at: place)
        }
        guard let value else {
            throw corrupted(.numberOutOfRange, "the number does not fit Double", at: place)
        }
        return value
    }

    func float(at place: Place) throws -> Float {
        let token = token(place)
        if token.kind == .float {
            return Float(bitPattern: UInt32(truncatingIfNeeded: token.payload))
        }
        let value: Float?
        switch token.kind {
        case .double:
            let double = Double(bitPattern: token.payload)
            value = double.isNaN ? .nan : Float(exactly: double)
        case .unsigned: value = Float(exactly: token.payload)
        case .negative: value = Float(exactly: -1 - Int128(token.payload))
        default: throw mismatch(Float.self, at: place)
        }
        guard let value else {
            throw corrupted(.numberOutOfRange, "the number does not fit Float", at: place)
        }
        return value
    }

    // MARK: Any type

    /// Decodes a value of any type, the common ones without a container.
    @inline(__always)
    func value<Value: Decodable>(_ type: Value.Type, at place: Place) throws -> Value {
        if type == String.self { return same(try string(at: place), as: type) }
        if type == Int.self { return same(try integer(Int.self, at: place), as: type) }
        if type == Double.self { return same(try double(at: place), as: type) }
        return try otherValue(type, at: place)
    }

    private func otherValue<Value: Decodable>(
        _ type: Value.Type, at place: Place
    ) throws -> Value {
        let token = token(place)
        if token.kind == .run {
            if type == [UInt8].self, let bytes = bytes(of: token) { return same(bytes, as: type) }
            if type == [Double].self, let run = doubles(of: token) { return same(run, as: type) }
            if type == [Int].self, let run = integers(of: token) { return same(run, as: type) }
        } else if !token.isContainer {
            if type == Bool.self { return same(try bool(at: place), as: type) }
            if type == UInt8.self { return same(try integer(UInt8.self, at: place), as: type) }
            if type == Int64.self { return same(try integer(Int64.self, at: place), as: type) }
            if type == Float.self { return same(try float(at: place), as: type) }
        }
        return try Value(from: ValueDecoder(document: self, place: place))
    }

    @inline(__always)
    private func same<Found, Value>(_ value: Found, as type: Value.Type) -> Value {
        // Safety: the caller has compared the two types, which are one.
        unsafeBitCast(value, to: type)
    }

    // MARK: Whole runs

    private func bytes(of run: Token) -> [UInt8]? {
        guard run.detail == Tag.bytes else { return nil }
        // Safety: the scanner has found so many bytes there.
        return [UInt8](
            UnsafeBufferPointer(
                start: storage.pointee.bytes + Int(run.payload >> 32), count: run.elements))
    }

    private func doubles(of run: Token) -> [Double]? {
        guard run.detail == Tag.doubleRun else { return nil }
        let count = run.elements
        return [Double](unsafeUninitializedCapacity: count) { output, initialized in
            // Safety: the scanner has found 8 bytes for each; any alignment will do.
            let raw = UnsafeRawPointer(storage.pointee.bytes + Int(run.payload >> 32))
            for index in 0..<count {
                let bits = raw.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
                output.initializeElement(
                    at: index, to: Double(bitPattern: UInt64(littleEndian: bits)))
            }
            initialized = count
        }
    }

    private func integers(of run: Token) -> [Int]? {
        guard run.detail == Tag.signedRun else { return nil }
        var offset = Int(run.payload >> 32)
        var values: [Int] = []
        values.reserveCapacity(run.elements)
        for _ in 0..<run.elements {
            guard
                let bits = Varint.read(
                    storage.pointee.bytes, &offset, end: storage.pointee.byteCount),
                let value = Int(exactly: Varint.unzigzag(bits))
            else { return nil }
            values.append(value)
        }
        return values
    }
}
