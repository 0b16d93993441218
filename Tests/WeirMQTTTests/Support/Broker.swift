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

    let port: Int
    let folder: Folder
    /// What it writes into its log.
    let log = Recorder<String>()
    private let process = Mutex<ChildProcess?>(nil)

    init(settings: [String] = ["allow_anonymous true"]) async throws {
        folder = try Folder()
        port = try Self.freePort()
        let text =
            [
                "listener \(port) 127.0.0.1", "persistence true",
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

    /// A port that nobody uses at this moment.
    private static func freePort() throws -> Int {
        let descriptor = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        try withUnsafeMutablePointer(to: &address) { address in
            try address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                try #require(bind(descriptor, address, length) == 0)
                try #require(getsockname(descriptor, address, &length) == 0)
            }
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }

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
