import Foundation
import Synchronization
import WeirCore

#if canImport(Glibc)
    import Glibc
#endif

/// A TCP proxy that does to connections what networks do, on a thread of its own.
///
/// Faults are set for each direction and may change while connections are open. What is random
/// comes from the seed.
package final class FaultyProxy: Sendable {
    package enum Direction: Int, CaseIterable, Sendable { case toServer, toClient }

    /// What happens to the bytes of a direction; by default nothing.
    package struct Faults: Sendable {
        /// How long bytes are on their way.
        package var delay: Duration = .zero
        /// Bytes that pass in a second; all by default.
        package var bytesPerSecond: Int?
        /// How many bytes are written at once; as many as there are by default.
        package var slices: ClosedRange<Int>?
        /// After how many bytes a connection is reset; drawn for each connection at its begin.
        package var resetAfter: ClosedRange<Int>?
        /// Whether bytes vanish.
        ///
        /// A connection that has lost some is reset when it ends.
        package var isBlackHole = false
        /// Whether nothing is read, so that the sender's buffers fill.
        package var isHeld = false
    }

    package struct Counters: Sendable {
        package var connections = 0
        package var resets = 0
        /// Bytes by direction.
        package var passed = [0, 0]
    }

    private enum Command: Sendable { case reset, end(Direction), stop }

    private struct State: Sendable {
        var faults = [Faults(), Faults()]
        var commands: [Command] = []
        var counters = Counters()
        var hasEnded = false
    }

    package let port: Int
    private let state = Mutex(State())
    private let wakeUp: (read: Int32, write: Int32)

    /// Listens on a port of its own.
    package init(to target: Int, seed: UInt64 = 1) throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw ProxyFailure("pipe", errno) }
        let readEnd = ends[0]
        wakeUp = (readEnd, ends[1])
        let listener = try LoopbackSocket.listening()
        port = try LoopbackSocket.port(of: listener)
        let thread = Thread { [self] in
            var relay = ProxyRelay(
                listener: listener, wakeUp: readEnd, target: target,
                generator: SplitMix64(seed: seed))
            while step(&relay) {}
            relay.closeAll()
            close(readEnd)
            state.withLock { $0.hasEnded = true }
        }
        thread.name = "faulty-proxy"
        thread.start()
    }

    /// Sets what happens in one direction, or in both.
    package func set(
        _ directions: [Direction] = Direction.allCases, _ change: (inout Faults) -> Void
    ) {
        state.withLock { state in
            for direction in directions { change(&state.faults[direction.rawValue]) }
        }
        wake()
    }

    /// Lets everything pass again.
    package func heal() { set { $0 = Faults() } }

    /// Resets all connections that are open.
    package func resetAll() { send(.reset) }

    /// Tells all receivers of a direction that their peer has ended its side.
    package func end(_ direction: Direction) { send(.end(direction)) }

    /// Ends the proxy and all that goes through it.
    package func stop() {
        send(.stop)
        while !state.withLock({ $0.hasEnded }) { sched_yield() }
        close(wakeUp.write)
    }

    package var counters: Counters { state.withLock { $0.counters } }

    private func send(_ command: Command) {
        state.withLock { $0.commands.append(command) }
        wake()
    }

    private func wake() {
        var byte: UInt8 = 0
        _ = write(wakeUp.write, &byte, 1)
    }

    /// One turn; false when the proxy is to end.
    private func step(_ relay: inout ProxyRelay) -> Bool {
        let (faults, commands) = state.withLock { state in
            defer { state.commands.removeAll() }
            return (state.faults, state.commands)
        }
        for command in commands {
            switch command {
            case .reset: relay.resetAll()
            case .end(let direction): relay.end(direction)
            case .stop: return false
            }
        }
        relay.turn(faults)
        state.withLock { $0.counters = relay.counters }
        return true
    }
}

struct ProxyFailure: Error, CustomStringConvertible {
    let description: String

    init(_ call: String, _ number: Int32) {
        description = "\(call): \(String(cString: strerror(number)))"
    }
}

/// Sockets on loopback as the system gives them.
enum LoopbackSocket {
    private static func make() throws -> Int32 {
        #if canImport(Glibc)
            let kind = Int32(SOCK_STREAM.rawValue)
        #else
            let kind = SOCK_STREAM
        #endif
        let descriptor = socket(AF_INET, kind, 0)
        guard descriptor >= 0 else { throw ProxyFailure("socket", errno) }
        return descriptor
    }

    private static func address(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private static func with(
        _ address: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// Has a port of its own, which others may have too that reuse addresses.
    static func bound() throws -> Int32 {
        let descriptor = try make()
        var yes: Int32 = 1
        setsockopt(
            descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        // A child process of a test has to hold no port.
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var address = address(0)
        guard with(&address, { bind(descriptor, $0, $1) }) == 0
        else { throw ProxyFailure("bind", errno) }
        return descriptor
    }

    static func listening() throws -> Int32 {
        let descriptor = try make()
        var address = address(0)
        guard with(&address, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 512) == 0
        else { throw ProxyFailure("listen", errno) }
        return descriptor
    }

    static func port(of descriptor: Int32) throws -> Int {
        var address = sockaddr_in()
        let result = with(&address) { pointer, size in
            var size = size
            return getsockname(descriptor, pointer, &size)
        }
        guard result == 0 else { throw ProxyFailure("getsockname", errno) }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// Nil when nobody listens there.
    static func connected(to port: Int) -> Int32? {
        guard let descriptor = try? make() else { return nil }
        var address = address(port)
        guard with(&address, { connect(descriptor, $0, $1) }) == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// Sends what is written at once, and suspends nobody.
    static func prepare(_ descriptor: Int32) {
        var yes: Int32 = 1
        setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    /// Closes so that the peer sees a reset.
    static func reset(_ descriptor: Int32) {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }
}
