import WeirNetwork
import WeirSupervisor

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A worker for tests of supervision, and for measuring how fast one starts.
///
/// `serve PORT` answers connections; `supervise PORT` does so in a worker of its own making; `signals` prints the signals it
/// gets and ends at SIGTERM with 7; `stubborn` prints them and goes on. `time ROUNDS COMMAND…` measures how fast a command with
/// such a worker starts.
@main
struct Fixture {
    static func main() async throws {
        let arguments = CommandLine.arguments
        switch arguments.dropFirst().first {
        case "serve":
            try await serve(port: port(arguments))
        case "supervise":
            let port = port(arguments)
            try await ProcessSupervisor.supervise(
                listening: [ListenAddress(port: port)], intensity: 3, backoff: .none
            ) {
                try await serve(port: port)
            }
        case "signals": printSignals(endsAtSIGTERM: true)
        case "stubborn": printSignals(endsAtSIGTERM: false)
        case "time" where arguments.count > 3:
            let rounds = Int(arguments[2]) ?? 1
            try await StartUpTime(command: Array(arguments[3...]), rounds: rounds).run()
        default: exit(64)
        }
    }

    private static func port(_ arguments: [String]) -> Int {
        arguments.count > 2 ? Int(arguments[2]) ?? 0 : 0
    }

    private static func serve(port: Int) async throws {
        let loop = try Loop(name: "fixture")
        let address: SocketAddress = try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                TCPListener.listen(.init(port: port), on: loop) { connection in
                    connection.handler = Answer()
                    connection.resumeReading()
                } completion: { result in
                    continuation.resume(with: result.map(\.address).mapError { $0 })
                }
            }
        }
        say("listening \(address.port)")
        // Until a client or a signal ends the process.
        while true { try await Task.sleep(for: .seconds(3_600)) }
    }

    private static func printSignals(endsAtSIGTERM: Bool) {
        var signals = sigset_t()
        sigemptyset(&signals)
        let names = [SIGTERM: "SIGTERM", SIGHUP: "SIGHUP", SIGUSR1: "SIGUSR1", SIGUSR2: "SIGUSR2"]
        for signal in names.keys { sigaddset(&signals, signal) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        say("ready \(getpid())")
        while true {
            var signal: Int32 = 0
            guard sigwait(&signals, &signal) == 0 else { continue }
            say(names[signal] ?? "\(signal)")
            if signal == SIGTERM && endsAtSIGTERM { exit(7) }
        }
    }

    /// Writes a line at once, whatever standard output is.
    private static func say(_ line: String) {
        print(line)
        fflush(nil)
    }
}

/// Does what a client's first line says: `who` is answered, `trap` traps, `kill` kills, `exit` ends with 0.
private final class Answer: TCPConnectionHandler {
    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int {
        switch bytes.first {
        case UInt8(ascii: "t"): _ = [0][bytes.count]
        case UInt8(ascii: "k"): kill(getpid(), SIGKILL)
        case UInt8(ascii: "e"): exit(0)
        default:
            _ = connection.write("\(getpid()) \(SupervisedWorker.current?.restarts ?? -1)\n")
            connection.closeGracefully()
        }
        return bytes.count
    }
}
