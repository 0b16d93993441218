import Testing
import WeirTestSupport

/// A process under test: its lines of standard output as they come, its standard error, how it ends.
final class Child: Sendable {
    private let process: ChildProcess
    private let lines: Lines
    private let errors: Lines

    var pid: Int32 { process.pid }

    /// Starts one of this package's products.
    init(_ product: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        let (output, onLine) = AsyncStream<String>.makeStream()
        let (error, onError) = AsyncStream<String>.makeStream()
        lines = Lines(output)
        errors = Lines(error)
        process = try ChildProcess(
            Products.path(of: product), arguments,
            environment: ["SWIFT_BACKTRACE": "enable=no"].merging(environment) { $1 },
            output: .lines { onLine.take($0) }, errors: .lines { onError.take($0) })
    }

    /// The next line of standard output; nil when all who hold it have ended.
    func nextLine() async -> String? { await lines.next() }

    /// All of standard error to its end.
    func errorText() async -> String {
        var text = ""
        while let line = await errors.next() { text += line + "\n" }
        return text
    }

    /// Waits for standard output's next line, which is to begin with `word`, and returns its number.
    func number(after word: String) async throws -> Int {
        let line = try #require(await nextLine())
        try #require(line.hasPrefix("\(word) "), "got: \(line)")
        return try #require(Int(line.dropFirst(word.count + 1)))
    }

    func send(_ signal: Int32) { process.send(signal) }

    func waitForEnd() async -> ChildProcess.End { await process.waitForEnd() }
}

extension AsyncStream<String>.Continuation {
    fileprivate func take(_ line: String?) {
        if let line { yield(line) } else { finish() }
    }
}

/// Lines that are taken one by one.
private actor Lines {
    private var iterator: AsyncStream<String>.Iterator

    init(_ stream: AsyncStream<String>) { iterator = stream.makeAsyncIterator() }

    func next() async -> String? {
        var copy = iterator
        let line = await copy.next(isolation: self)
        iterator = copy
        return line
    }
}
