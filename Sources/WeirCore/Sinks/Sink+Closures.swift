#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#endif

extension Sink {
    /// Calls a closure for each event.
    ///
    /// When the closure throws, the events of its batch come again after a restart: at least once.
    @inlinable
    public static func forEach(
        _ action: @escaping @Sendable (Element) async throws -> Void
    ) -> Sink {
        Sink("forEach") { _ in
            CallbackWriter { batch in
                for event in batch.elements { try await action(event) }
            }
        }
    }

    /// Calls a closure that never waits for each event.
    ///
    /// As long as it takes next to no time it runs on the thread of the stage before it, which costs less than to wake
    /// another one. When the closure throws, the events of its batch come again after a restart: at least once.
    @inlinable
    public static func forEach(
        _ action: @escaping @Sendable (Element) throws -> Void
    ) -> Sink {
        Sink("forEach") { _ in
            ImmediateWriter { batch in
                for event in batch.elements { try action(event) }
            }
        }
    }

    /// Calls a closure for each batch.
    @inlinable
    public static func forEachBatch(
        _ action: @escaping @Sendable (Batch<Element>) async throws -> Void
    ) -> Sink {
        Sink("forEachBatch") { _ in CallbackWriter { try await action($0) } }
    }

    /// Calls a closure that never waits for each batch.
    ///
    /// As long as it takes next to no time it runs on the thread of the stage before it.
    @inlinable
    public static func forEachBatch(
        _ action: @escaping @Sendable (Batch<Element>) throws -> Void
    ) -> Sink {
        Sink("forEachBatch") { _ in ImmediateWriter { try action($0) } }
    }

    /// Prints each event on a line of standard output.
    @inlinable
    public static var print: Sink {
        Sink("print") { _ in
            CallbackWriter { batch in
                var text = ""
                for event in batch.elements { Swift.print(event, to: &text) }
                printNow(text)
            }
        }
    }
}

/// Prints at once, also into a pipe.
@usableFromInline
func printNow(_ text: String) {
    print(text, terminator: "")
    fflush(nil)
}

/// A writer made of a closure that never waits.
@usableFromInline
final class ImmediateWriter<Element: Sendable>: SinkWriter {
    @usableFromInline let callback: (Batch<Element>) throws -> Void

    @inlinable
    init(_ callback: @escaping (Batch<Element>) throws -> Void) {
        self.callback = callback
    }

    @inlinable
    func write(_ batch: Batch<Element>) async throws {
        try callback(batch)
    }
}
