/// The events of a window, in the order of their arrival as far as its panes keep it.
public struct CollectedEvents<Element: Sendable>: Sendable {
    /// The first events, no more than the bound allows.
    public internal(set) var events: [Element] = []
    /// How many more there were.
    public internal(set) var omitted = 0
}

extension CollectedEvents: Equatable where Element: Equatable {}
extension CollectedEvents: Hashable where Element: Hashable {}
extension CollectedEvents: Encodable where Element: Encodable {}
extension CollectedEvents: Decodable where Element: Decodable {}

@usableFromInline
struct CollectFold<Element: Sendable>: WindowFold, Sendable {
    private let maximum: Int

    @usableFromInline
    init(maximum: Int) {
        self.maximum = max(0, maximum)
    }

    @usableFromInline var combines: Bool { true }
    @usableFromInline func initial() -> CollectedEvents<Element> { CollectedEvents() }

    @usableFromInline
    func add(_ input: Element, to collected: inout CollectedEvents<Element>) {
        if collected.events.count < maximum {
            collected.events.append(input)
        } else {
            collected.omitted += 1
        }
    }

    @usableFromInline
    func combine(
        _ other: CollectedEvents<Element>, into collected: inout CollectedEvents<Element>
    ) {
        // A checkpoint may have more than the bound allows now.
        let room = max(0, maximum - collected.events.count)
        collected.events.append(contentsOf: other.events.prefix(room))
        collected.omitted += other.omitted + max(0, other.events.count - room)
    }

    @usableFromInline
    func result(of collected: CollectedEvents<Element>) -> CollectedEvents<Element> { collected }
}
