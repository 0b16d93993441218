import CLibUV
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Listening sockets that whoever started this process has opened for it.
///
/// `WEIR_LISTEN_FDS` comes from a process supervisor: `127.0.0.1:8080=3,[::1]:9000=4`, each with the address that is asked
/// for (its port may be 0). `LISTEN_FDS` with `LISTEN_PID` comes from systemd: so many descriptors from 3 on. The descriptors
/// stay open to the end of the process; listeners get duplicates, so that a restarted stage can listen again.
final class InheritedSockets: Sendable {
    /// Those of this process.
    static let shared = InheritedSockets(processID: getpid()) { name in
        getenv(name).map { String(cString: $0) }
    }

    static let variable = "WEIR_LISTEN_FDS"
    /// Sockets that are taken over at most.
    static let countMax = 64

    struct Entry: Sendable, Equatable {
        let asked: SocketAddress
        let descriptor: Int32
        var isTaken = false
    }

    /// A listener's hold on an inherited socket.
    struct Claim: Sendable {
        /// A duplicate that the listener closes.
        let descriptor: Int32
        fileprivate let index: Int
        fileprivate let owner: InheritedSockets

        /// Lets another listener have the socket.
        func release() { owner.entries.withLock { $0[index].isTaken = false } }
    }

    private let entries: Mutex<[Entry]>
    private let problem: NetworkError?

    init(processID: Int32, _ value: (String) -> String?) {
        do throws(NetworkError) {
            var entries = try Self.parse(value(Self.variable) ?? "")
            entries += try Self.fromSystemd(processID, value)
            for entry in entries { cuv_close_on_exec(entry.descriptor) }
            self.entries = Mutex(entries)
            problem = nil
        } catch {
            entries = Mutex([])
            problem = error
        }
    }

    /// Takes the socket for an address; nil when there is none, or another listener has it.
    ///
    /// - Throws: When the environment does not say what it should, or the descriptor is not such a socket.
    func take(_ wanted: SocketAddress, backlog: Int32) throws(NetworkError) -> Claim? {
        if let problem { throw problem }
        let wanted = wanted.canonical
        let found = entries.withLock { entries -> (Int, Int32)? in
            guard
                let index = entries.firstIndex(where: { $0.asked == wanted && !$0.isTaken })
            else { return nil }
            entries[index].isTaken = true
            return (index, entries[index].descriptor)
        }
        guard let (index, original) = found else { return nil }
        let descriptor = cuv_adopt_listener(original, backlog)
        let claim = Claim(descriptor: descriptor, index: index, owner: self)
        guard descriptor >= 0 else {
            claim.release()
            let why = uv_strerror(descriptor).map { String(cString: $0) } ?? "unknown error"
            throw Self.refusal("descriptor \(original) is no listening TCP socket: \(why)")
        }
        let actual = SocketAddress.local(of: descriptor)
        guard let actual, actual.ip == wanted.ip, wanted.port == 0 || actual.port == wanted.port
        else {
            cuv_close(descriptor)
            claim.release()
            let place = actual.map { "\($0)" } ?? "another kind of address"
            throw Self.refusal("descriptor \(original) listens on \(place), not on \(wanted)")
        }
        return claim
    }

    /// Reads the variable's text.
    static func parse(_ text: String) throws(NetworkError) -> [Entry] {
        var entries: [Entry] = []
        for item in text.split(separator: ",") {
            guard let equals = item.lastIndex(of: "="),
                let asked = address(item[..<equals]),
                let descriptor = Int32(item[item.index(after: equals)...]), descriptor > 2
            else {
                throw refusal("'\(item)' is not an address and a descriptor")
            }
            entries.append(Entry(asked: asked, descriptor: descriptor))
        }
        guard entries.count <= countMax else {
            throw refusal("\(entries.count) sockets are more than \(countMax)")
        }
        return entries
    }

    private static func address(_ text: Substring) -> SocketAddress? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return SocketAddress(ip: String(host), port: port)?.canonical
    }

    private static func fromSystemd(
        _ processID: Int32, _ value: (String) -> String?
    ) throws(NetworkError) -> [Entry] {
        guard let owner = value("LISTEN_PID"), Int32(owner) == processID else { return [] }
        guard let count = value("LISTEN_FDS").flatMap({ Int32($0) }),
            (0...Int32(countMax)).contains(count)
        else {
            throw NetworkError(
                .invalidArgument, "LISTEN_FDS is not a number from 0 to \(countMax)")
        }
        // What is not TCP is for somebody else in this process.
        return (3..<3 + count).compactMap { descriptor in
            SocketAddress.local(of: descriptor).map { Entry(asked: $0, descriptor: descriptor) }
        }
    }

    private static func refusal(_ what: String) -> NetworkError {
        NetworkError(
            .invalidArgument,
            "the environment variable \(variable) is wrong: \(what); unset it, or write "
                + "127.0.0.1:8080=3,[::1]:9000=4 with the descriptors of listening sockets")
    }
}
