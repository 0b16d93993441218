import Weir

/// A connection that speaks the acknowledging protocol, made again when it is lost.
final class AcknowledgedChannel: LoadChannel {
    private let line: AcknowledgedLine
    private let events: LoadChannelEvents
    private var isClosed = false

    private init(_ line: AcknowledgedLine, _ events: LoadChannelEvents) {
        self.line = line
        self.events = events
    }

    static func connect(
        _ plan: LoadPlan, producer: String, tls: TLSClientContext?, on loop: Loop,
        events: LoadChannelEvents, completion: @escaping LoadPlan.Connected
    ) {
        var configuration = AcknowledgedSender.Configuration()
        configuration.tls = tls
        configuration.authorization = plan.authorization
        configuration.framing =
            switch plan.framing {
            case .lines: .lines()
            case .length: .lengthPrefixed()
            }
        do throws(NetworkError) {
            let line = try AcknowledgedLine(
                to: plan.target.url, producer: producer, on: loop, configuration: configuration)
            let channel = AcknowledgedChannel(line, events)
            line.start { result in
                completion(
                    result.map {
                        channel.begin()
                        return channel
                    })
            }
        } catch {
            completion(.failure(error))
        }
    }

    private func begin() {
        line.onAcknowledged = { [weak self] count in self?.events.onAcknowledged(count) }
        line.onFailed = { [weak self] error in self?.end(error.description) }
    }

    var queuedByteCount: Int { 0 }

    func send(_ payload: UnsafeRawBufferPointer) -> WriteOutcome {
        if isClosed { return .closed }
        return line.offer([UInt8](payload)) ? .sent : .refused
    }

    func corked(_ body: () -> Void) { line.corked(body) }

    func report(to record: inout LoadRecord) {
        let counters = line.counters
        record.resent += counters.resent
        record.reconnections += counters.reconnects
        if let isDurable = line.isDurable {
            record.isDurable = isDurable && record.isDurable != false
        }
    }

    func close() {
        line.close { [self] in end(nil) }
    }

    private func end(_ failure: String?) {
        if isClosed { return }
        isClosed = true
        events.onClosed(failure)
    }
}
