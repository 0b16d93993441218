public import HTTPTypes
import Logging

/// A request as a handler gets it, with its whole body.
public struct HTTPServerRequest: Sendable {
    /// The request in the currency type of swift-http-types.
    public let request: HTTPRequest
    /// The head as it came.
    public let head: HTTPRequestHead
    /// The body, without its framing.
    public let body: [UInt8]
    /// The fields behind a body in chunks.
    public let trailer: HTTPHeaders
    /// The peer's address.
    public let remoteAddress: SocketAddress?
    /// Who has sent it by access control; nil without it, and on a path that is for all.
    public let identity: Identity?
}

extension NetworkServer {
    /// Answers a request; what it throws is answered too: an ``HTTPProblem`` as it is, all else 500.
    public typealias Handler = @Sendable (HTTPServerRequest) async throws -> HTTPReply

    /// Serves requests of a method at a path with a closure; replaces what was there.
    ///
    /// The closure runs in a task, which is cancelled when the connection closes. GET serves HEAD
    /// as well.
    ///
    /// - Parameters:
    ///   - roles: All that a client needs under access control; nil, the default, is
    ///     ``AccessRoles/read`` for GET, HEAD and OPTIONS, ``AccessRoles/operate`` for the rest.
    ///   - limits: Bounds on the body.
    public func addHandler(
        _ method: HTTPRequest.Method, _ path: String, roles: AccessRoles? = nil,
        limits: HTTPBodyLimits = HTTPBodyLimits(), _ handler: @escaping Handler
    ) {
        let isReading = method == .get || method == .head || method == .options
        let roles = roles ?? (isReading ? .read : .operate)
        addResponder(method.rawValue, path, roles: roles) { scan, connection in
            do throws(HTTPError) {
                let head = try HTTPRequestHead(scan)
                return .receive(HandlerCall(head, connection, handler), limits)
            } catch {
                return .refuse(HTTPProblem(error))
            }
        }
    }
}

/// Gathers a request's body, then runs its handler.
private final class HandlerCall: HTTPBodyReceiver {
    private let head: HTTPRequestHead
    private let remoteAddress: SocketAddress?
    private let identity: Identity?
    private let handler: NetworkServer.Handler
    private var bytes: [UInt8] = []
    private var task: Task<Void, Never>?

    init(
        _ head: HTTPRequestHead, _ connection: HTTPServerConnection,
        _ handler: @escaping NetworkServer.Handler
    ) {
        self.head = head
        self.handler = handler
        remoteAddress = connection.tcp.remoteAddress
        identity = connection.tcp.access?.identity
    }

    func receive(_ part: UnsafeRawBufferPointer, _ connection: HTTPServerConnection) -> Int {
        bytes.append(contentsOf: part)
        return part.count
    }

    func end(_ connection: HTTPServerConnection) {
        let request = HTTPServerRequest(
            request: head.request, head: head, body: bytes,
            trailer: connection.body?.trailer ?? HTTPHeaders(), remoteAddress: remoteAddress,
            identity: identity)
        bytes = []
        let loop = connection.tcp.loop
        let number = connection.requestNumber
        let bound = LoopBound(connection, on: loop)
        let (handler, logger) = (handler, connection.core.configuration.logger)
        let path = head.path
        task = Task {
            let reply: Result<HTTPReply, HTTPProblem>
            do {
                reply = .success(try await handler(request))
            } catch let problem as HTTPProblem {
                reply = .failure(problem)
            } catch {
                if !(error is CancellationError) {
                    logger.error(
                        "a handler has failed", metadata: ["path": "\(path)", "error": "\(error)"])
                }
                reply = .failure(HTTPProblem(500, "the handler has failed"))
            }
            loop.onLoop {
                switch reply {
                case .success(let reply): bound.value.answer(number, reply)
                case .failure(let problem): bound.value.refuse(number, problem)
                }
            }
        }
    }

    func cancelled(_ connection: HTTPServerConnection) { task?.cancel() }
}
