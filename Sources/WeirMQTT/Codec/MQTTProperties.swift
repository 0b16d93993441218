/// The properties of a packet of MQTT 5.0 that a client has use for.
struct MQTTProperties: Sendable, Hashable {
    var sessionExpiry: UInt32?
    var receiveMaximum: UInt16?
    var maximumQoS: UInt8?
    var isRetainAvailable = true
    var maximumPacketSize: UInt32?
    var assignedClientID: String?
    var serverKeepAlive: UInt16?
    var reason: String?
    var topicAlias: UInt16?
    var messageExpiry: UInt32?
    var contentType: String?
    var responseTopic: String?
    var correlation: [UInt8]?
    var userProperties: [MQTTMessage.Property] = []

    /// User properties that are taken of one packet.
    static let userPropertiesMax = 256

    /// Numbers of the properties that each packet of a broker may have (section 2.2.2.2).
    enum Allowed {
        static let connectAck: Set<UInt8> = [
            0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27,
            0x28, 0x29, 0x2A,
        ]
        static let publish: Set<UInt8> = [0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26]
        static let acknowledgement: Set<UInt8> = [0x1F, 0x26]
        static let disconnect: Set<UInt8> = [0x11, 0x1C, 0x1F, 0x26]
    }

    init() {}

    init(_ reader: inout MQTTReader, allowed: Set<UInt8>) throws(MQTTError) {
        var rest = MQTTReader(try reader.take(try reader.variableLength()))
        var seen: Set<UInt8> = []
        while !rest.isAtEnd {
            let number = try rest.byte()
            guard allowed.contains(number) else {
                throw .malformed("property \(number) is not one of its packet")
            }
            // Only user properties and subscription identifiers may be repeated.
            if !seen.insert(number).inserted, number != 0x26, number != 0x0B {
                throw .malformed("property \(number) comes twice")
            }
            try take(number, &rest)
        }
    }

    private mutating func take(_ number: UInt8, _ rest: inout MQTTReader) throws(MQTTError) {
        switch number {
        case 0x01: _ = try flag(&rest)
        case 0x02: messageExpiry = try rest.long()
        case 0x03: contentType = try rest.string()
        case 0x08: responseTopic = try rest.string()
        case 0x09: correlation = Array(try rest.binary())
        case 0x0B: _ = try rest.variableLength()
        case 0x11: sessionExpiry = try rest.long()
        case 0x12: assignedClientID = try rest.string()
        case 0x13: serverKeepAlive = try rest.short()
        case 0x15, 0x1A, 0x1C: _ = try rest.string()
        case 0x16: _ = try rest.binary()
        case 0x1F: reason = try rest.string()
        case 0x21:
            let maximum = try rest.short()
            if maximum == 0 { throw .malformed("a receive maximum is 0") }
            receiveMaximum = maximum
        case 0x22: _ = try rest.short()
        case 0x23: topicAlias = try rest.short()
        case 0x24: maximumQoS = try flag(&rest)
        case 0x25: isRetainAvailable = try flag(&rest) == 1
        case 0x26: try takeUserProperty(&rest)
        case 0x27:
            let maximum = try rest.long()
            if maximum == 0 { throw .malformed("a maximum packet size is 0") }
            maximumPacketSize = maximum
        default: _ = try flag(&rest)
        }
    }

    private mutating func takeUserProperty(_ rest: inout MQTTReader) throws(MQTTError) {
        guard userProperties.count < Self.userPropertiesMax else {
            throw .malformed("a packet has more than \(Self.userPropertiesMax) user properties")
        }
        userProperties.append(
            MQTTMessage.Property(name: try rest.string(), value: try rest.string()))
    }

    private func flag(_ rest: inout MQTTReader) throws(MQTTError) -> UInt8 {
        let value = try rest.byte()
        if value > 1 { throw .malformed("a property is neither 0 nor 1") }
        return value
    }
}
