import Testing
import WeirNetwork

@testable import WeirMQTT

private func packet(_ bytes: [UInt8], _ version: MQTTVersion = .v5) throws -> MQTTPacket {
    try bytes.withUnsafeBytes { try MQTTPacket($0, version) }
}

private func written(
    _ version: MQTTVersion = .v5, _ write: (inout MQTTWriter) -> Void
) -> [UInt8] {
    var writer = MQTTWriter(version)
    write(&writer)
    return writer.bytes
}

private func joined(_ parts: [UInt8]...) -> [UInt8] { Array(parts.joined()) }
private func text(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct `The packets of MQTT` {
    @Test func `say hello in both versions`() {
        var connect = MQTTConnect()
        connect.clientID = "c"
        connect.userName = "u"
        connect.password = "p"
        connect.will = MQTTMessage(topic: "w", payload: [1], qos: .exactlyOnce, isRetained: true)
        let old = written(.v3_1_1) { $0.connect(connect) }
        #expect(
            old
                == joined(
                    [0x10, 25, 0, 4], text("MQTT"), [4, 0xF6, 0, 60, 0, 1], text("c"), [0, 1],
                    text("w"), [0, 1, 1, 0, 1], text("u"), [0, 1], text("p")))
        connect.will = nil
        connect.userName = nil
        connect.password = nil
        connect.isCleanStart = false
        connect.sessionExpirySeconds = 3_600
        let new = written { $0.connect(connect) }
        let properties: [UInt8] = [
            13, 0x11, 0, 0, 0x0E, 0x10, 0x21, 0, 100, 0x27, 0, 0x10, 0, 0,
        ]
        #expect(
            new
                == joined(
                    [0x10, 27, 0, 4], text("MQTT"), [5, 0, 0, 60], properties, [0, 1], text("c")))
    }

    @Test func `publish and subscribe`() {
        let published = written { writer in
            writer.publish(
                topic: "a/b", payload: [9], qos: .atLeastOnce, isRetained: true, identifier: 258,
                isDuplicate: false)
        }
        #expect(published == joined([0x33, 9, 0, 3], text("a/b"), [1, 2, 0, 9]))
        let long = written(.v3_1_1) { writer in
            writer.publish(
                topic: "t", payload: [UInt8](repeating: 0, count: 200), qos: .atMostOnce,
                isRetained: false, identifier: 0, isDuplicate: false)
        }
        #expect(long.prefix(6) == [0x30, 0xCB, 0x01, 0, 1, 0x74])
        let subscribed = written { writer in
            writer.subscribe(1, [MQTTSubscription("#", qos: .exactlyOnce)], onlyNewRetained: true)
        }
        #expect(subscribed == [0x82, 7, 0, 1, 0, 0, 1, 0x23, 0x12])
    }

    @Test func `are read as they were written`() throws {
        for version in [MQTTVersion.v3_1_1, .v5] {
            for qos in [MQTTQoS.atMostOnce, .atLeastOnce, .exactlyOnce] {
                let bytes = written(version) { writer in
                    writer.publish(
                        topic: "a/ü", payload: Array(0...255), qos: qos, isRetained: true,
                        identifier: 7, isDuplicate: qos != .atMostOnce)
                }
                guard case .publish(let publish) = try packet(bytes, version) else {
                    Issue.record("no message")
                    continue
                }
                #expect(publish.message.topic == "a/ü")
                #expect(publish.message.payload == Array(0...255))
                #expect(publish.message.qos == qos)
                #expect(publish.message.isRetained)
                #expect(publish.isDuplicate == (qos != .atMostOnce))
                #expect(publish.identifier == (qos == .atMostOnce ? 0 : 7))
            }
        }
    }

    @Test func `tell the properties of a message`() throws {
        let properties: [UInt8] =
            [0x01, 1, 0x02, 0, 0, 0, 9, 0x03, 0, 1, 0x74, 0x08, 0, 1, 0x72, 0x09, 0, 1, 5]
            + [0x26, 0, 1, 0x61, 0, 1, 0x62, 0x26, 0, 1, 0x61, 0, 1, 0x63]
        let body: [UInt8] = [0, 1, 0x78, UInt8(properties.count)] + properties + [42]
        guard case .publish(let publish) = try packet([0x30, UInt8(body.count)] + body) else {
            Issue.record("no message")
            return
        }
        #expect(publish.message.contentType == "t")
        #expect(publish.message.responseTopic == "r")
        #expect(publish.message.correlation == [5])
        #expect(publish.message.properties.map(\.value) == ["b", "c"])
        #expect(publish.message.payload == [42])
        let recorded = RecordedMessage.encode(publish.message)
        #expect(
            try recorded.withUnsafeBytes { try RecordedMessage.decode($0) } == publish.message)
    }

    @Test(
        arguments: [
            [0x00, 0], [0x10, 0], [0x20, 1, 0], [0x20, 2, 2, 0], [0x20, 3, 1, 5, 0],
            [0x20, 4, 0, 0, 0, 0],
            // A message: QoS 3, sent again at QoS 0, number 0, no topic, a wildcard, no UTF-8, null.
            [0x36, 5, 0, 1, 0x61, 0, 1], [0x38, 4, 0, 1, 0x61, 0], [0x32, 6, 0, 1, 0x61, 0, 0, 0],
            [0x30, 3, 0, 0, 0], [0x30, 4, 0, 1, 0x23, 0], [0x30, 4, 0, 1, 0xFF, 0],
            [0x30, 4, 0, 1, 0, 0],
            // Its properties: too long, unknown, twice, a topic alias, a flag of 2.
            [0x30, 4, 0, 1, 0x61, 9], [0x30, 6, 0, 1, 0x61, 2, 0x11, 0],
            [0x30, 8, 0, 1, 0x61, 4, 1, 0, 1, 0], [0x30, 7, 0, 1, 0x61, 3, 0x23, 0, 1],
            [0x30, 6, 0, 1, 0x61, 2, 1, 2],
            [0x41, 2, 0, 1], [0x40, 2, 0, 0], [0x60, 2, 0, 1], [0x40, 1, 0],
            [0x40, 5, 0, 1, 0, 0, 0],
            [0x90, 4, 0, 1, 0, 3], [0xD0, 1, 0], [0xF0, 0], [0x82, 0], [0x20, 9, 0, 0, 0],
        ] as [[UInt8]])
    func `are refused when they are malformed`(_ bytes: [UInt8]) {
        #expect(throws: MQTTError.self) { try packet(bytes) }
    }

    @Test func `give reasons in words`() throws {
        guard case .connectAck(let old) = try packet([0x20, 2, 0, 5], .v3_1_1) else {
            Issue.record("no CONNACK")
            return
        }
        let error = MQTTError.refused("the connection", old.code)
        #expect(error.message == "the broker has refused the connection: not authorized")
        #expect(error.isPermanent)
        guard
            case .disconnect(let code, let reason) = try packet([
                0xE0, 6, 0x8E, 4, 0x1F, 0, 1, 0x78,
            ])
        else {
            Issue.record("no DISCONNECT")
            return
        }
        let ended = MQTTError.refused("to go on", code, text: reason)
        #expect(ended.message.contains("taken over"))
        #expect(ended.message.hasSuffix(": x"))
        #expect(!ended.isPermanent)
    }

    @Test func `are cut out of a stream in pieces of any size`() throws {
        let packets: [[UInt8]] = [
            [0xD0, 0], [0x30, 4, 0, 1, 0x61, 0],
            [0x30, 0x85, 0x01, 0, 1, 0x61] + [UInt8](repeating: 7, count: 130), [0x40, 2, 0, 1],
            // Whole with its header.
            [0xD0, 0],
        ]
        let bytes = packets.flatMap { $0 }
        for size in 1...bytes.count {
            var framing = MQTTFraming(maximumLength: 200)
            var seen: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let used = try rest.prefix(size).withUnsafeBytes { piece in
                    try framing.consume(piece) { packet in
                        seen.append(Array(packet))
                        return size % 2 == 0 ? .stop : .proceed
                    }
                }
                rest = rest.dropFirst(used)
            }
            try framing.finish { _ in .proceed }
            #expect(seen == packets, "in pieces of \(size)")
        }
    }

    @Test func `have the length of the limit when they are longer messages`() throws {
        let message: [UInt8] = [0x32, 0xC8, 0x02, 0, 1, 0x61, 0, 9]
        let bytes = message + [UInt8](repeating: 7, count: 323) + [0xD0, 0]
        for size in 1...bytes.count {
            var framing = MQTTFraming(maximumLength: 100)
            var seen: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let used = try rest.prefix(size).withUnsafeBytes { piece in
                    try framing.consume(piece) { packet in
                        seen.append(Array(packet))
                        return size % 2 == 0 ? .stop : .proceed
                    }
                }
                rest = rest.dropFirst(used)
            }
            try framing.finish { _ in .proceed }
            #expect(seen == [Array(bytes.prefix(100)), [0xD0, 0]], "in pieces of \(size)")
        }
    }

    @Test(
        arguments: [
            [0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], [0x30, 0x80, 0x00], [0x90, 0xC8, 0x01],
        ] as [[UInt8]])
    func `have a length that is in bounds`(_ bytes: [UInt8]) {
        for size in 1...bytes.count {
            #expect(throws: FramingError.self) {
                var framing = MQTTFraming(maximumLength: 200)
                var rest = bytes[...]
                while !rest.isEmpty {
                    let used = try rest.prefix(size).withUnsafeBytes { piece in
                        try framing.consume(piece) { _ in .proceed }
                    }
                    rest = rest.dropFirst(used)
                }
            }
        }
    }

    @Test func `name topics and filters`() {
        for name in ["a", "/", "a/b c", "$SYS/x"] { #expect(MQTTTopic.isName(name)) }
        for name in ["", "a/#", "+", "a\u{0}"] { #expect(!MQTTTopic.isName(name)) }
        for filter in ["#", "+", "a/+/b/#", "/+", "$share/g/a/#"] {
            #expect(MQTTTopic.isFilter(filter))
        }
        for filter in ["", "a#", "#/a", "a+", "a/b+/c", "\u{0}"] {
            #expect(!MQTTTopic.isFilter(filter))
        }
    }
}

@Suite struct `The options of MQTT` {
    @Test func `take the address of a broker`() throws {
        #expect(try MQTTEndpoint("mqtt://broker").port == 1_883)
        let secure = try MQTTEndpoint("MQTTS://[::1]:99/")
        #expect(secure.host == "::1")
        #expect(secure.port == 99)
        #expect(secure.isSecure)
        #expect(secure.name == "mqtts://[::1]:99")
        for url in ["broker", "http://x", "mqtt://", "mqtt://x:0", "mqtt://x:y", "mqtt://x/topic"] {
            #expect(throws: MQTTError.self) { try MQTTEndpoint(url) }
        }
        let secret = try #require(throws: MQTTError.self) {
            try MQTTEndpoint("mqtt://user:secret@host")
        }
        #expect(!secret.message.contains("secret"))
    }

    @Test func `refuse what a broker would refuse`() throws {
        func refused(_ change: (inout MQTTOptions) -> Void) -> Bool {
            var options = MQTTOptions()
            change(&options)
            return (try? options.connect()) == nil
        }
        #expect(!refused { _ in })
        #expect(refused { $0.session = .kept(for: .seconds(1)) })
        #expect(refused { $0.inFlightMax = 0 })
        #expect(refused { $0.keepAlive = .seconds(70_000) })
        #expect(refused { $0.clientID = String(repeating: "x", count: 70_000) })
        #expect(refused { $0.will = MQTTMessage(topic: "#") })
        #expect(
            refused {
                $0.version = .v3_1_1
                $0.password = "p"
            })
    }
}
