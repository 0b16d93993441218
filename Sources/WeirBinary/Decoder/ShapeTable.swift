/// The shapes of a document: what names the members of its objects have.
final class ShapeTable {
    struct Shape {
        let first: Int
        let fields: Int
        /// The type of keys whose cases `links` are for.
        var linkedType: UInt = 0
        /// For each byte of a key the member's number plus one, 0 where it has not been asked for,
        /// `absent` where there is none.
        var links: UnsafeMutablePointer<UInt16>?
    }

    /// The table as it stands in documents.
    let bytes: [UInt8]
    let count: Int
    let shapes: UnsafeMutablePointer<Shape>
    let names: [String]
    private var indexes: [Int: [String: Int]] = [:]

    static let absentLink = UInt16.max
    static let linksCount = 256
    /// Only so many shapes get links, which take 512 bytes each.
    static let linkedMaximum = 1_024
    private static let searchedMaximum = 16

    init(_ bytes: UnsafeBufferPointer<UInt8>, at start: Int) throws(BinaryCodingError) {
        self.bytes = Array(bytes)
        var found: [Shape] = []
        var names: [String] = []
        if let base = bytes.baseAddress {
            var offset = 0
            func count() throws(BinaryCodingError) -> Int {
                let place = offset
                guard let value = Varint.read(base, &offset, end: bytes.count),
                    value <= UInt64(bytes.count - offset)
                else { throw Self.malformed("a count is cut off or too large", start + place) }
                return Int(value)
            }
            let shapes = try count()
            for _ in 0..<shapes {
                let fields = try count()
                let first = names.count
                for _ in 0..<fields {
                    let length = try count()
                    let text = UnsafeBufferPointer(start: base + offset, count: length)
                    guard let name = String(validating: text, as: UTF8.self) else {
                        throw BinaryCodingError(
                            .invalidUTF8, "a name of a field is not UTF-8",
                            byteOffset: start + offset)
                    }
                    offset += length
                    names.append(name)
                }
                guard Set(names[first...]).count == fields else {
                    throw Self.malformed("a shape has a name twice", start + offset)
                }
                found.append(Shape(first: first, fields: fields))
            }
            guard offset == bytes.count else {
                throw Self.malformed("bytes follow the shapes", start + offset)
            }
        }
        self.names = names
        count = found.count
        shapes = .allocate(capacity: max(1, found.count))
        shapes.initialize(from: found, count: found.count)
    }

    deinit {
        for index in 0..<count { shapes[index].links?.deallocate() }
        shapes.deinitialize(count: count)
        shapes.deallocate()
    }

    private static func malformed(_ text: String, _ offset: Int) -> BinaryCodingError {
        BinaryCodingError(.malformed, text, byteOffset: offset)
    }

    func name(_ field: Int, of shape: Int) -> String {
        guard shape < count, field < shapes[shape].fields else { return "" }
        return names[shapes[shape].first + field]
    }

    /// The number of a member.
    func field(_ name: String, of shape: Int) -> Int? {
        guard shape < count else { return nil }
        let (first, fields) = (shapes[shape].first, shapes[shape].fields)
        if fields <= Self.searchedMaximum {
            for field in 0..<fields where names[first + field] == name { return field }
            return nil
        }
        if let index = indexes[shape] { return index[name] }
        var index: [String: Int] = [:]
        for field in 0..<fields { index[names[first + field]] = field }
        indexes[shape] = index
        return index[name]
    }

    /// The links of a shape for a type of keys.
    @inline(__always)
    func links(of shape: Int, for type: UInt) -> UnsafeMutablePointer<UInt16>? {
        if shape < count, shapes[shape].linkedType == type { return shapes[shape].links }
        return makeLinks(of: shape, for: type)
    }

    @inline(never)
    private func makeLinks(of shape: Int, for type: UInt) -> UnsafeMutablePointer<UInt16>? {
        guard shape < min(count, Self.linkedMaximum), shapes[shape].fields < 1 << 15 else {
            return nil
        }
        // A container for another type of keys may still use its links, so they are not reused.
        guard shapes[shape].linkedType == 0 else { return nil }
        let links = UnsafeMutablePointer<UInt16>.allocate(capacity: Self.linksCount)
        links.initialize(repeating: 0, count: Self.linksCount)
        shapes[shape].linkedType = type
        shapes[shape].links = links
        return links
    }
}
