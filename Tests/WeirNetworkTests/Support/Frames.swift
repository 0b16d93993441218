@testable import WeirNetwork

/// What a parser has found, in a form that can be compared.
enum Seen: Equatable {
    case text(String)
    case binary([UInt8])
    case ping([UInt8])
    case pong([UInt8])
    case close(UInt16, String)
    case failure(UInt16)
}

/// Builds a frame byte by byte, also a wrong one.
struct RawFrame {
    var final = true
    var reserved: UInt8 = 0
    var opcode: UInt8
    var payload: [UInt8] = []
    var key: [UInt8]? = [0x37, 0xFA, 0x21, 0x3D]
    /// Bytes of the extended length, when it is not to be the shortest: 2 or 8.
    var lengthBytes: Int?
    /// The length that is announced, when it is not the payload's.
    var announced: UInt64?

    var bytes: [UInt8] {
        let length = announced ?? UInt64(payload.count)
        let size = lengthBytes ?? (length < 126 ? 0 : length < 65_536 ? 2 : 8)
        let mask: UInt8 = key == nil ? 0 : 0x80
        var bytes: [UInt8] = [(final ? 0x80 : 0) | reserved << 4 | opcode]
        switch size {
        case 0: bytes.append(mask | UInt8(length))
        case 2: bytes.append(mask | 126)
        default: bytes.append(mask | 127)
        }
        for shift in (0..<size).reversed() {
            bytes.append(UInt8(truncatingIfNeeded: length >> UInt64(shift * 8)))
        }
        guard let key else { return bytes + payload }
        return bytes + key + payload.enumerated().map { $1 ^ key[$0 % 4] }
    }

    static func text(_ text: String, final: Bool = true) -> RawFrame {
        RawFrame(final: final, opcode: 1, payload: Array(text.utf8))
    }

    static func close(_ code: UInt16, _ reason: [UInt8] = []) -> RawFrame {
        RawFrame(opcode: 8, payload: [UInt8(code >> 8), UInt8(code & 0xFF)] + reason)
    }
}

/// Parses pieces one after the other; ends with the failure if there is one.
func parse(
    _ pieces: [[UInt8]], role: WebSocketRole = .server,
    limits: WebSocketLimits = WebSocketLimits(), agreement: DeflateAgreement? = nil,
    stopping: (Int) -> Bool = { _ in false }
) -> [Seen] {
    var parser = WebSocketParser(role: role, limits: limits, agreement: agreement)
    var seen: [Seen] = []
    for piece in pieces {
        var rest = piece
        while !rest.isEmpty {
            do {
                let used = try rest.withUnsafeMutableBytes { bytes throws(WebSocketProtocolError) in
                    try parser.consume(bytes) { event in
                        seen.append(Seen(event))
                        return stopping(seen.count) ? .stop : .proceed
                    }
                }
                rest.removeFirst(used)
            } catch {
                return seen + [.failure((error as? WebSocketProtocolError)?.code.rawValue ?? 0)]
            }
        }
    }
    return seen
}

extension Seen {
    init(_ event: WebSocketEvent) {
        self =
            switch event {
            case .message(.text, let bytes): .text(String(decoding: bytes, as: UTF8.self))
            case .message(.binary, let bytes): .binary(Array(bytes))
            case .ping(let bytes): .ping(Array(bytes))
            case .pong(let bytes): .pong(Array(bytes))
            case .close(let code, let reason): .close(code.rawValue, reason)
            }
    }
}
