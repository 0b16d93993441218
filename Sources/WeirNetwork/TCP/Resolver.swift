import CLibUV

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Turns a host name into addresses on libuv's thread pool.
final class Resolver {
    typealias Completion = (Result<[SocketAddress], NetworkError>) -> Void

    /// Addresses that are taken of one answer.
    private static let maximumAddresses = 16

    private let name: String
    private let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
    private var completion: Completion?

    private init(name: String, completion: @escaping Completion) {
        self.name = name
        self.completion = completion
    }

    /// Resolves `host`; literals and `localhost` are answered at once, without a look-up.
    ///
    /// The completion runs on the loop's thread, exactly once.
    static func resolve(
        _ host: String, port: Int, on loop: Loop, _ completion: @escaping Completion
    ) {
        loop.preconditionOnLoop()
        guard (0...65_535).contains(port), !host.isEmpty, !host.utf8.contains(0) else {
            let problem = "\(host):\(port) is not an address; a port is 0 to 65535"
            completion(.failure(NetworkError(.invalidArgument, problem)))
            return
        }
        let literal = host == "localhost" ? "127.0.0.1" : host
        if let address = SocketAddress(ip: literal, port: port) {
            completion(.success([address]))
            return
        }
        if loop.isStopped {
            completion(.failure(NetworkError(.closed, "the loop \(loop.name) is stopped")))
            return
        }
        Resolver(name: "\(host):\(port)", completion: completion).start(host, port, loop)
    }

    private func start(_ host: String, _ port: Int, _ loop: Loop) {
        request.pointee.data = Unmanaged.passRetained(self).toOpaque()
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_protocol = Int32(IPPROTO_TCP)
        let status = uv_getaddrinfo(
            loop.uv, request,
            { request, status, list in
                defer { uv_freeaddrinfo(list) }
                guard let data = request?.pointee.data else { return }
                let resolver = Unmanaged<Resolver>.fromOpaque(data).takeRetainedValue()
                resolver.finish(status, list)
            }, host, "\(port)", &hints)
        if status < 0 {
            Unmanaged.passUnretained(self).release()
            finish(status, nil)
        }
    }

    private func finish(_ status: Int32, _ list: UnsafeMutablePointer<addrinfo>?) {
        guard let completion else { return }
        self.completion = nil
        if status < 0 {
            completion(.failure(NetworkError(uv: status, "resolving", name)))
            return
        }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next, addresses.count < Self.maximumAddresses {
            if let raw = entry.pointee.ai_addr, let address = SocketAddress(raw) {
                addresses.append(address)
            }
            next = entry.pointee.ai_next
        }
        if addresses.isEmpty {
            completion(
                .failure(NetworkError(.addressNotAvailable, "\(name) has no usable address")))
        } else {
            completion(.success(addresses))
        }
    }

    deinit { request.deallocate() }
}
