/// The first byte says how the bytes are cut; every cut has to give the same heads as the whole.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: data + 1, count: count - 1))
    let piece = Int(data[0]) + 1
    let whole = read(bytes, pieces: bytes.count)
    let cut = read(bytes, pieces: piece)
    precondition(whole == cut, "cut into \(piece): \(cut), whole: \(whole)")
    return 0
}

func read(_ bytes: [UInt8], pieces size: Int) -> [String] {
    var limits = HTTPLimits()
    limits.maximumHeadLength = 1_000
    limits.maximumHeaderCount = 10
    var reader = HTTPHeadReader(limits: limits)
    var seen: [String] = []
    var begin = 0
    while begin < bytes.count {
        let end = min(begin + size, bytes.count)
        var rest = bytes[begin..<end]
        while !rest.isEmpty {
            do {
                let used = try rest.withUnsafeBytes { bytes in
                    try reader.consume(bytes) { head throws(HTTPError) in
                        seen.append(try describe(head))
                    }
                }
                precondition(used > 0 && used <= rest.count)
                precondition(reader.carriedByteCount <= 1_000)
                rest = rest.dropFirst(used)
            } catch {
                return seen + ["\(error)"]
            }
        }
        begin = end
    }
    return seen
}

func describe(_ bytes: UnsafeRawBufferPointer) throws(HTTPError) -> String {
    let head = try HTTPRequestHead(parsing: bytes)
    precondition(head.path.hasPrefix("/") || head.target == "*")
    precondition(!head.target.utf8.contains { $0 <= 0x20 || $0 >= 0x7F })
    precondition(head.headers.fields.count <= 10)
    _ = head.headers.hasToken("upgrade", in: "Connection")
    return "\(head)"
}
