import Foundation
import WeirCore

#if canImport(Glibc)
    import Glibc
#endif

/// The connections of a proxy; used on its thread only.
struct ProxyRelay {
    /// One direction of a connection.
    private struct Way {
        var pieces: [(bytes: ArraySlice<UInt8>, due: UInt64)] = []
        var buffered = 0
        /// When the next byte may pass.
        var nextAt: UInt64 = 0
        var passed = 0
        var resetAt: Int?
        var hasLost = false
        var hasRead = false
        var hasEnded = false
    }

    private struct Pair {
        /// The client's socket and the server's, in the order of the directions' senders.
        let sockets: [Int32]
        var ways = [Way(), Way()]
        var isBroken = false
    }

    private let listener: Int32
    private let wakeUp: Int32
    private let target: Int
    private var generator: SplitMix64
    private var pairs: [Pair] = []
    private(set) var counters = FaultyProxy.Counters()

    private static let bufferedMax = 64 << 10

    init(listener: Int32, wakeUp: Int32, target: Int, generator: SplitMix64) {
        self.listener = listener
        self.wakeUp = wakeUp
        self.target = target
        self.generator = generator
        LoopbackSocket.prepare(listener)
        LoopbackSocket.prepare(wakeUp)
    }

    private static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

    /// Waits for something to do, and does it.
    mutating func turn(_ faults: [FaultyProxy.Faults]) {
        let now = Self.now
        var waits = [
            pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0),
        ]
        var soonest: UInt64 = 100_000_000
        for pair in pairs {
            var events: [Int16] = [0, 0]
            for index in 0..<2 {
                let way = pair.ways[index]
                if !way.hasRead, !faults[index].isHeld, way.buffered < Self.bufferedMax {
                    events[index] |= Int16(POLLIN)
                }
                guard let first = way.pieces.first else { continue }
                let due = max(first.due, way.nextAt)
                if due <= now {
                    events[1 - index] |= Int16(POLLOUT)
                } else {
                    soonest = min(soonest, due - now)
                }
            }
            for index in 0..<2 {
                // A socket of which nothing is wanted would tell of its end again and again.
                let descriptor = events[index] == 0 ? -1 : pair.sockets[index]
                waits.append(pollfd(fd: descriptor, events: events[index], revents: 0))
            }
        }
        let milliseconds = Int32((soonest + 999_999) / 1_000_000)
        guard poll(&waits, nfds_t(waits.count), milliseconds) > 0 else { return }
        if waits[1].revents != 0 {
            var bytes = [UInt8](repeating: 0, count: 64)
            while read(wakeUp, &bytes, bytes.count) == bytes.count {}
            // A connection that waits as well may be meant for the faults that have just been set.
            return
        }
        let count = pairs.count
        for number in 0..<count {
            for index in 0..<2 {
                let way = waits[2 + number * 2 + index].revents
                if way & Int16(POLLIN | POLLHUP | POLLERR) != 0 {
                    take(number, index, faults[index])
                }
                if waits[2 + number * 2 + 1 - index].revents & Int16(POLLOUT) != 0 {
                    pass(number, index, faults[index])
                }
            }
            if pairs[number].ways[0].hasEnded, pairs[number].ways[1].hasEnded {
                finish(number, isReset: pairs[number].ways.contains { $0.hasLost })
            }
        }
        pairs.removeAll { $0.isBroken }
        if waits[0].revents != 0 { acceptAll(faults) }
    }

    private mutating func acceptAll(_ faults: [FaultyProxy.Faults]) {
        while true {
            let client = accept(listener, nil, nil)
            if client < 0 { return }
            counters.connections += 1
            guard let server = LoopbackSocket.connected(to: target) else {
                LoopbackSocket.reset(client)
                continue
            }
            LoopbackSocket.prepare(client)
            LoopbackSocket.prepare(server)
            var pair = Pair(sockets: [client, server])
            for index in 0..<2 {
                pair.ways[index].resetAt = faults[index].resetAfter.map {
                    Int.random(in: $0, using: &generator)
                }
            }
            pairs.append(pair)
        }
    }

    /// Reads what a sender has sent.
    private mutating func take(_ number: Int, _ index: Int, _ faults: FaultyProxy.Faults) {
        if pairs[number].isBroken || pairs[number].ways[index].hasRead { return }
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let count = recv(pairs[number].sockets[index], &bytes, bytes.count, 0)
        if count > 0 {
            if faults.isBlackHole {
                pairs[number].ways[index].hasLost = true
                return
            }
            let due = Self.now &+ faults.delay.inNanoseconds
            pairs[number].ways[index].pieces.append((bytes[..<count], due))
            pairs[number].ways[index].buffered += count
        } else if count == 0 {
            pairs[number].ways[index].hasRead = true
            if pairs[number].ways[index].pieces.isEmpty { endWay(number, index) }
        } else if errno != EAGAIN, errno != EINTR {
            finish(number, isReset: true)
        }
    }

    /// Writes to a receiver what is due.
    private mutating func pass(_ number: Int, _ index: Int, _ faults: FaultyProxy.Faults) {
        if pairs[number].isBroken { return }
        var way = pairs[number].ways[index]
        guard let first = way.pieces.first, max(first.due, way.nextAt) <= Self.now else { return }
        if way.hasLost {
            // What comes behind a gap would not be what was sent.
            finish(number, isReset: true)
            return
        }
        var count = first.bytes.count
        if let slices = faults.slices {
            count = min(count, Int.random(in: slices, using: &generator))
        }
        if let rate = faults.bytesPerSecond { count = min(count, max(1, rate / 100)) }
        if let resetAt = way.resetAt { count = min(count, resetAt - way.passed) }
        let sent = first.bytes.prefix(count).withUnsafeBytes { bytes in
            send(
                pairs[number].sockets[1 - index], bytes.baseAddress, bytes.count,
                Int32(MSG_NOSIGNAL))
        }
        if sent < 0 {
            if errno != EAGAIN, errno != EINTR { finish(number, isReset: true) }
            return
        }
        way.passed += sent
        way.buffered -= sent
        counters.passed[index] += sent
        if sent == first.bytes.count {
            way.pieces.removeFirst()
        } else {
            way.pieces[0].bytes = first.bytes.dropFirst(sent)
        }
        if let rate = faults.bytesPerSecond {
            way.nextAt = Self.now &+ UInt64(sent) * 1_000_000_000 / UInt64(max(1, rate))
        }
        pairs[number].ways[index] = way
        if way.resetAt.map({ way.passed >= $0 }) ?? false {
            finish(number, isReset: true)
        } else if way.hasRead, way.pieces.isEmpty {
            endWay(number, index)
        }
    }

    private mutating func endWay(_ number: Int, _ index: Int) {
        pairs[number].ways[index].hasEnded = true
        shutdown(pairs[number].sockets[1 - index], Int32(SHUT_WR))
    }

    private mutating func finish(_ number: Int, isReset: Bool) {
        if pairs[number].isBroken { return }
        pairs[number].isBroken = true
        if isReset { counters.resets += 1 }
        for descriptor in pairs[number].sockets {
            if isReset { LoopbackSocket.reset(descriptor) } else { close(descriptor) }
        }
    }

    // MARK: Commands

    mutating func resetAll() {
        for number in pairs.indices { finish(number, isReset: true) }
        pairs.removeAll()
    }

    mutating func end(_ direction: FaultyProxy.Direction) {
        for number in pairs.indices where !pairs[number].ways[direction.rawValue].hasRead {
            pairs[number].ways[direction.rawValue].hasRead = true
            if pairs[number].ways[direction.rawValue].pieces.isEmpty {
                endWay(number, direction.rawValue)
            }
        }
    }

    mutating func closeAll() {
        for number in pairs.indices { finish(number, isReset: false) }
        pairs.removeAll()
        close(listener)
    }
}

extension Duration {
    fileprivate var inNanoseconds: UInt64 {
        UInt64(max(0, components.seconds)) * 1_000_000_000
            + UInt64(max(0, components.attoseconds / 1_000_000_000))
    }
}
