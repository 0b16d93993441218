extension HTTPServerConnection {
    /// Finds out whether a request may be answered; false when it is refused, or has to wait.
    func admit(_ request: HTTPRequestScan, _ gate: AccessGate) throws(HTTPError) -> Bool {
        let path = request.path.isEmpty ? "/" : request.text(request.path)
        guard let (own, name) = ownRequirement(request, path) else {
            forget(gate)
            return true
        }
        let required = requirement(name, own, gate)
        guard gate.asks, !required.isEmpty else {
            forget(gate)
            return mayBring(request, own)
        }
        let credentials = try Credentials(
            request, tcp, queryName: gate.control.queryParameter)
        let attempt = Attempt()
        gate.identify(credentials) { [self] result in
            let outcome = decide(result, required, path, gate)
            attempt.outcome = outcome
            attempt.resume.take()?(outcome.problem)
        }
        if let outcome = attempt.outcome {
            if let problem = outcome.problem {
                turnAway(problem, request)
                return false
            }
            return mayBring(request, own)
        }
        clock.set(after: core.times.answer)
        wait(for: request, then: own) { attempt.resume = $0 }
        return false
    }

    /// What becomes of finding out who somebody is.
    private final class Attempt {
        struct Outcome { let problem: HTTPProblem? }
        var outcome: Outcome?
        var resume: ((HTTPProblem?) -> Void)?
    }

    private func decide(
        _ result: Result<Identity, AccessGate.Refused>, _ required: AccessRoles, _ path: String,
        _ gate: AccessGate
    ) -> Attempt.Outcome {
        var refused: AccessGate.Refused
        switch result {
        case .success(let identity):
            if identity.roles.isSuperset(of: required) {
                become(identity, gate)
                return Attempt.Outcome(problem: nil)
            }
            refused = AccessGate.Refused(reason: .forbidden, identity: identity)
        case .failure(let error): refused = error
        }
        forget(gate)
        gate.refuse(refused, at: path, from: tcp.remoteAddress)
        return Attempt.Outcome(problem: gate.problem(refused.reason))
    }

    private func become(_ identity: Identity, _ gate: AccessGate) {
        if let access = tcp.access {
            access.become(identity)
        } else {
            tcp.access = gate.makeAccess(identity)
        }
    }

    /// The request is for everybody, whoever sent the one before.
    private func forget(_ gate: AccessGate) {
        if let access = tcp.access {
            access.become(nil)
        } else {
            tcp.access = gate.makeAccess(nil)
        }
    }

    /// What a path needs; one that shows a folder's index also needs what the index does.
    private func requirement(
        _ name: String, _ own: AccessRoles, _ gate: AccessGate
    ) -> AccessRoles {
        let required = gate.control.requirement(name, own)
        guard name.hasSuffix("/"), server.endpoint(name) == nil else { return required }
        return required.union(gate.control.requirement(name + StaticFolder.indexName, own))
    }

    /// What a request needs by itself, and the path that says whether it needs something else.
    private func ownRequirement(
        _ request: HTTPRequestScan, _ path: String
    ) -> (AccessRoles, path: String)? {
        guard let endpoint = server.endpoint(path) else {
            // A folder decodes names: what is asked for must not hide behind an escape.
            return server.folder(path).map { _ in
                (.read, PercentEncoding.decode(path.utf8) ?? path)
            }
        }
        return endpoint.roles(request.text(request.method), upgrades: request.upgrades)
            .map { ($0, path) }
    }

    /// Refuses a request whose body, if there is one, is not read.
    private func turnAway(_ problem: HTTPProblem, _ request: HTTPRequestScan) {
        if request.bodyLength != 0 { keepsAlive = false }
        refuse(problem)
    }

    // MARK: How much somebody may bring

    /// Whether a request with events may come now; else it is refused, or waits.
    private func mayBring(_ request: HTTPRequestScan, _ own: AccessRoles) -> Bool {
        guard own == .ingest, let access = tcp.access, access.isLimited,
            let (milliseconds, excess) = access.excess(now: tcp.loop.now)
        else { return true }
        core.counters.countAccessRefused(.rate)
        if excess == .refuse {
            var problem = HTTPProblem(429, "you send more events than you may")
            problem.retryAfter = Int((milliseconds + 999) / 1_000)
            turnAway(problem, request)
            return false
        }
        clock.set(after: core.times.answer &+ milliseconds)
        wait(for: request) { [tcp] continuation in
            guard let timer = try? LoopTimer(on: tcp.loop, {}) else { return continuation(nil) }
            timer.onFire = {
                timer.close()
                timer.onFire = {}
                continuation(nil)
            }
            timer.start(after: .milliseconds(milliseconds))
        }
        return false
    }

    // MARK: Requests that wait

    /// Keeps a request's head until `begin`'s continuation is called, on the loop and not at once.
    ///
    /// - Parameter own: What the request needs by itself, when its rate is still to be looked at.
    private func wait(
        for request: HTTPRequestScan, then own: AccessRoles? = nil,
        _ begin: (@escaping (HTTPProblem?) -> Void) -> Void
    ) {
        let head = [UInt8](request.bytes)
        let number = requestNumber
        begin { [self] problem in
            guard number == requestNumber, phase == .answering, tcp.isOpen else { return }
            // What the request's receiver says of pausing counts from here on.
            tcp.isDelivering = true
            tcp.resumeReading()
            goOn(head, own, problem)
            tcp.isDelivering = false
            if tcp.isOpen, !tcp.isReadingPaused { tcp.goOn() }
        }
    }

    private func goOn(_ head: [UInt8], _ own: AccessRoles?, _ problem: HTTPProblem?) {
        var failure: HTTPError?
        head.withUnsafeBytes { bytes in
            do throws(HTTPError) {
                let request = try HTTPRequestScan(bytes)
                if let problem {
                    turnAway(problem, request)
                } else if own.map({ mayBring(request, $0) }) ?? true {
                    try proceed(request)
                }
            } catch {
                failure = error
            }
        }
        if let failure { refuse(failure) }
    }

    // MARK: The end of what was shown

    /// Has something closed when the identity behind it ends.
    func watchExpiry(_ close: @escaping () -> Void) {
        guard let gate = core.gate, let identity = tcp.access?.identity else { return }
        gate.watch(tcp, identity, close)
    }
}
