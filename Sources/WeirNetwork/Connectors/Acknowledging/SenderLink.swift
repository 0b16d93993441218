/// The connection of a sender, made again when it is lost; used on its loop only.
final class SenderLink {
    typealias Completion = (Result<Void, NetworkError>) -> Void

    private let target: SenderTarget
    private let producer: String
    private let configuration: AcknowledgedSender.Configuration
    private let window: SenderWindow
    private let loop: Loop
    private var wire: (any SenderWire)?
    private var timer: LoopTimer?
    /// Looks again and again whether the server still answers.
    private var watch: LoopTimer?
    /// What was acknowledged at the last look; nil when nothing was missing then.
    private var lastSeen: UInt64?
    private var onStarted: Completion?
    private var isWelcome = false
    private var hasBegun = false
    private var isClosed = false
    private var pause: Duration
    private var closeWaiters: [() -> Void] = []
    /// Runs when messages were acknowledged, or nothing can be sent any more.
    var onChange: (() -> Void)?
    /// Whether acknowledgements say that messages are durable, where the source tells.
    private(set) var isDurable: Bool?

    /// Messages that are put into frames at once.
    private static let messagesPerPush = 256

    init(
        _ target: SenderTarget, producer: String,
        configuration: AcknowledgedSender.Configuration, window: SenderWindow, loop: Loop
    ) {
        self.target = target
        self.producer = producer
        self.configuration = configuration
        self.window = window
        self.loop = loop
        pause = configuration.firstPause
    }

    /// Connects for the first time.
    func start(_ completion: @escaping Completion) {
        onStarted = completion
        connect()
    }

    /// Sends what there is as far as the connection takes it.
    func push() {
        guard isWelcome, let wire else { return }
        wire.corked {
            while true {
                let (first, messages) = window.take(atMost: Self.messagesPerPush)
                if messages.isEmpty { return }
                let given = wire.send(messages, from: first)
                window.gave(given)
                if given < messages.count { return }
            }
        }
    }

    /// Gathers what `body` sends.
    func corked(_ body: () -> Void) {
        if let wire { wire.corked(body) } else { body() }
    }

    /// Closes for good.
    func close(_ completion: @escaping () -> Void) {
        isClosed = true
        stopTimers()
        guard let wire else { return completion() }
        closeWaiters.append(completion)
        wire.close()
    }

    // MARK: Connecting

    private func connect() {
        isWelcome = false
        guard
            startTimer(
                after: configuration.connectTimeout,
                { [weak self] in
                    self?.wire?.cut()
                    self?.lost(NetworkError(.timedOut, "the source did not answer in time"))
                })
        else { return }
        let completion: (Result<any SenderWire, NetworkError>) -> Void = { [self] result in
            switch result {
            case .failure(let error): lost(error)
            case .success(let wire): opened(wire)
            }
        }
        switch target {
        case .webSocket(let url):
            WebSocketWire.connect(
                url, on: loop, link: self, configuration: configuration, completion)
        case .tcp(let host, let port, let isSecure):
            TCPWire.connect(
                host, port, isSecure: isSecure, on: loop, link: self, configuration: configuration,
                completion)
        case .unix(let path):
            TCPWire.connect(
                toUnix: path, on: loop, link: self, configuration: configuration, completion)
        }
    }

    private func startTimer(after delay: Duration, _ body: @escaping () -> Void) -> Bool {
        timer?.close()
        do {
            timer = try LoopTimer(on: loop, body)
            timer?.start(after: delay)
            return true
        } catch {
            fail(error)
            return false
        }
    }

    private func opened(_ wire: any SenderWire) {
        if isClosed { return wire.cut() }
        self.wire = wire
        _ = wire.send(Array(wire.dialect.hello(producer).utf8))
    }

    /// A message of the server.
    func received(_ frame: UnsafeRawBufferPointer) {
        guard let wire, !isClosed else { return }
        do {
            switch try wire.dialect.answer(frame) {
            case .error(let reason):
                fail(
                    NetworkError(.protocolViolation, "the source refuses '\(producer)': \(reason)"))
            case .ack(let sequence) where isWelcome:
                guard window.acknowledge(upTo: sequence) else {
                    throw AcknowledgingProtocolError("it acknowledges what was never sent")
                }
                onChange?()
            case .ack(let sequence):
                isDurable = wire.dialect.isDurable(frame)
                try welcome(sequence)
            }
        } catch {
            fail(NetworkError(.protocolViolation, "the source can't be used: \(error)"))
        }
    }

    private func welcome(_ sequence: UInt64) throws(AcknowledgingProtocolError) {
        if let problem = window.begin(at: sequence, isFirst: !hasBegun) {
            throw AcknowledgingProtocolError(problem)
        }
        hasBegun = true
        isWelcome = true
        pause = configuration.firstPause
        timer?.close()
        timer = nil
        watchAnswers()
        onStarted?(.success(()))
        onStarted = nil
        onChange?()
        push()
    }

    private func watchAnswers() {
        guard let limit = configuration.answerTimeout else { return }
        lastSeen = nil
        do throws(NetworkError) {
            watch?.close()
            watch = try LoopTimer(on: loop) { [weak self] in self?.lookForAnswers() }
            watch?.start(after: limit, every: limit)
        } catch {
            fail(error)
        }
    }

    private func lookForAnswers() {
        let acknowledged = window.acknowledged
        guard lastSeen == acknowledged, let wire else {
            lastSeen = window.isEmpty ? nil : acknowledged
            return
        }
        self.wire = nil
        wire.cut()
        lost(NetworkError(.timedOut, "the source acknowledges nothing"))
    }

    private func stopTimers() {
        timer?.close()
        timer = nil
        watch?.close()
        watch = nil
    }

    /// The connection has room again.
    func drained() { push() }

    /// The connection is gone.
    func closed(_ wire: any SenderWire, _ error: NetworkError?) {
        guard self.wire === wire else { return }
        lost(error ?? NetworkError(.connectionLost, "the source has closed the connection"))
    }

    private func lost(_ error: NetworkError) {
        wire = nil
        isWelcome = false
        watch?.close()
        watch = nil
        let waiters = closeWaiters
        closeWaiters = []
        for waiter in waiters { waiter() }
        if isClosed { return }
        if onStarted != nil { return fail(error) }
        let delay = pause * Double.random(in: 0.5...1.5)
        pause = min(pause * 2, configuration.longestPause)
        _ = startTimer(after: delay) { [weak self] in self?.connect() }
    }

    /// Gives up.
    func fail(_ error: NetworkError) {
        if isClosed { return }
        isClosed = true
        stopTimers()
        window.fail(error)
        onStarted?(.failure(error))
        onStarted = nil
        let wire = wire
        wire?.close()
        onChange?()
    }
}
