import Logging
import WeirCore

/// What reads the datagrams of a socket; used on its loop only.
protocol DatagramReading: AnyObject {
    func begin()
    /// The source ends: reads no more.
    func end()
}

/// A socket of datagrams of a run: bound from the start, read as long as a source runs.
final class DatagramService: Sendable {
    let loop: Loop
    private let state: LoopBound<State>

    private final class State {
        var socket: DatagramSocket?
        var reader: (any DatagramReading)?
        var onClose: () -> Void = {}
    }

    private init(loop: Loop) {
        self.loop = loop
        state = LoopBound(State(), on: loop)
    }

    /// The service of a run under a name, which is closed with it.
    private static func of(_ context: SourceContext, _ name: String) throws -> DatagramService {
        try context.resources.shared(name) {
            DatagramService(loop: try Loop.shared())
        } close: { service in
            // A file has to be gone when the run has ended.
            try? await service.loop.run { service.close() }
        }
    }

    static func of(
        _ context: SourceContext, host: String, port: Int, options: DatagramOptions
    ) async throws -> DatagramService {
        let name = "udp://\(host):\(port)"
        let endpoint = context.resources.shared("\(name) endpoint") {
            TCPEndpoint(name: name)
        } close: { _ in
        }
        let settings = ServerSettings.configuration(context.resources, host, port)
        guard settings.mayListen, settings.access?.isOpen ?? true else {
            throw NetworkError(
                .invalidArgument,
                "nobody can be asked who they are by UDP on \(host):\(port): listen on 127.0.0.1,"
                    + " or say ServerSettings(host:port:access: .open) in the topology")
        }
        let service = try of(context, name)
        if endpoint.address == nil {
            endpoint.address = try await service.bind(host, port, options, context.logger)
        }
        return service
    }

    static func of(
        _ context: SourceContext, _ path: UnixPath, permissions: Int, options: DatagramOptions
    ) async throws -> DatagramService {
        let service = try of(context, "unix datagrams \(path.text)")
        let (state, loop, logger) = (service.state, service.loop, context.logger)
        try await loop.run {
            if state.value.socket != nil { return }
            var file: UnixPath.File?
            do {
                state.value.socket = try open(options, "unix:\(path.text)", logger, loop) {
                    socket throws(NetworkError) in
                    let bound = try path.bind(permissions, backlog: 0)
                    file = bound.file
                    try socket.adopt(bound.descriptor)
                }
            } catch {
                path.remove(file)
                throw error
            }
            state.value.onClose = { [file] in path.remove(file) }
        }
        return service
    }

    private func bind(
        _ host: String, _ port: Int, _ options: DatagramOptions, _ logger: Logger
    ) async throws -> SocketAddress {
        let (state, loop) = (state, loop)
        return try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                Resolver.resolve(host, port: port, on: loop) { result in
                    let bound = result.flatMap { addresses in
                        Result { () throws(NetworkError) in
                            let address = addresses[0]
                            let socket = try Self.open(options, "udp \(address)", logger, loop) {
                                socket throws(NetworkError) in
                                try socket.bind(to: address)
                            }
                            state.value.socket = socket
                            return socket.localAddress ?? address
                        }
                    }
                    continuation.resume(with: bound.mapError { $0 })
                }
            }
        }
    }

    private static func open(
        _ options: DatagramOptions, _ name: String, _ logger: Logger, _ loop: Loop,
        _ bind: (DatagramSocket) throws(NetworkError) -> Void
    ) throws(NetworkError) -> DatagramSocket {
        let slots = min(max(1, options.datagramsPerRead), DatagramSocket.slotsMax)
        let socket = try DatagramSocket(loop: loop, slotCount: slots)
        do throws(NetworkError) {
            try bind(socket)
            if let size = options.receiveBufferSize {
                let given = try socket.setReceiveBuffer(size)
                if given < size {
                    logger.notice(
                        "the kernel gives less buffer than asked for: raise net.core.rmem_max",
                        metadata: [
                            "address": "\(name)", "asked": "\(size)", "given": "\(given)",
                        ])
                }
            }
        } catch {
            socket.closeHandle()
            throw error
        }
        return socket
    }

    /// Reads the socket as long as the source runs.
    func read<Element: Sendable>(
        into inlet: Inlet<Element>, decoder: EventDecoder<Element>, limits: IngestLimits,
        options: DatagramOptions, from names: PeerNames
    ) async throws {
        let source = try await ConnectionSource(
            inlet, decoder: decoder, limits: limits, loop: loop)
        let (state, connections, context) = (state, source.connections, inlet.context)
        try await source.run {
            guard let socket = state.value.socket else { return }
            let reader = DatagramReader(socket, connections.value, options, from: names, context)
            state.value.reader = reader
            reader.begin()
        } close: {
            self.detach()
        }
    }

    /// On the loop: the source ends.
    private func detach() {
        state.value.reader?.end()
        state.value.reader = nil
    }

    private func close() {
        detach()
        state.value.socket?.closeHandle()
        state.value.socket = nil
        state.value.onClose()
        state.value.onClose = {}
    }
}
