import CWeirProcess

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Sockets that listen as long as the supervisor lives, so that clients can wait while no worker does.
final class ListeningSockets: Sendable {
    /// Sockets of one supervisor.
    static let countMax = 64
    /// Connections that the kernel may keep waiting at each (the system may cap it).
    private static let backlog: Int32 = 1_024

    let descriptors: [Int32]
    /// What workers are told: the address asked for, and the descriptor it has in the worker.
    let environmentValue: String
    /// Where it really listens, in the same order.
    let addresses: [ListenAddress]

    init(_ wanted: [ListenAddress]) throws(ProcessSupervisorError) {
        guard wanted.count <= Self.countMax else {
            throw ProcessSupervisorError(
                .invalidArgument,
                "\(wanted.count) addresses to listen on; there can be \(Self.countMax)")
        }
        var descriptors: [Int32] = []
        var addresses: [ListenAddress] = []
        var entries: [String] = []
        do throws(ProcessSupervisorError) {
            for address in wanted {
                let (descriptor, actual) = try Self.listen(on: address)
                descriptors.append(descriptor)
                addresses.append(actual)
                let asked = ListenAddress(host: actual.host, port: address.port)
                entries.append("\(asked)=\(firstPassedDescriptor + descriptors.count - 1)")
            }
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw error
        }
        self.descriptors = descriptors
        self.addresses = addresses
        environmentValue = entries.joined(separator: ",")
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    private static func listen(
        on address: ListenAddress
    ) throws(ProcessSupervisorError) -> (Int32, ListenAddress) {
        var canonical = [CChar](repeating: 0, count: Int(CWP_HOST_SIZE))
        var port: Int32 = 0
        let result = cwp_listen(
            address.host, Int32(clamping: address.port), backlog, &canonical, &port)
        guard result >= 0 else {
            let reason =
                result == -EINVAL
                ? "it is not an IP address" : String(cString: strerror(-result))
            throw ProcessSupervisorError(.notListening, "cannot listen on \(address): \(reason)")
        }
        let end = canonical.firstIndex(of: 0) ?? canonical.endIndex
        let host = String(decoding: canonical[..<end].map(UInt8.init(bitPattern:)), as: UTF8.self)
        return (result, ListenAddress(host: host, port: Int(port)))
    }
}

/// A worker's first descriptor behind standard input, output and error.
let firstPassedDescriptor = 3
