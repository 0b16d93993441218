/// The header of a frame (RFC 6455, section 5.2).
struct FrameHeader {
    static let maximumByteCount = 14
    static let maximumControlLength = 125

    let isFinal: Bool
    let opcode: UInt8
    /// Whether the message that begins here is compressed (RFC 7692, section 6).
    let isCompressed: Bool
    let length: Int
    let isMasked: Bool
    /// The masking key in the order of memory.
    let key: UInt32
    /// Bytes of the header itself.
    let byteCount: Int

    var isControl: Bool { opcode >= 8 }

    /// Reads a header from the beginning of `bytes`; `nil` when more bytes are needed.
    ///
    /// - Throws: as soon as the bytes that are there cannot begin a valid header.
    @inline(__always)
    init?(
        _ bytes: UnsafeRawBufferPointer, _ role: WebSocketRole, mayCompress: Bool
    ) throws(WebSocketProtocolError) {
        guard let base = bytes.baseAddress, bytes.count >= 1 else { return nil }
        let first = base.load(as: UInt8.self)
        isFinal = first & 0x80 != 0
        opcode = first & 0x0F
        isCompressed = first & 0x40 != 0
        if first & 0x70 != 0 {
            // Only the first frame of a message may say that it is compressed.
            guard mayCompress, first & 0x30 == 0, opcode == 1 || opcode == 2 else {
                throw .violation("reserved bit set")
            }
        }
        // Opcodes 0, 1, 2 and 8, 9, 10 exist.
        if (0b0000_0111_0000_0111 as UInt32) >> UInt32(opcode) & 1 == 0 {
            throw .violation("reserved opcode \(opcode)")
        }
        if opcode >= 8, !isFinal { throw .violation("fragmented control frame") }
        guard bytes.count >= 2 else { return nil }
        let second = base.load(fromByteOffset: 1, as: UInt8.self)
        isMasked = second & 0x80 != 0
        if isMasked != (role == .server) {
            throw .violation(isMasked ? "masked frame from a server" : "unmasked client frame")
        }
        let short = Int(second & 0x7F)
        if opcode >= 8, short > Self.maximumControlLength {
            throw .violation("control frame above 125 bytes")
        }
        var size = 2
        switch short {
        case 126:
            guard bytes.count >= 4 else { return nil }
            length = Int(base.loadUnaligned(fromByteOffset: 2, as: UInt16.self).bigEndian)
            if length < 126 { throw .violation("length not in its shortest form") }
            size = 4
        case 127:
            guard bytes.count >= 10 else { return nil }
            let long = base.loadUnaligned(fromByteOffset: 2, as: UInt64.self).bigEndian
            if long > UInt64(Int.max) { throw .violation("length above 63 bits") }
            length = Int(long)
            if length < 65_536 { throw .violation("length not in its shortest form") }
            size = 10
        default:
            length = short
        }
        if isMasked {
            guard bytes.count >= size + 4 else { return nil }
            key = base.loadUnaligned(fromByteOffset: size, as: UInt32.self)
            size += 4
        } else {
            key = 0
        }
        byteCount = size
    }
}

/// The bytes of a header that has not arrived completely.
struct PartialHeader {
    private var low: UInt64 = 0
    private var high: UInt64 = 0
    var count = 0 {
        didSet { if count == 0 { (low, high) = (0, 0) } }
    }

    mutating func append(_ byte: UInt8) {
        withUnsafeMutableBytes(of: &low) { if count < 8 { $0[count] = byte } }
        withUnsafeMutableBytes(of: &high) { if count >= 8, count < 16 { $0[count - 8] = byte } }
        count += 1
    }

    func decode(
        _ role: WebSocketRole, mayCompress: Bool
    ) throws(WebSocketProtocolError) -> FrameHeader? {
        var pair = (low, high)
        var result = Result<FrameHeader?, WebSocketProtocolError>.success(nil)
        withUnsafeBytes(of: &pair) { bytes in
            result = Result { () throws(WebSocketProtocolError) in
                try FrameHeader(
                    UnsafeRawBufferPointer(rebasing: bytes[..<count]), role,
                    mayCompress: mayCompress)
            }
        }
        return try result.get()
    }
}
