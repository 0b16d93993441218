/// The value of the event before, if there was one.
///
/// It tells nothing yet from a nil in it, which an optional of an optional in a checkpoint doesn't.
@usableFromInline
struct LastValue<Value> {
    @usableFromInline var value: Value?

    @inlinable
    init() {}
}

extension LastValue: Sendable where Value: Sendable {}

extension LastValue: Codable where Value: Codable {
    private enum CodingKeys: String, CodingKey { case isKnown, value }

    @usableFromInline
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if try container.decode(Bool.self, forKey: .isKnown) {
            value = .some(try container.decode(Value.self, forKey: .value))
        }
    }

    @usableFromInline
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(value != nil, forKey: .isKnown)
        if let value { try container.encode(value, forKey: .value) }
    }
}
