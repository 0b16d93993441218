/// Collects the finished branches of a topology; a stream that does not end in a sink is refused by the compiler.
@resultBuilder
public enum TopologyBuilder {
    /// A branch that ends in a sink.
    public static func buildExpression(_ pipeline: Pipeline) -> [Pipeline] { [pipeline] }

    /// Several branches, such as a function of the user's returns them.
    public static func buildExpression(_ pipelines: [Pipeline]) -> [Pipeline] { pipelines }

    /// Something that runs beside the streams.
    public static func buildExpression(_ component: any TopologyComponent) -> [Pipeline] {
        [Pipeline(component: component)]
    }

    /// Explains that the stream has no sink.
    @available(
        *, unavailable,
        message: "this stream goes nowhere: end it with .sink(…), for instance .sink(.print)"
    )
    public static func buildExpression<Element: Sendable>(
        _ stream: EventStream<Element>
    ) -> [Pipeline] { [] }

    /// All branches of a block.
    public static func buildBlock(_ parts: [Pipeline]...) -> [Pipeline] { parts.flatMap { $0 } }

    /// Branches under an `if`.
    public static func buildOptional(_ part: [Pipeline]?) -> [Pipeline] { part ?? [] }

    /// The branches of an `if` that holds.
    public static func buildEither(first part: [Pipeline]) -> [Pipeline] { part }

    /// The branches of an `else`.
    public static func buildEither(second part: [Pipeline]) -> [Pipeline] { part }

    /// Branches made in a loop.
    public static func buildArray(_ parts: [[Pipeline]]) -> [Pipeline] { parts.flatMap { $0 } }
}
