/// The negotiation of permessage-deflate (RFC 7692, section 7.1); pure functions.
enum DeflateNegotiation {
    static let name = "permessage-deflate"

    /// The parameters of one offer or answer.
    struct Parameters: Equatable {
        var serverKeepsNoWindow = false
        var clientKeepsNoWindow = false
        var serverWindowBits: Int?
        /// Whether the client's window is spoken of, with or without a size.
        var hasClientWindow = false
        var clientWindowBits: Int?

        /// Reads one element of the header; `nil` for another extension or one that is not valid.
        init?(_ element: String) {
            var parts = element.utf8.split(
                separator: UInt8(ascii: ";"), omittingEmptySubsequences: false
            ).map { String(HTTPSyntax.trimmed($0)) }[...]
            guard let name = parts.popFirst(), name == DeflateNegotiation.name else { return nil }
            var seen: Set<String> = []
            for part in parts {
                guard let (name, value) = Self.parameter(part), seen.insert(name).inserted,
                    take(name, value)
                else { return nil }
            }
        }

        init() {}

        private mutating func take(_ name: String, _ value: String?) -> Bool {
            switch name {
            case "server_no_context_takeover":
                serverKeepsNoWindow = true
                return value == nil
            case "client_no_context_takeover":
                clientKeepsNoWindow = true
                return value == nil
            case "server_max_window_bits":
                serverWindowBits = value.flatMap(Self.windowBits)
                return serverWindowBits != nil
            case "client_max_window_bits":
                hasClientWindow = true
                clientWindowBits = value.flatMap(Self.windowBits)
                return value == nil || clientWindowBits != nil
            default: return false
            }
        }

        /// A name and its value, which may stand in quotes.
        private static func parameter(_ text: String) -> (name: String, value: String?)? {
            let parts = text.utf8.split(
                separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let name = HTTPSyntax.trimmed(parts[0])
            guard !name.isEmpty, name.allSatisfy(HTTPSyntax.isToken) else { return nil }
            guard parts.count > 1 else { return (String(name), nil) }
            var value = HTTPSyntax.trimmed(parts[1])
            let quote = UInt8(ascii: "\"")
            if value.count >= 2, value.first == quote, value.last == quote {
                value = value.dropFirst().dropLast()
            }
            guard !value.isEmpty, value.allSatisfy(HTTPSyntax.isToken) else { return nil }
            return (String(name), String(value))
        }

        /// 8 to 15 without leading zeros.
        private static func windowBits(_ text: String) -> Int? {
            guard let bits = Int(text), (8...15).contains(bits), "\(bits)" == text else {
                return nil
            }
            return bits
        }

        /// The form on the wire.
        var text: String {
            var text = DeflateNegotiation.name
            if serverKeepsNoWindow { text += "; server_no_context_takeover" }
            if clientKeepsNoWindow { text += "; client_no_context_takeover" }
            if let serverWindowBits { text += "; server_max_window_bits=\(serverWindowBits)" }
            if let clientWindowBits {
                text += "; client_max_window_bits=\(clientWindowBits)"
            } else if hasClientWindow {
                text += "; client_max_window_bits"
            }
            return text
        }
    }

    // MARK: Server

    /// Chooses the first of a client's offers that can be met; `nil` for none.
    ///
    /// - Parameter offers: The elements of `Sec-WebSocket-Extensions`.
    static func accept(
        _ offers: [String], _ wanted: WebSocketCompression?
    ) -> (answer: String, agreement: DeflateAgreement)? {
        guard let wanted = wanted?.inRange,
            let offer = offers.lazy.compactMap({ Parameters($0) }).first
        else { return nil }
        var answer = Parameters()
        answer.serverKeepsNoWindow = offer.serverKeepsNoWindow || !wanted.keepsWindow
        answer.clientKeepsNoWindow = offer.clientKeepsNoWindow || !wanted.peerKeepsWindow
        let own = min(offer.serverWindowBits ?? 15, wanted.windowBits)
        if offer.serverWindowBits != nil || own < 15 { answer.serverWindowBits = own }
        // A client that does not speak of its window cannot be told its size.
        if offer.hasClientWindow {
            let bits = min(offer.clientWindowBits ?? 15, wanted.peerWindowBits)
            answer.hasClientWindow = bits < 15
            if bits < 15 { answer.clientWindowBits = bits }
        }
        let agreement = agreement(
            wanted, ownBits: own, keepsNoWindow: answer.serverKeepsNoWindow,
            peerBits: answer.clientWindowBits ?? 15,
            peerKeepsNoWindow: answer.clientKeepsNoWindow)
        return (answer.text, agreement)
    }

    // MARK: Client

    /// What a client offers.
    static func offer(_ wanted: WebSocketCompression) -> String {
        let wanted = wanted.inRange
        var offer = Parameters()
        offer.clientKeepsNoWindow = !wanted.keepsWindow
        offer.serverKeepsNoWindow = !wanted.peerKeepsWindow
        offer.hasClientWindow = true
        if wanted.windowBits < 15 { offer.clientWindowBits = wanted.windowBits }
        if wanted.peerWindowBits < 15 { offer.serverWindowBits = wanted.peerWindowBits }
        return offer.text
    }

    /// Checks a server's answer; `nil` when it declines.
    ///
    /// - Parameter answer: The elements of `Sec-WebSocket-Extensions`.
    /// - Throws: ``HTTPError`` for an answer that does not fit the offer.
    static func agree(
        _ answer: [String], _ wanted: WebSocketCompression?
    ) throws(HTTPError) -> DeflateAgreement? {
        guard let element = answer.first else { return nil }
        guard let wanted = wanted?.inRange, answer.count == 1 else {
            throw HTTPError(502, "the server chose an extension that was not offered")
        }
        guard let chosen = Parameters(element),
            chosen.hasClientWindow == (chosen.clientWindowBits != nil),
            wanted.peerKeepsWindow || chosen.serverKeepsNoWindow,
            wanted.peerWindowBits == 15
                || chosen.serverWindowBits.map({ $0 <= wanted.peerWindowBits }) == true,
            (chosen.clientWindowBits ?? 8) <= wanted.windowBits
        else { throw HTTPError(502, "the server's permessage-deflate does not fit the offer") }
        return agreement(
            wanted, ownBits: chosen.clientWindowBits ?? wanted.windowBits,
            keepsNoWindow: chosen.clientKeepsNoWindow || !wanted.keepsWindow,
            peerBits: chosen.serverWindowBits ?? 15, peerKeepsNoWindow: chosen.serverKeepsNoWindow)
    }

    // MARK: Both

    private static func agreement(
        _ wanted: WebSocketCompression, ownBits: Int, keepsNoWindow: Bool, peerBits: Int,
        peerKeepsNoWindow: Bool
    ) -> DeflateAgreement {
        var sending = wanted
        sending.keepsWindow = !keepsNoWindow
        // zlib has no window of 256 bytes: asked for 8 bits it quietly compresses with 9. A side
        // that is held to 8 therefore sends its messages as they are, which is always allowed.
        sending.windowBits = max(ownBits, 9)
        return DeflateAgreement(
            sending: sending, sendsCompressed: ownBits >= 9,
            // The same trap on the peer's side costs 256 bytes to be safe from.
            receiveWindowBits: max(peerBits, 9), peerKeepsWindow: !peerKeepsNoWindow)
    }
}
