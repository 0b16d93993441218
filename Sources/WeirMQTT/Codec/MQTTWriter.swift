/// Writes the packets of a client.
struct MQTTWriter {
    private(set) var bytes: [UInt8] = []
    let version: MQTTVersion

    init(_ version: MQTTVersion) {
        self.version = version
    }

    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    // MARK: Packets

    mutating func connect(_ connect: MQTTConnect) {
        packet(0x10) { body in
            body.string("MQTT")
            body.bytes.append(body.version.rawValue)
            var flags: UInt8 = connect.isCleanStart ? 0x02 : 0
            if let will = connect.will {
                flags |= 0x04 | will.qos.rawValue << 3 | (will.isRetained ? 0x20 : 0)
            }
            if connect.password != nil { flags |= 0x40 }
            if connect.userName != nil { flags |= 0x80 }
            body.bytes.append(flags)
            body.short(connect.keepAliveSeconds)
            if body.version == .v5 {
                body.properties { properties in
                    if connect.sessionExpirySeconds > 0 {
                        properties.bytes.append(0x11)
                        properties.long(connect.sessionExpirySeconds)
                    }
                    properties.bytes.append(0x21)
                    properties.short(connect.receiveMaximum)
                    properties.bytes.append(0x27)
                    properties.long(connect.maximumPacketSize)
                }
            }
            body.string(connect.clientID)
            if let will = connect.will {
                if body.version == .v5 { body.properties { _ in } }
                body.string(will.topic)
                body.binary(will.payload)
            }
            if let userName = connect.userName { body.string(userName) }
            if let password = connect.password { body.binary(Array(password.utf8)) }
        }
    }

    mutating func publish(
        topic: String, payload: [UInt8], qos: MQTTQoS, isRetained: Bool, identifier: UInt16,
        isDuplicate: Bool
    ) {
        let flags = (isDuplicate ? 8 : 0) | qos.rawValue << 1 | (isRetained ? 1 : 0)
        packet(0x30 | flags) { body in
            body.string(topic)
            if qos != .atMostOnce { body.short(identifier) }
            if body.version == .v5 { body.bytes.append(0) }
            body.bytes += payload
        }
    }

    mutating func step(_ step: MQTTPacket.Step, _ identifier: UInt16) {
        packet(step.rawValue << 4 | (step == .release ? 2 : 0)) { $0.short(identifier) }
    }

    mutating func subscribe(
        _ identifier: UInt16, _ subscriptions: [MQTTSubscription], onlyNewRetained: Bool
    ) {
        packet(0x82) { body in
            body.short(identifier)
            if body.version == .v5 { body.bytes.append(0) }
            for subscription in subscriptions {
                body.string(subscription.filter)
                // Retain handling 1: kept messages come for a new subscription only.
                let handling: UInt8 = body.version == .v5 && onlyNewRetained ? 0x10 : 0
                body.bytes.append(subscription.qos.rawValue | handling)
            }
        }
    }

    mutating func pingRequest() { packet(0xC0) { _ in } }

    mutating func disconnect() { packet(0xE0) { _ in } }

    // MARK: Parts

    private mutating func packet(_ first: UInt8, _ fill: (inout MQTTWriter) -> Void) {
        var body = MQTTWriter(version)
        fill(&body)
        bytes.append(first)
        variableLength(body.bytes.count)
        bytes += body.bytes
    }

    private mutating func properties(_ fill: (inout MQTTWriter) -> Void) {
        var body = MQTTWriter(version)
        fill(&body)
        variableLength(body.bytes.count)
        bytes += body.bytes
    }

    private mutating func variableLength(_ length: Int) {
        var rest = length
        repeat {
            let byte = UInt8(truncatingIfNeeded: rest & 0x7F)
            rest >>= 7
            bytes.append(rest > 0 ? byte | 0x80 : byte)
        } while rest > 0
    }

    private mutating func short(_ value: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    private mutating func long(_ value: UInt32) {
        short(UInt16(truncatingIfNeeded: value >> 16))
        short(UInt16(truncatingIfNeeded: value))
    }

    /// The caller has seen to it that the text is short enough.
    private mutating func string(_ text: String) { binary(Array(text.utf8)) }

    private mutating func binary(_ value: [UInt8]) {
        short(UInt16(truncatingIfNeeded: value.count))
        bytes += value
    }
}

/// What a client says when it connects.
struct MQTTConnect: Sendable {
    var clientID = ""
    var isCleanStart = true
    var sessionExpirySeconds: UInt32 = 0
    var keepAliveSeconds: UInt16 = 60
    var receiveMaximum: UInt16 = 100
    var maximumPacketSize: UInt32 = 1 << 20
    var userName: String?
    var password: String?
    var will: MQTTMessage?
}
