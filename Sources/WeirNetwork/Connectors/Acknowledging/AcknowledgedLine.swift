/// Speaks the acknowledging protocol for a caller on the loop that never waits.
///
/// Messages for which the window has no room are refused. Used on its loop only.
package final class AcknowledgedLine {
    private let window: SenderWindow
    private let link: SenderLink
    private var acknowledged = 0

    /// Gets how many more messages are acknowledged.
    package var onAcknowledged: (Int) -> Void = { _ in }
    /// The last call: nothing can be sent any more.
    package var onFailed: (NetworkError) -> Void = { _ in }

    /// Prepares a line to `ws://`, `wss://`, `tcp://` or `tls://`.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument`` for a wrong address or name.
    package init(
        to url: String, producer: String, on loop: Loop,
        configuration: AcknowledgedSender.Configuration
    ) throws(NetworkError) {
        try AcknowledgedSender.check(producer: producer)
        window = SenderWindow(configuration)
        link = SenderLink(
            try SenderTarget(url), producer: producer, configuration: configuration,
            window: window, loop: loop)
    }

    /// Connects for the first time; the completion runs once.
    package func start(_ completion: @escaping (Result<Void, NetworkError>) -> Void) {
        link.onChange = { [weak self] in self?.changed() }
        link.start(completion)
    }

    private func changed() {
        let all = window.counters.acknowledged
        let more = all - acknowledged
        acknowledged = all
        if more > 0 { onAcknowledged(more) }
        if let failure = window.failure { onFailed(failure) }
    }

    /// Takes a message, and sends it as soon as there is a connection; false when there is no room.
    package func offer(_ payload: [UInt8]) -> Bool {
        guard window.offer(payload) else { return false }
        link.push()
        return true
    }

    /// Hands all that `body` offers to the kernel together.
    package func corked(_ body: () -> Void) { link.corked(body) }

    /// What was counted so far.
    package var counters: AcknowledgedSender.Counters { window.counters }

    /// Whether acknowledged messages are durable; nil where the source does not tell.
    package var isDurable: Bool? { link.isDurable }

    /// Closes the connection; nothing is reported any more.
    package func close(_ completion: @escaping () -> Void) {
        link.onChange = nil
        link.close(completion)
    }
}
