import COpenSSL
public import Logging
import Synchronization

/// A server's certificates and keys, ready for connections; they can be read again at any time.
///
/// ```swift
/// let tls = try TLSServerContext(.init(.files(chain: "server.pem", key: "server.key")))
/// var configuration = NetworkServer.Configuration(port: 8443)
/// configuration.listener.tls = tls
/// ```
public final class TLSServerContext: Sendable {
    /// The configuration it was made with.
    public let configuration: TLSServerConfiguration
    private let logger: Logger
    private let state: Mutex<State>
    private let warning = ReloadWarning()

    private struct State {
        var current: TLSServerState
        var checkedAt: ContinuousClock.Instant
        var madeAt: ContinuousClock.Instant
    }

    /// Time after which the keys of session tickets are made anew, for forward secrecy.
    private static let ticketKeyLifetime = Duration.seconds(12 * 3_600)

    /// Reads the certificates and keys.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument`` with the file and what is wrong with it.
    public init(
        _ configuration: TLSServerConfiguration, logger: Logger = Logger(label: "weir.network")
    ) throws(NetworkError) {
        self.configuration = configuration
        self.logger = logger
        let now = ContinuousClock.now
        state = Mutex(
            State(current: try TLSServerState(configuration), checkedAt: now, madeAt: now))
    }

    /// Reads the files again; new connections get what is there now, open ones go on.
    ///
    /// Sessions from before are not resumed, so every client has its certificate checked anew. From any thread.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument``: nothing has changed then.
    public func reload() throws(NetworkError) {
        let fresh = try TLSServerState(configuration)
        state.withLock { state in
            state.current = fresh
            state.madeAt = .now
            state.checkedAt = .now
        }
        warning.takeBack()
        logger.info("TLS certificates were read again")
    }

    /// Makes the server's side of a connection.
    func makeEngine(peerName: String) throws(NetworkError) -> TLSEngine {
        reloadWhenDue()
        let current = state.withLock { $0.current }
        return try current.makeEngine(peerName: peerName)
    }

    /// Reads changed files, and makes new ticket keys for old ones.
    private func reloadWhenDue() {
        let now = ContinuousClock.now
        let interval = configuration.reloadInterval
        let (stamps, isOld) = state.withLock { state -> ([[Int]?]?, Bool) in
            let isOld = now - state.madeAt >= Self.ticketKeyLifetime
            let isDue = isOld || interval.map { now - state.checkedAt >= $0 } ?? false
            if !isDue { return (nil, false) }
            state.checkedAt = now
            // Another attempt at old keys, if this one fails, comes after a whole life.
            if isOld { state.madeAt = now }
            return (state.current.stamps, isOld)
        }
        guard let stamps, isOld || stamps != TLSServerState.stamps(configuration) else { return }
        do {
            try reload()
        } catch {
            warning.give(error, about: "TLS certificates", to: logger)
        }
    }
}
