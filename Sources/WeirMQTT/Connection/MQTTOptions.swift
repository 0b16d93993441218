public import WeirNetwork

/// How a source or sink connects to an MQTT broker.
public struct MQTTOptions: Sendable {
    /// The version of MQTT; 5.0 by default.
    public var version = MQTTVersion.v5
    /// The client's name, which only one client may have at a time; empty, the default, has the
    /// broker choose one.
    public var clientID = ""
    /// Whether the broker remembers the client between connections; it does not by default.
    public var session = MQTTSession.new
    /// The user; nil, the default, for none.
    public var userName: String?
    /// The user's password; nil, the default, for none.
    public var password: String?
    /// The longest silence before the connection is taken for dead, in whole seconds; 60 s by
    /// default, zero for none.
    public var keepAlive: Duration = .seconds(60)
    /// What the broker publishes when the connection ends without a farewell; nothing by default.
    public var will: MQTTMessage?
    /// Messages of QoS 1 and 2 that may be on their way without an acknowledgement, 1 to 65,535;
    /// 100 by default.
    ///
    /// With 3.1.1 a broker isn't told, and keeps to a number of its own.
    public var inFlightMax = 100
    /// Bytes of the longest packet that is taken; 1 MiB by default.
    ///
    /// A broker of 5.0 keeps longer messages back. What another sends of one goes to the dead
    /// letters, as far as this number of bytes.
    public var maximumPacketLength = 1 << 20
    /// Time to connect, with TLS and the broker's answer; 10 s by default.
    public var connectTimeout: Duration = .seconds(10)
    /// How `mqtts://` speaks TLS; the system's authorities by default.
    public var tls = TLSClientConfiguration()
    /// When a lost connection is made again; for ever by default.
    public var reconnection = ReconnectionPolicy()

    /// Creates the default options.
    public init() {}
}

/// Whether a broker remembers a client between connections.
public struct MQTTSession: Sendable, Hashable {
    let duration: Duration?

    /// Each connection begins anew: what is published meanwhile is missed.
    public static let new = MQTTSession(duration: nil)

    /// The broker keeps subscriptions, and messages of QoS 1 and 2, for so long after a connection.
    ///
    /// In whole seconds, with 5.0; a broker of 3.1.1 keeps them for as long as it likes.
    public static func kept(for duration: Duration) -> MQTTSession {
        MQTTSession(duration: duration)
    }

    var isKept: Bool { duration != nil }
}

extension MQTTOptions {
    /// Checks what a broker would refuse, and puts it into the form of a CONNECT.
    func connect() throws(MQTTError) -> MQTTConnect {
        if session.isKept, clientID.isEmpty {
            throw Self.wrong("a session can be kept only for a clientID of your own")
        }
        for (what, text) in [("clientID", clientID), ("userName", userName ?? "")] {
            guard text.utf8.count <= 65_535, !text.utf8.contains(0) else {
                throw Self.wrong("\(what) is longer than 65,535 bytes or has a null character")
            }
        }
        guard (password ?? "").utf8.count <= 65_535 else {
            throw Self.wrong("password is longer than 65,535 bytes")
        }
        if version == .v3_1_1, password != nil, userName == nil {
            throw Self.wrong("MQTT 3.1.1 takes a password with a userName only")
        }
        guard (1...65_535).contains(inFlightMax) else {
            throw Self.wrong("inFlightMax has to be 1 to 65,535")
        }
        guard (.zero ... .seconds(65_535)).contains(keepAlive) else {
            throw Self.wrong("keepAlive has to be 0 to 65,535 seconds")
        }
        guard (128...268_435_460).contains(maximumPacketLength) else {
            throw Self.wrong("maximumPacketLength has to be 128 to 268,435,460 bytes")
        }
        if let will, !MQTTTopic.isName(will.topic) || will.payload.count > 65_535 {
            throw Self.wrong("will needs a topic without wildcards and at most 65,535 bytes")
        }
        var connect = MQTTConnect()
        connect.clientID = clientID
        connect.isCleanStart = !session.isKept
        connect.sessionExpirySeconds = UInt32(
            clamping: session.duration?.components.seconds ?? 0)
        connect.keepAliveSeconds = UInt16(clamping: keepAlive.components.seconds)
        connect.receiveMaximum = UInt16(clamping: inFlightMax)
        connect.maximumPacketSize = UInt32(clamping: maximumPacketLength)
        connect.userName = userName
        connect.password = password
        connect.will = will
        return connect
    }

    private static func wrong(_ what: String) -> MQTTError {
        MQTTError("the MQTT options are wrong: \(what)", isPermanent: true)
    }
}

/// Where a broker is.
struct MQTTEndpoint: Sendable, Hashable {
    let host: String
    let port: Int
    let isSecure: Bool

    /// Its address without anything secret.
    let name: String

    /// Reads `mqtt://host:port`, or `mqtts://` for TLS; the ports are 1883 and 8883 by default.
    init(_ url: String) throws(MQTTError) {
        guard let scheme = url.range(of: "://") else { throw Self.wrong(url) }
        isSecure = url[..<scheme.lowerBound].lowercased() == "mqtts"
        guard isSecure || url[..<scheme.lowerBound].lowercased() == "mqtt" else {
            throw Self.wrong(url)
        }
        var rest = url[scheme.upperBound...]
        if rest.last == "/" { rest = rest.dropLast() }
        let afterHost: Substring
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { throw Self.wrong(url) }
            host = String(rest[rest.index(after: rest.startIndex)..<end])
            afterHost = rest[rest.index(after: end)...]
        } else {
            host = String(rest.prefix { $0 != ":" })
            afterHost = rest.dropFirst(host.count)
        }
        guard !host.isEmpty, !host.contains(where: { "@/?# ".contains($0) }) else {
            throw Self.wrong(url)
        }
        if afterHost.isEmpty {
            port = isSecure ? 8_883 : 1_883
        } else {
            guard afterHost.first == ":", let number = Int(afterHost.dropFirst()),
                (1...65_535).contains(number)
            else { throw Self.wrong(url) }
            port = number
        }
        name = "\(isSecure ? "mqtts" : "mqtt")://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }

    private static func wrong(_ url: String) -> MQTTError {
        // A user and password before an '@' are not repeated, nor is a query.
        let shown = url.contains("@") ? "the address" : "'\(url.prefix { $0 != "?" })'"
        return MQTTError(
            "\(shown) is none of a broker: write mqtt://host:1883 or mqtts://host:8883, and user "
                + "and password into the options", isPermanent: true)
    }
}

extension String {
    /// Where a text stands in this one.
    fileprivate func range(of text: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) {
                return start..<index(start, offsetBy: text.count)
            }
            start = index(after: start)
        }
        return nil
    }
}
