import Testing

@testable import WeirNetwork

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite(.serialized, .timeLimit(.minutes(5))) struct `A server at its limits` {
    /// Opens a connection with the plainest means, so that it costs this side next to nothing.
    private static func openRaw(_ port: Int) -> Int32 {
        #if canImport(Glibc)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
            let descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        guard let address = SocketAddress(ip: "127.0.0.1", port: port) else { return -1 }
        let status = address.withSockaddr {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
        return status == 0 ? descriptor : -1
    }

    private static func exchange(_ descriptor: Int32, _ text: String) -> String {
        _ = text.withCString { send(descriptor, $0, text.utf8.count, 0) }
        var answer = [UInt8](repeating: 0, count: 4_096)
        let count = recv(descriptor, &answer, answer.count, 0)
        return String(decoding: answer.prefix(max(0, count)), as: UTF8.self)
    }

    #if os(Linux)
        /// Bytes of the process in memory.
        private static func residentBytes() -> Int {
            guard let file = fopen("/proc/self/statm", "r") else { return 0 }
            defer { fclose(file) }
            var line = [CChar](repeating: 0, count: 256)
            guard fgets(&line, 256, file) != nil else { return 0 }
            let bytes = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
            return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * 4_096
        }

        @Test func `owns no buffer for an idle WebSocket connection`() async throws {
            let test = try await TestServer { $0.webSocket.pingInterval = .seconds(600) }
            let request = test.handshake()
            var descriptors: [Int32] = []
            // What the first connections cost once is not theirs.
            for _ in 0..<100 { descriptors.append(Self.openRaw(test.address.port)) }
            for descriptor in descriptors { _ = Self.exchange(descriptor, request) }
            let before = Self.residentBytes()
            let count = 1_000
            for _ in 0..<count {
                let descriptor = Self.openRaw(test.address.port)
                #expect(descriptor >= 0)
                #expect(Self.exchange(descriptor, request).hasPrefix("HTTP/1.1 101"))
                descriptors.append(descriptor)
            }
            let each = (Self.residentBytes() - before) / count
            #expect(test.server.counters.webSocketsOpened == count + 100)
            // The figure alone is about 2 KiB; other suites run at the same time and allocate too.
            // A buffer for each connection would show all the same.
            #expect(each <= 32 * 1_024)
            for descriptor in descriptors { close(descriptor) }
            await test.stop()
        }
    #endif
}
