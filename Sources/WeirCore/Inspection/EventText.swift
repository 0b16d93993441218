import WeirBinary
import WeirJSON

/// Events as text.
package enum EventText {
    /// The event as JSON; its description as a string when it can't be encoded.
    static func json(_ event: any Sendable) -> String {
        if let encodable = event as? any Encodable,
            let bytes = try? JSONEventEncoder().encode(encodable)
        {
            return String(decoding: bytes, as: UTF8.self)
        }
        return quoted(String(describing: event))
    }

    /// Text as a string of JSON.
    package static func quoted(_ text: String) -> String { BinaryValue.text(text).description }
}
