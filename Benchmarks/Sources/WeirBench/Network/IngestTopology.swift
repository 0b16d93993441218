import Weir

/// Weir's sides of the ingest benchmarks: a source with a port of its own, and a sink that counts.
enum IngestTopology {
    /// A message becomes its first eight bytes, least significant first; the rest is not copied.
    private static let decoder = EventDecoder<UInt64> { bytes in
        guard bytes.count >= 8 else {
            throw EventDecodingError(description: "the message has less than 8 bytes")
        }
        return UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    }

    @concurrent
    static func tcp(_ messages: Int) async throws -> Sample {
        let source = Source<UInt64>.tcp(port: 0, framing: .lengthPrefixed(), decoder: decoder)
        return try await measure(IngestLoad(.lengthPrefixed, messages: messages), source)
    }

    @concurrent
    static func webSocket(_ messages: Int) async throws -> Sample {
        let source = Source<UInt64>.webSocket(
            GenerateWebSocket.path, port: 0, decoder: decoder)
        return try await measure(IngestLoad(.webSocket, messages: messages), source)
    }

    @concurrent
    static func http(_ messages: Int) async throws -> Sample {
        let source = Source<UInt64>.http(GenerateHTTP.path, port: 0, decoder: decoder)
        return try await measure(IngestLoad(.http, messages: messages), source)
    }

    private static func measure(
        _ load: IngestLoad, _ source: Source<UInt64>
    ) async throws -> Sample {
        let tally = load.tally
        let topology = Topology("ingest") {
            EventStream("messages", from: source)
                .sink(
                    .forEachBatch { batch in
                        var sum: UInt64 = 0
                        for value in batch.elements { sum &+= value }
                        tally.add(count: batch.count, checksum: sum)
                    })
        }
        let running = try await topology.start()
        guard let address = running.addresses.values.first else {
            throw MeasurementError(description: "the topology listens nowhere")
        }
        let sample = try await load.measure(port: address.port)
        try await running.drain()
        return sample
    }
}
