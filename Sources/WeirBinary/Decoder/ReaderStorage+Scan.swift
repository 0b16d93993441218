/// A container whose values are being scanned.
struct OpenToken {
    let token: Int
    var left: Int
    let isMap: Bool
    /// The number of members of an object, or −1.
    var fields = -1
}

extension ReaderStorage {
    /// Checks one value and makes tokens of it; gives the offset past it.
    ///
    /// No count is believed before it has been compared with the bytes that are left: each value
    /// has one at least, so that there are never more tokens than bytes.
    mutating func scan(
        from start: Int, maximumDepth: Int
    ) throws(BinaryCodingError) -> Int {
        count = 0
        open.removeAll(keepingCapacity: true)
        var offset = start
        var top = OpenToken(token: -1, left: 1, isMap: false)
        while true {
            while top.left == 0 {
                guard let outer = open.popLast() else { return offset }
                let end = UInt32(truncatingIfNeeded: count)
                tokens[top.token].extent = end
                tokens[top.token].payload |= UInt64(top.token &+ 1) << 32
                if top.fields == count &- top.token &- 1 {
                    tokens[top.token].detail |= Token.flat
                }
                top = outer
            }
            top.left &-= 1
            if top.isMap { try scanText(length: nil, .name, &offset) }
            let opened = try scanValue(&offset)
            if tokens[count &- 1].kind == .absent, top.fields < 0 {
                throw unknown(Tag.absent, offset - 1)
            }
            if let opened {
                guard open.count < maximumDepth else {
                    throw BinaryCodingError(
                        .tooDeep,
                        "nested deeper than \(maximumDepth) levels; raise limits.maximumDepth",
                        byteOffset: Int(tokens[opened.token].offset),
                        place: Place(token: Int32(truncatingIfNeeded: opened.token)))
                }
                open.append(top)
                top = opened
            }
        }
    }

    /// Makes a token of the value at an offset; gives the container that it opens, if it does.
    @inline(__always)
    private mutating func scanValue(
        _ offset: inout Int
    ) throws(BinaryCodingError) -> OpenToken? {
        guard offset < byteCount else { throw cutOff(offset) }
        let tag = bytes[offset]
        let place = UInt32(truncatingIfNeeded: offset)
        if tag >= Tag.smallUnsigned {
            if tag < Tag.lowShape {
                offset &+= 1
                append(
                    Token(
                        payload: UInt64(tag & 0x3F), offset: place, kind: .unsigned))
                return nil
            }
            guard tag < 0xC0 else { throw unknown(tag, offset) }
            offset &+= 1
            return try openObject(Int(tag & 0x3F), place, offset)
        }
        offset &+= 1
        switch tag {
        case Tag.shortString...(Tag.smallUnsigned - 1):
            try scanText(length: Int(tag & 0x1F), .string, &offset)
        case Tag.null: append(Token(offset: place, kind: .null))
        case Tag.no: append(Token(offset: place, kind: .no))
        case Tag.yes: append(Token(offset: place, kind: .yes))
        case Tag.absent: append(Token(offset: place, kind: .absent))
        case Tag.unsigned, Tag.negative:
            guard let value = Varint.read(bytes, &offset, end: byteCount) else {
                throw cutOff(Int(place))
            }
            append(
                Token(
                    payload: value, offset: place,
                    kind: tag == Tag.unsigned ? .unsigned : .negative))
        case Tag.float, Tag.double: try scanFloat(tag, place, &offset)
        case Tag.string: try scanText(length: nil, .string, &offset)
        case Tag.wideSigned, Tag.wideUnsigned:
            guard byteCount - offset >= 16 else { throw cutOff(offset) }
            offset += 16
            append(
                Token(
                    offset: place, kind: tag == Tag.wideSigned ? .wideSigned : .wideUnsigned))
        case Tag.array, Tag.map:
            let size = try scanCount(&offset, bytesEach: tag == Tag.map ? 2 : 1)
            append(
                Token(
                    payload: UInt64(size), offset: place, kind: tag == Tag.map ? .map : .array))
            return OpenToken(token: count - 1, left: size, isMap: tag == Tag.map)
        case Tag.object:
            let shape = try scanCount(&offset, bytesEach: 0)
            return try openObject(shape, place, offset)
        case Tag.bytes...Tag.boolRun: try scanRun(tag, place, &offset)
        default: throw unknown(tag, Int(place))
        }
        return nil
    }

    @inline(__always)
    private mutating func openObject(
        _ shape: Int, _ place: UInt32, _ offset: Int
    ) throws(BinaryCodingError) -> OpenToken {
        guard let table, shape < table.count else {
            throw BinaryCodingError(
                .malformed, "the document has no shape \(shape)", byteOffset: Int(place))
        }
        let fields = table.shapes[shape].fields
        guard fields <= byteCount - offset else { throw cutOff(Int(place)) }
        append(
            Token(
                offset: place, detail: UInt32(truncatingIfNeeded: shape), kind: .object))
        return OpenToken(token: count - 1, left: fields, isMap: false, fields: fields)
    }

    private mutating func scanFloat(
        _ tag: UInt8, _ place: UInt32, _ offset: inout Int
    ) throws(BinaryCodingError) {
        let run = tag == Tag.float ? Tag.floatRun : Tag.doubleRun
        guard var token = Token.element(ofRun: run, bytes, &offset, end: byteCount) else {
            throw cutOff(Int(place))
        }
        token.offset = place
        append(token)
    }

    @inline(__always)
    private mutating func scanText(
        length: Int?, _ kind: Token.Kind, _ offset: inout Int
    ) throws(BinaryCodingError) {
        let isCounted = length == nil
        var length = length ?? 0
        if isCounted { length = try scanCount(&offset, bytesEach: 1) }
        guard length <= byteCount - offset else { throw cutOff(offset) }
        append(
            Token(
                offset: UInt32(truncatingIfNeeded: offset),
                extent: UInt32(truncatingIfNeeded: length), kind: kind))
        offset &+= length
    }

    private mutating func scanRun(
        _ tag: UInt8, _ place: UInt32, _ offset: inout Int
    ) throws(BinaryCodingError) {
        let size = try scanCount(&offset, bytesEach: Token.size(ofRun: tag) ?? 1)
        var token = Token(
            payload: UInt64(offset) << 32 | UInt64(size), offset: place, detail: UInt32(tag),
            kind: .run)
        if let each = Token.size(ofRun: tag), tag != Tag.boolRun {
            offset += size * each
        } else {
            for _ in 0..<size {
                let element = offset
                guard Token.element(ofRun: tag, bytes, &offset, end: byteCount) != nil else {
                    throw BinaryCodingError(
                        .malformed, "an element of a run is not valid", byteOffset: element)
                }
            }
        }
        token.extent = UInt32(truncatingIfNeeded: count + 1)
        append(token)
    }

    /// A count of what has so many bytes each, which must be there.
    @inline(__always)
    private func scanCount(
        _ offset: inout Int, bytesEach: Int
    ) throws(BinaryCodingError) -> Int {
        let place = offset
        guard let value = Varint.read(bytes, &offset, end: byteCount) else { throw cutOff(place) }
        guard value <= UInt64(UInt32.max),
            bytesEach == 0 || value <= UInt64((byteCount - offset) / bytesEach)
        else {
            throw BinaryCodingError(
                .malformed, "a count of \(value) is more than the bytes that are left",
                byteOffset: place)
        }
        return Int(value)
    }

    @inline(never)
    private func cutOff(_ offset: Int) -> BinaryCodingError {
        BinaryCodingError(
            .malformed, "a value is cut off or has a number of too many bits", byteOffset: offset)
    }

    @inline(never)
    private func unknown(_ tag: UInt8, _ offset: Int) -> BinaryCodingError {
        BinaryCodingError(
            .malformed, "no value starts with byte 0x\(String(tag, radix: 16))",
            byteOffset: offset)
    }
}
