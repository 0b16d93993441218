#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Cuts what comes out of a pipe into lines, on a thread that may block.
struct LineReader: Sendable {
    private let descriptor: Descriptor
    private let onLine: @Sendable (String?) -> Void

    init(_ descriptor: Descriptor, _ onLine: @escaping @Sendable (String?) -> Void) {
        self.descriptor = descriptor
        self.onLine = onLine
    }

    func run() {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        var rest: [UInt8] = []
        while true {
            let count = read(descriptor.number, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            for byte in buffer[..<count] {
                if byte == UInt8(ascii: "\n") {
                    onLine(String(decoding: rest, as: UTF8.self))
                    rest.removeAll(keepingCapacity: true)
                } else {
                    rest.append(byte)
                }
            }
        }
        if !rest.isEmpty { onLine(String(decoding: rest, as: UTF8.self)) }
        onLine(nil)
    }
}
