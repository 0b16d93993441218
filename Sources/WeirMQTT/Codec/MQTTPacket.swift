/// A packet that a broker sends.
enum MQTTPacket {
    struct ConnectAck {
        var isSessionPresent: Bool
        /// In the codes of 5.0, whatever the version.
        var code: UInt8
        var properties: MQTTProperties
    }

    struct Publish {
        var message: MQTTMessage
        /// 0 for QoS 0.
        var identifier: UInt16
        var isDuplicate: Bool
        /// The length of the packet, of which only the beginning is there; nil for a whole one.
        var cutFrom: Int?
    }

    static let publishKind: UInt8 = 3

    enum Step: UInt8 { case published = 4, received = 5, release = 6, complete = 7 }

    case connectAck(ConnectAck)
    case publish(Publish)
    case step(Step, identifier: UInt16, code: UInt8, reason: String?)
    case subscribeAck(identifier: UInt16, codes: [UInt8])
    case pingResponse
    case disconnect(code: UInt8, reason: String?)

    /// Reads a packet; strict about what a broker may send.
    ///
    /// - Parameter limit: A message that is longer has so many bytes only; nil for none.
    init(
        _ bytes: UnsafeRawBufferPointer, _ version: MQTTVersion, limit: Int? = nil
    ) throws(MQTTError) {
        let header: Int
        var cutFrom: Int?
        do {
            guard let (length, packet) = try MQTTFraming.lengths(bytes),
                packet == bytes.count || packet > bytes.count && bytes.count == limit
            else { throw MQTTError.malformed("a packet has another length than it says") }
            header = length
            if packet > bytes.count { cutFrom = packet }
        } catch let error as MQTTError {
            throw error
        } catch {
            throw .malformed("\(error)")
        }
        var reader = MQTTReader(UnsafeRawBufferPointer(rebasing: bytes[header...]))
        let (kind, flags) = (bytes[0] >> 4, bytes[0] & 0x0F)
        if kind == Self.publishKind {
            var publish = try Self.publish(&reader, flags, version)
            publish.cutFrom = cutFrom
            self = .publish(publish)
            return
        }
        guard flags == (kind == 6 ? 2 : 0) else {
            throw .malformed("a packet of kind \(kind) has the flags \(flags)")
        }
        switch kind {
        case 2: self = .connectAck(try Self.connectAck(&reader, version))
        case 9: self = try Self.subscribeAck(&reader, version)
        case 13: self = .pingResponse
        case 14 where version == .v5: self = try Self.disconnect(&reader)
        default:
            guard let step = Step(rawValue: kind) else {
                throw .malformed("a broker sends no packet of kind \(kind)")
            }
            self = try Self.step(step, &reader, version)
        }
        try reader.end("packet of kind \(kind)")
    }

    private static func connectAck(
        _ reader: inout MQTTReader, _ version: MQTTVersion
    ) throws(MQTTError) -> ConnectAck {
        let flags = try reader.byte()
        let code = try reader.byte()
        guard flags <= 1, flags == 0 || code == 0 else {
            throw .malformed("the flags of a CONNACK are \(flags)")
        }
        guard version == .v5 else {
            return ConnectAck(
                isSessionPresent: flags == 1, code: MQTTReason.modern(connectReturn: code),
                properties: MQTTProperties())
        }
        return ConnectAck(
            isSessionPresent: flags == 1, code: code,
            properties: try MQTTProperties(
                &reader, allowed: MQTTProperties.Allowed.connectAck))
    }

    private static func publish(
        _ reader: inout MQTTReader, _ flags: UInt8, _ version: MQTTVersion
    ) throws(MQTTError) -> Publish {
        guard let qos = MQTTQoS(rawValue: flags >> 1 & 3) else {
            throw .malformed("a message has QoS 3")
        }
        let isDuplicate = flags & 8 != 0
        if isDuplicate, qos == .atMostOnce {
            throw .malformed("a message of QoS 0 is marked as sent again")
        }
        let topic = try reader.string()
        guard MQTTTopic.isName(topic) else {
            throw .malformed("'\(topic)' is no name of a topic")
        }
        var publish = Publish(
            message: MQTTMessage(topic: topic, qos: qos, isRetained: flags & 1 != 0),
            identifier: 0, isDuplicate: isDuplicate)
        if qos != .atMostOnce { publish.identifier = try reader.identifier() }
        if version == .v5 {
            let properties = try MQTTProperties(
                &reader, allowed: MQTTProperties.Allowed.publish)
            // None were allowed at CONNECT.
            if properties.topicAlias != nil { throw .malformed("a message has a topic alias") }
            publish.message.responseTopic = properties.responseTopic
            publish.message.correlation = properties.correlation
            publish.message.contentType = properties.contentType
            publish.message.properties = properties.userProperties
        }
        publish.message.payload = Array(reader.rest)
        return publish
    }

    private static func step(
        _ step: Step, _ reader: inout MQTTReader, _ version: MQTTVersion
    ) throws(MQTTError) -> MQTTPacket {
        let identifier = try reader.identifier()
        guard version == .v5, !reader.isAtEnd else {
            return .step(step, identifier: identifier, code: 0, reason: nil)
        }
        let code = try reader.byte()
        if reader.isAtEnd { return .step(step, identifier: identifier, code: code, reason: nil) }
        let properties = try MQTTProperties(
            &reader, allowed: MQTTProperties.Allowed.acknowledgement)
        return .step(step, identifier: identifier, code: code, reason: properties.reason)
    }

    private static func subscribeAck(
        _ reader: inout MQTTReader, _ version: MQTTVersion
    ) throws(MQTTError) -> MQTTPacket {
        let identifier = try reader.identifier()
        if version == .v5 {
            _ = try MQTTProperties(
                &reader, allowed: MQTTProperties.Allowed.acknowledgement)
        }
        let codes = Array(try reader.take(reader.rest.count))
        guard codes.allSatisfy({ $0 <= 2 || $0 >= 0x80 }) else {
            throw .malformed("a SUBACK has a code that is none")
        }
        return .subscribeAck(identifier: identifier, codes: codes)
    }

    private static func disconnect(_ reader: inout MQTTReader) throws(MQTTError) -> MQTTPacket {
        if reader.isAtEnd { return .disconnect(code: 0, reason: nil) }
        let code = try reader.byte()
        if reader.isAtEnd { return .disconnect(code: code, reason: nil) }
        let properties = try MQTTProperties(
            &reader, allowed: MQTTProperties.Allowed.disconnect)
        return .disconnect(code: code, reason: properties.reason)
    }
}

/// What topics and filters of topics may be called (section 4.7).
enum MQTTTopic {
    static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 65_535
            && !name.utf8.contains { $0 == 0x2B || $0 == 0x23 || $0 == 0 }
    }

    /// A filter: `+` stands for one level, `#` at the end for any number.
    static func isFilter(_ filter: String) -> Bool {
        guard !filter.isEmpty, filter.utf8.count <= 65_535, !filter.utf8.contains(0) else {
            return false
        }
        let levels = filter.utf8.split(separator: 0x2F, omittingEmptySubsequences: false)
        return levels.enumerated().allSatisfy { index, level in
            if level.contains(0x23) { return level.count == 1 && index == levels.count - 1 }
            return !level.contains(0x2B) || level.count == 1
        }
    }
}
