import Weir

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The clocks of a load.
enum MonotonicTime {
    /// Nanoseconds of a clock that never jumps.
    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// The time of day to the millisecond, in UTC.
    static var wallClockText: String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let milliseconds = Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
        return EventTime(milliseconds: milliseconds).description
    }

    /// The time of day as seconds since 1970.
    static var secondsSince1970: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The kernel may wake a sleeping thread this much late.
    private static let slack: UInt64 = 60_000
    /// Sleeps are cut into pieces so that a stop is seen soon.
    private static let longestSleep: UInt64 = 50_000_000

    /// Sleeps, and spins at the end; returns early, with false, once `isStopped` says so.
    static func wait(until time: UInt64, orUntil isStopped: () -> Bool) -> Bool {
        while true {
            if isStopped() { return false }
            let now = Self.now
            if now >= time { return true }
            if now + slack < time {
                let rest = min(time - now - slack, longestSleep)
                var pause = timespec(tv_sec: 0, tv_nsec: Int(rest))
                nanosleep(&pause, nil)
            }
        }
    }
}

/// Processor time of this process.
struct ProcessorTime: Sendable {
    let nanoseconds: UInt64

    static var current: ProcessorTime {
        var usage = rusage()
        // RUSAGE_SELF, which Glibc and Darwin import as different types.
        getrusage(0, &usage)
        func nanoseconds(_ time: timeval) -> UInt64 {
            UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_usec) * 1_000
        }
        return ProcessorTime(
            nanoseconds: nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime))
    }
}
