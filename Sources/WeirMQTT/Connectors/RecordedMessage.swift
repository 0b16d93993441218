/// A message as the ingest journal keeps it.
///
/// Layout, numbers in big endian: QoS and whether it was retained (1 byte: QoS, plus 4), number of
/// properties (2), then each text behind its length (4): topic, response topic, content type, the
/// properties' names and values; correlation and payload alike. What is missing has the length
/// 0xFFFFFFFF.
enum RecordedMessage {
    static func encode(_ message: MQTTMessage) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(message.payload.count + message.topic.utf8.count + 24)
        bytes.append(message.qos.rawValue | (message.isRetained ? 4 : 0))
        let count = UInt16(clamping: message.properties.count)
        bytes += [UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count)]
        append(Array(message.topic.utf8), &bytes)
        append(message.responseTopic.map { Array($0.utf8) }, &bytes)
        append(message.contentType.map { Array($0.utf8) }, &bytes)
        append(message.correlation, &bytes)
        for property in message.properties.prefix(Int(count)) {
            append(Array(property.name.utf8), &bytes)
            append(Array(property.value.utf8), &bytes)
        }
        append(message.payload, &bytes)
        return bytes
    }

    private static func append(_ part: [UInt8]?, _ bytes: inout [UInt8]) {
        let length = part.map { UInt32(clamping: $0.count) } ?? .max
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
        if let part { bytes += part }
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(MQTTError) -> MQTTMessage {
        var reader = MQTTReader(bytes)
        let flags = try reader.byte()
        let count = try reader.short()
        var message = MQTTMessage(
            topic: try text(&reader) ?? "", qos: MQTTQoS(rawValue: flags & 3) ?? .atMostOnce,
            isRetained: flags & 4 != 0)
        message.responseTopic = try text(&reader)
        message.contentType = try text(&reader)
        message.correlation = try part(&reader).map { Array($0) }
        for _ in 0..<count {
            let name = try text(&reader) ?? ""
            message.properties.append(
                MQTTMessage.Property(name: name, value: try text(&reader) ?? ""))
        }
        message.payload = Array(try part(&reader) ?? UnsafeRawBufferPointer(start: nil, count: 0))
        try reader.end("recorded message")
        return message
    }

    private static func part(
        _ reader: inout MQTTReader
    ) throws(MQTTError) -> UnsafeRawBufferPointer? {
        let length = try reader.long()
        return length == .max ? nil : try reader.take(Int(length))
    }

    private static func text(_ reader: inout MQTTReader) throws(MQTTError) -> String? {
        try part(&reader).map { String(decoding: $0, as: UTF8.self) }
    }
}
