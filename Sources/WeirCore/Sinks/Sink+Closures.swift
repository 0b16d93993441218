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

    /// Calls a closure for each batch.
    @inlinable
    public static func forEachBatch(
        _ action: @escaping @Sendable (Batch<Element>) async throws -> Void
    ) -> Sink {
        Sink("forEachBatch") { _ in CallbackWriter { try await action($0) } }
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
