import DequeModule
import Logging
import Synchronization

/// The calls of an asynchronous operator: starts them within a limit, takes in what comes back,
/// decides about failures and emits.
///
/// It is the head of its stage; events that share a key share a call.
final class AsyncCalls<
    Element: Sendable, Key: Hashable & Sendable, Result: Sendable, Output: Sendable
>:
    AsyncWork
{
    /// What is asked and what becomes of the answer.
    struct Request {
        let call: AsyncCall<Element, Result>
        /// The key under which events share a call and its result; nil when each makes its own.
        let key: ((Element) -> Key)?
        let combine: (Element, Result) -> Output
        let inFlight: Int
        let ordered: Bool
        var cache: LookUpCache<Key, Result>?
    }

    private typealias Order = CompletionOrder<Departing>

    /// What leaves in an event's place.
    private enum Departing {
        case event(Output, EventTime)
        case replacement(Element, () throws -> Void)
    }

    private enum Waiting {
        case event(Element, EventTime)
        case signal(Signal)
    }

    private struct Asker {
        let event: Element
        let time: EventTime
        let number: CallNumber
        let ticket: Order.Ticket
    }

    private struct Call {
        let key: Key?
        var askers: [Asker]
        var attempts = 0
        /// Failures since the call was last escalated.
        var failures = 0
        /// Whether the stage was restarted for it.
        var hasRestarted = false
        var task: Task<Void, any Error>?
    }

    private struct Completion: Sendable {
        let call: Int
        let outcome: Swift.Result<Result, any Error>
        let attempts: Int
    }

    private unowned let scope: StageScope
    private let downstream: Receiver<Output>
    private let request: Request
    private var cache: LookUpCache<Key, Result>?
    private var order: Order
    private var waiting = Deque<Waiting>()
    private var calls: [Int: Call] = [:]
    private var callOfKey: [Key: Int] = [:]
    private var nextCall = 0
    /// The number of the next event.
    private var nextNumber: CallNumber
    private var departing = Deque<Order.Departure>()
    private var isEmitting = false
    private let completions = CompletionInbox<Completion>()

    init(_ scope: StageScope, _ downstream: Receiver<Output>, _ request: Request) {
        self.scope = scope
        self.downstream = downstream
        self.request = request
        cache = request.cache
        order = CompletionOrder(ordered: request.ordered)
        nextNumber = CallNumber(epoch: scope.epoch)
        // A checkpoint comes when no call is under way, so this is all there is.
        scope.keep(
            CheckpointedValue(
                get: { [unowned self] in nextNumber },
                set: { [unowned self] in nextNumber = $0 }))
        scope.onPublish { [unowned self] in (keys: self.cache?.count ?? 0, timers: 0) }
    }

    var receiver: Receiver<Element> {
        Receiver(
            batch: { [self] batch in
                for index in batch.elements.indices {
                    waiting.append(.event(batch.elements[index], batch.time(at: index)))
                }
                advance()
            },
            signal: { [self] signal in
                if isIdle { return try downstream.signal(signal) }
                waiting.append(.signal(signal))
                advance()
            })
    }

    var isIdle: Bool { waiting.isEmpty && order.isEmpty && departing.isEmpty }

    var isSaturated: Bool { !waiting.isEmpty || order.openCount >= request.inFlight }

    func collect() throws {
        // One at a time: a failure that restarts the stage leaves the others for the next look.
        while let completion = completions.takeFirst() { try take(completion) }
        advance()
    }

    func stop() async {
        waiting.removeAll()
        for call in calls.values { call.task?.cancel() }
        for call in calls.values { _ = await call.task?.result }
        calls.removeAll()
    }

    // MARK: Starting

    /// Starts what there is room for and emits what is there; answers from the cache make room at once.
    private func advance() {
        var hasRoom: Bool
        repeat {
            startCalls()
            let before = order.openCount
            while let next = order.next() { departing.append(next) }
            // Room comes as well from calls of which nothing leaves.
            hasRoom = order.openCount < before
        } while hasRoom && !waiting.isEmpty
        emit()
    }

    private func startCalls() {
        while order.openCount < request.inFlight, let next = waiting.popFirst() {
            switch next {
            case .signal(let signal): order.append(signal)
            case .event(let event, let time): start(event, time)
            }
        }
        // Signals take no room.
        while case .signal(let signal)? = waiting.first {
            waiting.removeFirst()
            order.append(signal)
        }
    }

    private func start(_ event: Element, _ time: EventTime) {
        let asker = Asker(event: event, time: time, number: nextNumber, ticket: order.open())
        nextNumber.sequence += 1
        let key = request.key?(event)
        if let key {
            if let known = cache?.value(for: key, at: scope.now) {
                return complete(asker, known)
            }
            if let call = callOfKey[key] {
                calls[call]?.askers.append(asker)
                return
            }
        }
        let id = nextCall
        nextCall += 1
        if let key { callOfKey[key] = id }
        calls[id] = Call(key: key, askers: [asker])
        launch(id, asker)
    }

    private func launch(_ id: Int, _ asker: Asker) {
        let event = asker.event
        let context = AsyncCallContext(stage: scope.name, number: asker.number)
        let seed = scope.random.next()
        let call = request.call
        let completions = completions
        let wake = scope.wake
        calls[id]?.task = startTask(on: scope.environment.executor) {
            let (outcome, attempts) = await call.run(event, context, seed: seed)
            completions.append(Completion(call: id, outcome: outcome, attempts: attempts))
            wake()
        }
    }

    // MARK: Taking in

    private func complete(_ asker: Asker, _ result: Result) {
        order.complete(asker.ticket, .event(request.combine(asker.event, result), asker.time))
    }

    private func take(_ completion: Completion) throws {
        guard var call = calls[completion.call] else { return }
        call.attempts += completion.attempts
        switch completion.outcome {
        case .success(let result):
            forget(completion.call, call)
            if let key = call.key { cache?.insert(result, for: key, at: scope.now) }
            for asker in call.askers { complete(asker, result) }
            endTrial(completion.call, call, isPoison: false)
        case .failure(let error): try handle(error, completion.call, &call)
        }
    }

    private func forget(_ id: Int, _ call: Call) {
        calls[id] = nil
        if let key = call.key { callOfKey[key] = nil }
    }

    private func handle(_ error: any Error, _ id: Int, _ call: inout Call) throws {
        switch scope.verdict(on: error) {
        case .skip:
            scope.countDropped(call.askers.count, reason: .skipped)
            endTrial(id, call, isPoison: true)
            abandon(id, call)
        case .deadLetter: giveUp(id, call, error)
        case .emit(let emit):
            forget(id, call)
            endTrial(id, call, isPoison: true)
            for asker in call.askers {
                order.complete(
                    asker.ticket, .replacement(asker.event) { try emit(asker.time) })
            }
        case .restart:
            call.failures += 1
            if call.failures < scope.supervisor.attempts {
                // The stage restarts as its supervisor says; the calls in flight go on meanwhile.
                again(id, &call)
                throw CallFailure(cause: error, trial: trial(of: id), escalates: false)
            }
            guard scope.supervisor.poison.kind == .deadLetter else { fallthrough }
            giveUp(id, call, error)
        case .escalate:
            call.failures = 0
            again(id, &call)
            throw CallFailure(cause: error, trial: trial(of: id), escalates: true)
        }
    }

    /// Number 0 is the stage's own.
    private func trial(of id: Int) -> Int { id + 1 }

    private func endTrial(_ id: Int, _ call: Call, isPoison: Bool) {
        if call.hasRestarted { scope.endTrial(trial(of: id), isPoison) }
    }

    private func again(_ id: Int, _ call: inout Call) {
        call.hasRestarted = true
        calls[id] = call
        launch(id, call.askers[0])
    }

    private func giveUp(_ id: Int, _ call: Call, _ error: any Error) {
        endTrial(id, call, isPoison: true)
        for asker in call.askers {
            var batch = Batch<Element>()
            batch.append(asker.event, at: asker.time)
            scope.deadLetter(
                asker.event, reason: String(describing: error), attempts: call.attempts,
                from: BatchBox(batch))
        }
        scope.logger.warning(
            "event sent to the dead letters",
            metadata: [
                "stage": "\(scope.name)", "error": "\(error)", "attempts": "\(call.attempts)",
            ])
        abandon(id, call)
    }

    private func abandon(_ id: Int, _ call: Call) {
        forget(id, call)
        for asker in call.askers { order.complete(asker.ticket, nil) }
    }

    // MARK: Emitting

    private func emit() {
        if departing.isEmpty || isEmitting { return }
        isEmitting = true
        scope.enqueue(
            { [unowned self] in try emitPortion() }, abandon: { [unowned self] in abandonFirst() })
    }

    private func emitPortion() throws -> Bool {
        var batch = Batch<Output>()
        for item in departing.prefix(max(1, scope.portion)) {
            guard case .output(.event(let output, let time)) = item else { break }
            batch.append(output, at: time)
        }
        if !batch.isEmpty {
            scope.timeOfEvent = batch.time(at: 0)
            try downstream.batch(batch)
            departing.removeFirst(batch.count)
        } else if let first = departing.first {
            switch first {
            case .output(.replacement(_, let emit)): try emit()
            case .signal(let signal): try downstream.signal(signal)
            case .output(.event): break
            }
            departing.removeFirst()
        }
        if !departing.isEmpty { return true }
        isEmitting = false
        return false
    }

    private func abandonFirst() -> (any Sendable)? {
        switch departing.first {
        case .output(.event(let output, _)):
            departing.removeFirst()
            return output
        case .output(.replacement(let event, _)):
            departing.removeFirst()
            return event
        case .signal, nil: return nil
        }
    }
}

/// What has come back and waits for the actor.
private final class CompletionInbox<Completion: Sendable>: Sendable {
    private let queue = Mutex(Deque<Completion>())

    func append(_ completion: Completion) {
        queue.withLock { $0.append(completion) }
    }

    func takeFirst() -> Completion? {
        queue.withLock { $0.popFirst() }
    }
}
