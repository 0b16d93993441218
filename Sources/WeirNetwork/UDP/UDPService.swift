import Logging
import WeirCore

/// What reads the datagrams of a socket; used on its loop only.
protocol DatagramReading: AnyObject {
    func begin()
    /// The source ends: reads no more.
    func end()
}

/// A UDP socket of a run: bound from the start, read as long as a source runs.
final class UDPService: Sendable {
    let loop: Loop
    private let endpoint: TCPEndpoint
    private let state: LoopBound<State>

    private final class State {
        var socket: UDPSocket?
        var reader: (any DatagramReading)?
    }

    private init(loop: Loop, endpoint: TCPEndpoint) {
        self.loop = loop
        self.endpoint = endpoint
        state = LoopBound(State(), on: loop)
    }

    static func of(
        _ context: SourceContext, host: String, port: Int, options: UDPOptions
    ) async throws -> UDPService {
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
        let service = try context.resources.shared(name) {
            UDPService(loop: try Loop.shared(), endpoint: endpoint)
        } close: { service in
            service.loop.execute { service.close() }
        }
        if endpoint.address == nil {
            try await service.bind(host, port, options, context.logger)
        }
        return service
    }

    private func bind(
        _ host: String, _ port: Int, _ options: UDPOptions, _ logger: Logger
    ) async throws {
        let (state, endpoint, loop) = (state, endpoint, loop)
        endpoint.address = try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                Resolver.resolve(host, port: port, on: loop) { result in
                    let bound = result.flatMap { addresses in
                        Result { () throws(NetworkError) in
                            let socket = try Self.open(addresses[0], options, logger, loop)
                            state.value.socket = socket
                            return socket.localAddress ?? addresses[0]
                        }
                    }
                    continuation.resume(with: bound.mapError { $0 })
                }
            }
        }
    }

    private static func open(
        _ address: SocketAddress, _ options: UDPOptions, _ logger: Logger, _ loop: Loop
    ) throws(NetworkError) -> UDPSocket {
        let slots = min(max(1, options.datagramsPerRead), UDPSocket.slotsMax)
        let socket = try UDPSocket(loop: loop, slotCount: slots)
        do throws(NetworkError) {
            try socket.bind(to: address)
            if let size = options.receiveBufferSize {
                let given = try socket.setReceiveBuffer(size)
                if given < size {
                    logger.notice(
                        "the kernel gives less buffer than asked for: raise net.core.rmem_max",
                        metadata: [
                            "address": "udp \(address)", "asked": "\(size)", "given": "\(given)",
                        ])
                }
            }
        } catch {
            socket.closeHandle()
            throw error
        }
        return socket
    }

    /// On the loop: lets a source read the socket.
    func attach(_ make: (UDPSocket) -> any DatagramReading) {
        guard let socket = state.value.socket else { return }
        let reader = make(socket)
        state.value.reader = reader
        reader.begin()
    }

    /// On the loop: the source ends.
    func detach() {
        state.value.reader?.end()
        state.value.reader = nil
    }

    private func close() {
        detach()
        state.value.socket?.closeHandle()
        state.value.socket = nil
    }
}
