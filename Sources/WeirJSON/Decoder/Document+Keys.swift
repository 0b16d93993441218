extension Document {
    /// The index of the token of a key in an object, or -1; of equal keys the first counts.
    ///
    /// Keys that are asked for in the order of the document are found at once. Others are
    /// looked for among few members one by one, among many in an index that is built once, so
    /// that decoding an object takes time linear in its size.
    @inline(__always)
    func find<Key: CodingKey>(_ key: Key, _ names: KeyNames?, in object: Int) -> Int {
        guard isOpen else { return -1 }
        if let names {
            // Safety: an index of an open document's object is within its tape, as are those
            // that the scanner wrote there.
            let tokens = storage.pointee.tape.tokens
            let end = tokens[object].end
            let expected = tokens[object].cursor
            if expected < end, tokens[object + 1].payload == Token.KeyOrder.distinct,
                names.match(key, tokens[expected], storage.pointee.bytes)
            {
                let value = tokens[expected + 1]
                let next = value.isContainer ? value.end : expected + 2
                tokens[object].payload = UInt64(end) | UInt64(next) << 32
                return expected
            }
        }
        return findByName(key, names, in: object)
    }

    @inline(never)
    private func findByName(
        _ key: some CodingKey, _ names: KeyNames?, in object: Int
    ) -> Int {
        if let name = names?.bytes(of: key) { return find(name, in: object) }
        return find(key.stringValue, in: object)
    }

    func find(_ key: String, in object: Int) -> Int {
        var key = key
        return key.withUTF8 { find($0, in: object) }
    }

    private func find(_ name: UnsafeBufferPointer<UInt8>, in object: Int) -> Int {
        // Safety: as above.
        let tokens = storage.pointee.tape.tokens
        guard isOpen else { return -1 }
        let header = tokens[object]
        let order = tokens[object + 1].payload
        guard order == Token.KeyOrder.distinct else {
            return findCarefully(name, in: object, order: order)
        }
        let expected = header.cursor
        guard expected < header.end, matches(tokens[expected], name) else {
            return search(name, in: object, header)
        }
        advance(object, header, past: expected)
        return expected
    }

    @inline(__always)
    private func matches(_ token: Token, _ name: UnsafeBufferPointer<UInt8>) -> Bool {
        guard token.extent == name.count else { return false }
        guard var left = name.baseAddress else { return true }
        var right = UnsafePointer(storage.pointee.bytes + Int(token.offset))
        var count = name.count
        while count >= 4 {
            // Safety: four bytes are left on both sides; any alignment will do.
            let word = UnsafeRawPointer(left).loadUnaligned(as: UInt32.self)
            if word != UnsafeRawPointer(right).loadUnaligned(as: UInt32.self) { return false }
            left += 4
            right += 4
            count &-= 4
        }
        while count > 0 {
            if left.pointee != right.pointee { return false }
            left += 1
            right += 1
            count &-= 1
        }
        return true
    }

    private func advance(_ object: Int, _ header: Token, past key: Int) {
        let following = next(after: key + 1)
        setPayload(UInt64(header.end) | UInt64(following) << 32, at: object)
    }

    /// How many members are looked at one by one before an index is built.
    private static let linearSearchMaximum = 24

    @inline(never)
    private func search(
        _ name: UnsafeBufferPointer<UInt8>, in object: Int, _ header: Token
    ) -> Int {
        let elements = elements(of: object)
        guard elements <= Self.linearSearchMaximum else {
            setPayload(Token.KeyOrder.complex, at: object + 1)
            return findCarefully(name, in: object, order: Token.KeyOrder.complex)
        }
        let print = KeyFingerprint.of(name)
        var key = header.cursor
        for _ in 0..<elements {
            if key >= header.end { key = object + 2 }
            if token(key).payload == print, matches(token(key), name) {
                advance(object, header, past: key)
                return key
            }
            key = next(after: key + 1)
        }
        // A name outside ASCII may still equal a key in ASCII, as Swift compares strings.
        if name.contains(where: { $0 >= 0x80 }) {
            return Int(buildIndex(of: object)[String(decoding: name, as: UTF8.self)] ?? -1)
        }
        return -1
    }

    @inline(never)
    private func findCarefully(
        _ name: UnsafeBufferPointer<UInt8>, in object: Int, order: UInt64
    ) -> Int {
        switch order & 0xFF {
        case Token.KeyOrder.indexed:
            let index = Int(order >> 8)
            return Int(self.index(index)[String(decoding: name, as: UTF8.self)] ?? -1)
        case Token.KeyOrder.unchecked:
            let areDistinct = hasDistinctFingerprints(object)
            let order = areDistinct ? Token.KeyOrder.distinct : Token.KeyOrder.complex
            setPayload(order, at: object + 1)
            if areDistinct { return find(String(decoding: name, as: UTF8.self), in: object) }
            return findCarefully(name, in: object, order: order)
        default:
            guard token(object).kind == Token.Kind.object else { return -1 }
            let index = buildIndex(of: object)
            setPayload(Token.KeyOrder.indexed | UInt64(keep(index)) << 8, at: object + 1)
            return Int(index[String(decoding: name, as: UTF8.self)] ?? -1)
        }
    }

    /// Whether no two keys can be equal; if two just might, the answer is false.
    private func hasDistinctFingerprints(_ object: Int) -> Bool {
        let end = token(object).end
        let elements = elements(of: object)
        var seen = Set<UInt64>()
        if elements > 32 { seen.reserveCapacity(elements) }
        var key = object + 2
        while key < end {
            let print = token(key).payload
            if elements > 32 {
                guard seen.insert(print).inserted else { return false }
            } else {
                var other = object + 2
                while other < key {
                    if token(other).payload == print { return false }
                    other = next(after: other + 1)
                }
            }
            key = next(after: key + 1)
        }
        return true
    }

    private func buildIndex(of object: Int) -> [String: Int32] {
        var index: [String: Int32] = [:]
        index.reserveCapacity(elements(of: object))
        forEachKey(of: object) { key in
            let name = string(of: token(key))
            if index[name] == nil { index[name] = Int32(truncatingIfNeeded: key) }
        }
        return index
    }

    /// Calls `body` with the index of each key's token, equal keys included.
    func forEachKey(of object: Int, _ body: (Int) -> Void) {
        guard token(object).kind == Token.Kind.object else { return }
        let end = token(object).end
        var key = object + 2
        while key < end {
            body(key)
            key = next(after: key + 1)
        }
    }

    /// The names of the members in the order of the document, each once.
    func names(of object: Int) -> [String] {
        var names: [String] = []
        names.reserveCapacity(elements(of: object))
        var order = token(object + 1).payload
        if order == Token.KeyOrder.unchecked, hasDistinctFingerprints(object) {
            order = Token.KeyOrder.distinct
            setPayload(order, at: object + 1)
        }
        var seen = Set<String>()
        forEachKey(of: object) { key in
            let name = string(of: token(key))
            if order == Token.KeyOrder.distinct || seen.insert(name).inserted {
                names.append(name)
            }
        }
        return names
    }
}
