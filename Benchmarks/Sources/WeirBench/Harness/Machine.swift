import Foundation

/// The machine, toolchain and commit that a report was measured with.
struct Machine: Codable, Sendable {
    let cpu: String
    let cores: Int
    /// Load averages over 1, 5 and 15 minutes, before the first benchmark.
    let load: [Double]
    let system: String
    let swift: String
    let commit: String
    let date: String
    let optimised: Bool

    static func current() -> Machine {
        Machine(
            cpu: cpuModel(),
            cores: ProcessInfo.processInfo.activeProcessorCount,
            load: loadAverages(),
            system: ProcessInfo.processInfo.operatingSystemVersionString,
            swift: firstLine("swift", "--version") ?? "unknown",
            commit: commit(),
            date: Date().formatted(.iso8601),
            optimised: isOptimised())
    }

    var summary: String {
        let load = load.map { $0.formatted3 }.joined(separator: " ")
        let warning = optimised ? "" : "\nNOT AN OPTIMISED BUILD: these figures say nothing."
        return [
            "\(cpu), \(cores) cores, load \(load)", system, swift, "commit \(commit)", date,
        ].joined(separator: "; ") + warning
    }

    private static func cpuModel() -> String {
        let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
        let line = text?.split(separator: "\n").first { $0.hasPrefix("model name") }
        let name = line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces)
        return name ?? firstLine("sysctl", "-n", "machdep.cpu.brand_string") ?? "unknown"
    }

    static func loadAverages() -> [Double] {
        var averages = [Double](repeating: 0, count: 3)
        let count = getloadavg(&averages, 3)
        return Array(averages.prefix(max(0, Int(count))))
    }

    private static func commit() -> String {
        guard let commit = firstLine("git", "rev-parse", "--short=12", "HEAD") else {
            return "unknown"
        }
        let isDirty = firstLine("git", "status", "--porcelain") != nil
        return isDirty ? "\(commit) with changes" : commit
    }

    private static func isOptimised() -> Bool {
        var isDebug = false
        func mark() -> Bool {
            isDebug = true
            return true
        }
        assert(mark())
        return !isDebug
    }

    private static func firstLine(_ command: String...) -> String? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        return String(decoding: data, as: UTF8.self).split(separator: "\n").first.map(String.init)
    }
}
