import WeirNetwork

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Measures how long a command takes from its start to the first answer, and a killed worker to the next one's.
struct StartUpTime {
    /// The command; `PORT` stands for the port.
    let command: [String]
    let rounds: Int

    func run() async throws {
        var starts: [Duration] = []
        var restarts: [Duration] = []
        for _ in 0..<rounds {
            let port = try await Self.freePort()
            let begin = ContinuousClock.now
            let pid = try spawn(port)
            while Self.ask("who", port) == nil { usleep(100) }
            starts.append(ContinuousClock.now - begin)
            _ = Self.ask("kill", port)
            let death = ContinuousClock.now
            // Nobody answers when nobody supervises the worker.
            if Self.ask("who", port) != nil { restarts.append(ContinuousClock.now - death) }
            _ = Self.ask("exit", port)
            waitpid(pid, nil, 0)
        }
        print("start to first answer:", Self.summary(starts))
        print("death to next answer:", Self.summary(restarts))
    }

    private static func summary(_ times: [Duration]) -> String {
        let sorted = times.sorted()
        guard let last = sorted.last else { return "none" }
        func text(_ time: Duration) -> String {
            "\(((time / .milliseconds(1)) * 10).rounded() / 10) ms"
        }
        return "median \(text(sorted[sorted.count / 2])), slowest \(text(last)) of \(sorted.count)"
    }

    private func spawn(_ port: Int) throws -> pid_t {
        let arguments = command.map {
            $0.split(separator: "PORT", omittingEmptySubsequences: false)
                .joined(separator: "\(port)")
        }
        var copies = arguments.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        copies.append(nil)
        var pid: pid_t = 0
        let variables = ["PATH=\(getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin")"]
        var environment = variables.map { strdup($0) }
        defer { for copy in environment { free(copy) } }
        environment.append(nil)
        let status = posix_spawnp(&pid, arguments.first ?? "", nil, nil, copies, environment)
        guard status == 0 else {
            throw NetworkError(.system, "cannot start \(arguments)")
        }
        return pid
    }

    private static func freePort() async throws -> Int {
        let loop = try Loop(name: "port")
        let port: Int = try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                TCPListener.listen(.init(), on: loop) { _ in
                } completion: { result in
                    let port = result.map(\.address.port)
                    (try? result.get())?.close()
                    continuation.resume(with: port.mapError { $0 })
                }
            }
        }
        await loop.stop()
        return port
    }

    /// Sends a line and reads to the end; nil when there is no answer.
    private static func ask(_ line: String, _ port: Int) -> String? {
        #if canImport(Glibc)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
            let descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { return nil }
        let text = Array("\(line)\n".utf8)
        _ = send(descriptor, text, text.count, Int32(MSG_NOSIGNAL))
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
