#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// How often the kernel has killed a process for want of memory, as far as this process may know.
///
/// The control group's counter speaks of the service alone; where there is none, that of the whole machine has to do.
struct OutOfMemoryKills: Sendable {
    private let path: String?

    /// Finds the counter that is nearest to this process.
    init() {
        let groups = readSmallFile("/proc/self/cgroup") ?? ""
        path = Self.candidates(groups).first { Self.count(in: readSmallFile($0) ?? "") != nil }
    }

    /// The count now; nil when the system does not tell.
    var count: Int? { path.flatMap { readSmallFile($0) }.flatMap { Self.count(in: $0) } }

    /// What the counts before and after a worker's life say about its end by SIGKILL.
    static func verdict(before: Int?, after: Int?) -> ExitReason.MemoryShortage {
        guard let before, let after else { return .possible }
        return after > before ? .certain : .unlikely
    }

    /// The files that may hold the counter, for the text of `/proc/self/cgroup`.
    static func candidates(_ groups: String) -> [String] {
        var paths: [String] = []
        for line in groups.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let group = fields[2] == "/" ? "" : fields[2]
            if fields[0] == "0" && fields[1].isEmpty {
                paths.append("/sys/fs/cgroup\(group)/memory.events")
            } else if fields[1].split(separator: ",").contains("memory") {
                paths.append("/sys/fs/cgroup/memory\(group)/memory.oom_control")
            }
        }
        return paths + ["/proc/vmstat"]
    }

    /// The number behind `oom_kill` in such a file.
    static func count(in text: String) -> Int? {
        for line in text.split(separator: "\n") where line.hasPrefix("oom_kill ") {
            return Int(line.dropFirst("oom_kill ".count))
        }
        return nil
    }
}

/// The text of a small file of the kernel; nil when it cannot be read.
private func readSmallFile(_ path: String) -> String? {
    let sizeMax = 65_536
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4_096)
    while bytes.count < sizeMax {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0 { return nil }
        if count == 0 { break }
        bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
}
