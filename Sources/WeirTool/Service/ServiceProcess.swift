import Foundation
import Synchronization
import WeirCore

/// A service's own binary that is asked, by an environment variable, to answer instead of running.
struct ServiceProcess {
    let command: [String]
    let variable: String
    let value: String
    let marker: String
    /// How long the service may take until it begins to answer; nil for any time.
    var timeout: Duration?

    /// What came behind the marker, and how the process ended.
    struct Answer {
        var json: String?
        var status: Int32
    }

    /// Runs it to its end.
    ///
    /// - Parameter line: Gets each line of its standard output but for the answer.
    func run(_ line: (String) throws -> Void) throws -> Answer {
        guard let name = command.first, let executable = Self.find(name) else {
            throw ToolFailure(
                status: 127, "the service '\(command.first ?? "")' can't be found or started")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = Array(command.dropFirst())
        process.environment = ProcessInfo.processInfo.environment.merging(
            // A service that supervises itself answers in its first process.
            [variable: value, "WEIR_WORKER": "1"]
        ) { _, new in new }
        let output = Pipe()
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        Interruption.begin()
        defer { Interruption.end() }
        do {
            try process.run()
        } catch {
            throw ToolFailure(status: 127, "the service '\(name)' can't be started: \(error)")
        }
        Interruption.started(process)
        let watchdog = timeout.map { Watchdog(process, after: $0) }
        var answer = Answer(json: nil, status: 0)
        var lines = LineBuffer()
        var isAnswer = false
        do {
            answer.status = try Self.follow(process, output.fileHandleForReading) { bytes in
                try lines.add(bytes) { text in
                    if isAnswer {
                        answer.json = text
                        isAnswer = false
                    } else if text == marker {
                        isAnswer = true
                    } else if !text.isEmpty {
                        try line(text)
                    }
                }
            }
        } catch {
            kill(process.processIdentifier, SIGKILL)
            throw error
        }
        if watchdog?.cancel() == true {
            throw ToolFailure(
                status: 70,
                "the service started no topology within \(timeout.map { "\($0)" } ?? "its time")")
        }
        return answer
    }

    /// Reads what a process writes until it has ended; returns its status as a shell has it.
    ///
    /// Processes that it has started may live on and hold its output: nobody waits for them.
    private static func follow(
        _ process: Process, _ output: FileHandle, _ onBytes: (Data) throws -> Void
    ) rethrows -> Int32 {
        var isOpen = true
        var status: Int32?
        while true {
            // Before the output: what it has written is there when it has ended.
            status = status ?? Self.status(of: process)
            var polled = pollfd(fd: output.fileDescriptor, events: Int16(POLLIN), revents: 0)
            let isReadable = poll(&polled, isOpen ? 1 : 0, status == nil ? 50 : 0) > 0
            if isReadable {
                let bytes = output.availableData
                isOpen = !bytes.isEmpty
                try onBytes(bytes)
            } else if let status {
                return status
            }
        }
    }

    /// The status of a process that has ended; nil while it runs.
    private static func status(of process: Process) -> Int32? {
        var status: Int32 = 0
        let found = waitpid(process.processIdentifier, &status, WNOHANG)
        if found == 0 { return nil }
        Interruption.collected()
        if found > 0 { return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F }
        // Foundation has seen it first.
        process.waitUntilExit()
        return process.terminationStatus
            + (process.terminationReason == .uncaughtSignal ? 128 : 0)
    }

    /// What the answer says, or why there is none.
    func decode<Report: Decodable>(_ type: Report.Type, from answer: Answer) throws -> Report {
        guard let json = answer.json else {
            throw ToolFailure(
                status: 70,
                "the service ended with status \(answer.status) before it started a topology; it has "
                    + "to call run() or start() of the topology, and to use this version of Weir")
        }
        let bytes = Data(json.utf8)
        if let failure = try? JSONDecoder().decode(InspectionFailure.self, from: bytes) {
            throw ToolFailure(status: failure.isMissing ? 66 : 65, failure.failure)
        }
        do {
            return try JSONDecoder().decode(Report.self, from: bytes)
        } catch {
            throw ToolFailure(status: 70, "the service's answer can't be read: \(error)")
        }
    }

    /// The path of a program, as a shell finds it.
    private static func find(_ name: String) -> String? {
        if name.contains("/") {
            return FileManager.default.isExecutableFile(atPath: name) ? name : nil
        }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(name)" }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }
}

/// Ends the service when this process is interrupted: it is in a group of its own, so that a
/// terminal doesn't do it.
private enum Interruption {
    private static let signals = [SIGINT, SIGTERM]
    /// The service; 0 as long as there is none.
    private static let service = Atomic<Int32>(0)
    /// The signal that came; 0 for none.
    private static let interruption = Atomic<Int32>(0)

    /// To be called before the service is started.
    static func begin() {
        service.store(0, ordering: .sequentiallyConsistent)
        interruption.store(0, ordering: .sequentiallyConsistent)
        // Only calls that a handler may make.
        for number in signals {
            signal(number) { number in
                Interruption.interruption.store(number, ordering: .sequentiallyConsistent)
                Interruption.take(number)
            }
        }
    }

    /// The service has been started.
    static func started(_ process: Process) {
        service.store(process.processIdentifier, ordering: .sequentiallyConsistent)
        let number = interruption.load(ordering: .sequentiallyConsistent)
        if number != 0 { take(number) }
    }

    /// The service has been waited for: its number may become another process's.
    static func collected() { service.store(0, ordering: .sequentiallyConsistent) }

    /// The service has ended; so does this process when that was by an interruption.
    static func end() {
        let number = interruption.load(ordering: .sequentiallyConsistent)
        if number != 0 { _exit(128 + number) }
        for number in signals { signal(number, SIG_DFL) }
    }

    private static func take(_ number: Int32) {
        let identifier = service.load(ordering: .sequentiallyConsistent)
        if identifier == 0 { return }
        kill(identifier, SIGKILL)
        _exit(128 + number)
    }
}

/// Ends a process that takes too long.
private final class Watchdog {
    private let item: DispatchWorkItem
    private let process: Process
    private let fired = Fired()

    private final class Fired: Sendable {
        let flag = Mutex(false)
    }

    init(_ process: Process, after timeout: Duration) {
        self.process = process
        let identifier = process.processIdentifier
        let fired = fired
        item = DispatchWorkItem {
            fired.flag.withLock { $0 = true }
            kill(identifier, SIGKILL)
        }
        let seconds = Double(timeout.components.seconds)
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds, execute: item)
    }

    /// Returns whether it came too late.
    func cancel() -> Bool {
        item.cancel()
        return fired.flag.withLock { $0 }
    }
}

/// Cuts output into lines.
struct LineBuffer {
    private var rest: [UInt8] = []

    mutating func add(_ bytes: Data, _ line: (String) throws -> Void) rethrows {
        rest.append(contentsOf: bytes)
        var start = 0
        while let end = rest[start...].firstIndex(of: 0x0A) {
            try line(String(decoding: rest[start..<end], as: UTF8.self))
            start = end + 1
        }
        rest.removeFirst(start)
    }
}

/// Why a command can't do what it is asked for, with its exit status.
struct ToolFailure: Error, CustomStringConvertible {
    let status: Int32
    let description: String

    init(status: Int32, _ description: String) {
        self.status = status
        self.description = description
    }
}

/// Standard error, and the exit statuses that the commands share.
enum ToolOutput {
    static func note(_ text: String) {
        FileHandle.standardError.write(Data("\(text)\n".utf8))
    }

    /// Runs a command; its failure becomes a line on standard error and a status.
    static func reporting<Value>(_ name: String, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let failure as ToolFailure {
            note("weir \(name): \(failure)")
            throw ExitStatus.of(failure.status)
        } catch let missing as MissingFromStore {
            note("weir \(name): \(missing)")
            throw ExitStatus.of(66)
        } catch let error as StoreError {
            note("weir \(name): \(error)")
            throw ExitStatus.of(1)
        }
    }
}
