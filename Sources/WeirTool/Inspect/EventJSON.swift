import WeirBinary
import WeirCore

/// Values of state as strict JSON: what JSON has no number for is a string.
enum EventJSON {
    static func text(_ value: BinaryValue) -> String {
        switch value {
        case .float(let number) where !number.isFinite: "\"\(number)\""
        case .double(let number) where !number.isFinite: "\"\(number)\""
        case .array(let elements): "[\(elements.map(text).joined(separator: ","))]"
        case .keyed(let members):
            "{"
                + members.map { "\(EventText.quoted($0.name)):\(text($0.value))" }.joined(
                    separator: ",")
                + "}"
        default: value.description
        }
    }
}
