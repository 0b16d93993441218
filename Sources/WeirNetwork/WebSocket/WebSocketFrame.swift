/// One message encoded once, to be sent over any number of server connections.
public struct WebSocketFrame: Sendable {
    /// The frame as it goes over the wire, unmasked.
    let bytes: SharedBytes
    let kind: WebSocketMessageKind
    /// Where the payload begins in `bytes`.
    let headerLength: Int

    /// Encodes a text.
    public init(text: String) {
        var text = text
        self = text.withUTF8 { WebSocketFrame(.text, UnsafeRawBufferPointer($0)) }
    }

    /// Encodes a message; a text must be valid UTF-8.
    public init(_ kind: WebSocketMessageKind, _ payload: UnsafeRawBufferPointer) {
        let header = FrameEncoder.headerLength(payload.count, isMasked: false)
        self.kind = kind
        headerLength = header
        bytes = SharedBytes(count: header + payload.count) { target in
            FrameEncoder.writeHeader(kind.opcode, payload.count, key: nil, into: target)
            UnsafeMutableRawBufferPointer(rebasing: target[header...]).copyMemory(from: payload)
        }
    }
}

extension WebSocketMessageKind {
    var opcode: UInt8 { self == .text ? WebSocketOpcode.text : WebSocketOpcode.binary }
}

/// Writes frames of RFC 6455, section 5.2; each frame is a whole message.
enum FrameEncoder {
    static func headerLength(_ payload: Int, isMasked: Bool) -> Int {
        (payload < 126 ? 2 : payload < 65_536 ? 4 : 10) + (isMasked ? 4 : 0)
    }

    /// Writes a header and returns its length; `target` has room for 14 bytes.
    @discardableResult
    static func writeHeader(
        _ opcode: UInt8, _ length: Int, key: UInt32?, into target: UnsafeMutableRawBufferPointer
    ) -> Int {
        let mask: UInt8 = key == nil ? 0 : 0x80
        target[0] = 0x80 | opcode
        var size = 2
        if length < 126 {
            target[1] = mask | UInt8(length)
        } else if length < 65_536 {
            target[1] = mask | 126
            target.storeBytes(of: UInt16(length).bigEndian, toByteOffset: 2, as: UInt16.self)
            size = 4
        } else {
            target[1] = mask | 127
            target.storeBytes(of: UInt64(length).bigEndian, toByteOffset: 2, as: UInt64.self)
            size = 10
        }
        if let key {
            target.storeBytes(of: key, toByteOffset: size, as: UInt32.self)
            size += 4
        }
        return size
    }

    /// Writes a masked frame and returns its length; `target` has room for all of it.
    static func writeMasked(
        _ opcode: UInt8, _ payload: UnsafeRawBufferPointer, key: UInt32,
        into target: UnsafeMutableRawBufferPointer
    ) -> Int {
        let header = writeHeader(opcode, payload.count, key: key, into: target)
        let body = UnsafeMutableRawBufferPointer(
            rebasing: target[header..<(header + payload.count)])
        body.copyMemory(from: payload)
        _ = WebSocketMask.apply(body, key: key)
        return header + payload.count
    }
}

/// Masking keys that a peer or a script in it cannot predict, read from the system in blocks.
struct MaskKeySource {
    private static let keysPerBlock = 64
    private var keys: [UInt32] = []

    mutating func next() -> UInt32 {
        if let key = keys.popLast() { return key }
        var generator = SystemRandomNumberGenerator()
        keys.reserveCapacity(Self.keysPerBlock)
        for _ in 0..<(Self.keysPerBlock / 2) {
            let word = generator.next()
            keys.append(UInt32(truncatingIfNeeded: word))
            keys.append(UInt32(truncatingIfNeeded: word >> 32))
        }
        return keys.removeLast()
    }
}
