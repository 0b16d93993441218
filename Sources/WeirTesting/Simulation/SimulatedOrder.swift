/// How often the receiver behind a simulated sink may get an event.
public struct SimulatedGuarantee: Sendable, Hashable {
    let allowsRepetition: Bool

    /// It gets each once: the sink is transactional, its events become final with a checkpoint.
    ///
    /// The default.
    public static let exactlyOnce = SimulatedGuarantee(allowsRepetition: false)
    /// It gets each at least once, and again after a crash: the sink writes at once.
    public static let atLeastOnce = SimulatedGuarantee(allowsRepetition: true)
}

/// In which order the receiver behind a simulated sink has to get its events.
public struct SimulatedOrder<Element>: Sendable {
    enum Kind: Sendable { case whole, perKey, any }
    let kind: Kind
    let key: (@Sendable (Element) -> AnyHashable)?

    /// In the order of the run without faults; the default.
    ///
    /// For streams that neither merge inputs nor run in parallel.
    public static var whole: SimulatedOrder { SimulatedOrder(kind: .whole, key: nil) }

    /// In any order.
    public static var any: SimulatedOrder { SimulatedOrder(kind: .any, key: nil) }

    /// In the order of the run without faults among those of the same key.
    public static func perKey<Key: Hashable & SendableMetatype>(
        _ key: @escaping @Sendable (Element) -> Key
    ) -> SimulatedOrder {
        SimulatedOrder(kind: .perKey, key: { AnyHashable(key($0)) })
    }
}
