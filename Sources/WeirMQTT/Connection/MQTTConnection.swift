import WeirNetwork

/// What uses a connection to a broker; called on its loop only.
protocol MQTTConnectionOwner: AnyObject {
    /// Takes a packet, other than those that the connection answers itself.
    ///
    /// - Throws: ``MQTTError`` when the packet is out of place; the connection is closed.
    func received(_ packet: MQTTPacket, on connection: MQTTConnection) throws(MQTTError) -> Flow
    /// All that one read of the socket brought has been given.
    func receivedAll(on connection: MQTTConnection)
    /// There is room to write again.
    func drained(_ connection: MQTTConnection)
    /// The last call.
    func closed(_ connection: MQTTConnection, _ error: any Error)
}

/// A connection to a broker, from its CONNECT to its end; used on its loop only.
final class MQTTConnection: TCPConnectionHandler {
    typealias Completion = (Result<MQTTConnection, any Error>) -> Void

    let version: MQTTVersion
    /// What the broker has said at the beginning.
    private(set) var welcome = MQTTPacket.ConnectAck(
        isSessionPresent: false, code: 0, properties: MQTTProperties())
    weak var owner: (any MQTTConnectionOwner)?
    private let tcp: TCPConnection
    private let keepAlive: Duration
    private var framing: MQTTFraming
    private var completion: Completion?
    private var timer: LoopTimer?
    private var failure: (any Error)?
    private var awaitsAnswer = false
    /// What the kernel had taken when the broker was last asked.
    private var sentBefore = 0
    private var isPaused = false

    /// Connects, and completes once the broker has let the client in.
    static func open(
        _ endpoint: MQTTEndpoint, _ options: MQTTOptions, tls: TLSClientContext?, on loop: Loop,
        _ completion: @escaping Completion
    ) {
        let connect: MQTTConnect
        do throws(MQTTError) {
            connect = try options.connect()
        } catch {
            return completion(.failure(error))
        }
        TCPConnection.connect(
            to: endpoint.host, port: endpoint.port, on: loop, timeout: options.connectTimeout,
            tls: tls
        ) { result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let tcp):
                MQTTConnection(tcp, options, completion).begin(connect, options.connectTimeout)
            }
        }
    }

    private init(_ tcp: TCPConnection, _ options: MQTTOptions, _ completion: @escaping Completion) {
        self.tcp = tcp
        self.completion = completion
        version = options.version
        keepAlive = options.keepAlive
        framing = MQTTFraming(maximumLength: options.maximumPacketLength)
    }

    private func begin(_ connect: MQTTConnect, _ timeout: Duration) {
        tcp.handler = self
        do {
            timer = try LoopTimer(on: tcp.loop) { [weak self] in
                self?.close(
                    MQTTError("the broker has not answered the connection within \(timeout)"))
            }
            timer?.start(after: timeout)
        } catch {
            return close(error)
        }
        write { $0.connect(connect) }
        tcp.resumeReading()
    }

    // MARK: Writing

    /// Writes packets; `refused` when nothing was taken because too much waits.
    @discardableResult
    func write(_ fill: (inout MQTTWriter) -> Void) -> WriteOutcome {
        var writer = MQTTWriter(version)
        fill(&writer)
        return writer.bytes.withUnsafeBytes { tcp.write($0) }
    }

    /// Says farewell, so that the broker does not publish the will, and closes.
    func disconnect() {
        failure = MQTTError("the connection was ended by this side")
        write { $0.disconnect() }
        tcp.closeGracefully()
    }

    func close(_ error: any Error) {
        failure = failure ?? error
        tcp.close()
    }

    // MARK: Reading

    func pause() {
        isPaused = true
        tcp.pauseReading()
    }

    func resume() {
        guard isPaused else { return }
        isPaused = false
        // Its answer may have been waiting to be read.
        awaitsAnswer = false
        tcp.resumeReading()
    }

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int {
        awaitsAnswer = false
        let limit = framing.maximumLength
        do {
            return try framing.consume(UnsafeRawBufferPointer(bytes)) { frame in
                if failure != nil { return .proceed }
                let flow = try handle(try MQTTPacket(frame, version, limit: limit))
                if flow == .stop { pause() }
                return flow
            }
        } catch let error as FramingError {
            close(MQTTError.malformed(error.description))
        } catch {
            close(error)
        }
        return bytes.count
    }

    private func handle(_ packet: MQTTPacket) throws(MQTTError) -> Flow {
        if let completion {
            guard case .connectAck(let welcome) = packet else {
                throw .malformed("its first packet is no CONNACK")
            }
            if welcome.code != 0 {
                throw .refused(
                    "the connection", welcome.code, text: welcome.properties.reason)
            }
            self.completion = nil
            self.welcome = welcome
            watchSilence()
            completion(.success(self))
            return isPaused ? .stop : .proceed
        }
        switch packet {
        case .connectAck: throw .malformed("there is a second CONNACK")
        case .pingResponse: return .proceed
        case .disconnect(let code, let reason):
            throw .refused("to go on", code, text: reason)
        default: return try owner?.received(packet, on: self) ?? .proceed
        }
    }

    func connectionReceivedAll(_ connection: TCPConnection) { owner?.receivedAll(on: self) }

    func connectionDrained(_ connection: TCPConnection) { owner?.drained(self) }

    func connectionReachedEnd(_ connection: TCPConnection) {
        close(MQTTError("the broker has closed the connection"))
    }

    func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
        timer?.close()
        timer = nil
        let error = failure ?? error ?? MQTTError("the broker has closed the connection")
        failure = error
        if let completion {
            self.completion = nil
            completion(.failure(error))
        } else {
            owner?.closed(self, error)
        }
    }

    // MARK: Silence

    /// Asks the broker for a sign of life before either side takes the other for dead.
    private func watchSilence() {
        timer?.close()
        timer = nil
        let told = welcome.properties.serverKeepAlive.map { Duration.seconds(Int($0)) }
        let interval = (told ?? keepAlive) * 3 / 4
        if interval <= .zero { return }
        do {
            timer = try LoopTimer(on: tcp.loop) { [weak self] in self?.ask() }
            timer?.start(after: interval, every: interval)
        } catch {
            close(error)
        }
    }

    private func ask() {
        let sent = tcp.sentByteCount
        defer { sentBefore = sent }
        // A ping would stand behind a large message, which the broker is taking.
        if tcp.queuedByteCount > 0, sent > sentBefore { return }
        if awaitsAnswer, !isPaused {
            close(MQTTError("the broker has not answered a ping"))
            return
        }
        awaitsAnswer = true
        write { $0.pingRequest() }
    }
}
