import Foundation
import Synchronization
import Testing
import WeirTestSupport

@testable import WeirMQTT

#if canImport(Glibc)
    import Glibc
#endif

/// A mosquitto of a test's own, on a port of its own, that keeps its sessions in a folder.
final class Broker: Sendable {
    static let path = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }
    static var isThere: Bool { path != nil }

    let folder: Folder
    private let reserved: ReservedPort
    /// What it writes into its log.
    let log = Recorder<String>()
    private let process = Mutex<ChildProcess?>(nil)

    init(settings: [String] = ["allow_anonymous true"]) async throws {
        folder = try Folder()
        reserved = try ReservedPort()
        let text =
            [
                "listener \(reserved.number) 127.0.0.1", "persistence true",
                "persistence_location \(folder.path)/", "log_dest stderr", "log_type all",
                "max_inflight_messages 0", "max_queued_messages 0", "user \(NSUserName())",
            ] + settings.map { $0.replacingOccurrences(of: "FOLDER", with: folder.path) }
        try text.joined(separator: "\n").appending("\n")
            .write(toFile: "\(folder.path)/mosquitto.conf", atomically: true, encoding: .utf8)
    }

    /// A running broker that lets nobody in.
    static func refusing() async throws -> Broker {
        let broker = try await Broker(settings: [
            "allow_anonymous false", "password_file FOLDER/passwords",
        ])
        try "".write(
            toFile: "\(broker.folder.path)/passwords", atomically: true, encoding: .utf8)
        try await broker.start()
        return broker
    }

    var port: Int { reserved.number }

    /// Starts it, or starts it again, and waits until it listens.
    func start() async throws {
        let before = count { $0.contains("mosquitto version") && $0.contains("running") }
        let ends = count { $0 == Self.end }
        let log = log
        let process = try ChildProcess(
            try #require(Self.path), ["-c", folder("mosquitto.conf")],
            output: .lines { log.append($0 ?? Self.end) })
        self.process.withLock { $0 = process }
        let lines = await log.wait { lines in
            lines.count { $0 == Self.end } > ends
                || lines.count { $0.contains("mosquitto version") && $0.contains("running") }
                    > before
        }
        if lines.last == Self.end {
            throw BrokerFailure(description: lines.suffix(5).joined(separator: "\n"))
        }
    }

    /// What stands for the end of the process in the log.
    private static let end = "the end"

    private func count(_ condition: (String) -> Bool) -> Int { log.values.count(where: condition) }

    /// Waits until the log speaks of something.
    func waitForLog(_ text: String, times: Int = 1) async {
        await log.wait(for: times) { $0.contains(text) }
    }

    func signal(_ number: Int32) {
        process.withLock { $0?.send(number) }
    }

    /// Ends it as a power failure would.
    func crash() async {
        let ends = count { $0 == Self.end }
        await process.withLock { $0 }?.stop()
        await log.wait { lines in lines.count { $0 == Self.end } > ends }
    }

    var url: String { "mqtt://127.0.0.1:\(port)" }

    /// Publishes by mosquitto's own client.
    func publish(_ arguments: String...) async throws {
        let path = try #require(Self.path).replacingOccurrences(of: "sbin", with: "bin") + "_pub"
        let process = try ChildProcess(path, ["-h", "127.0.0.1", "-p", "\(port)"] + arguments)
        #expect(await process.waitForEnd().status == 0)
    }
}

struct BrokerFailure: Error, CustomStringConvertible {
    let description: String
}
