public import DequeModule
import Logging

/// The calls of an asynchronous operator: starts them within a limit, takes in what comes back,
/// decides about failures and emits.
///
/// It is the head of its stage; events that share a key share a call.
@usableFromInline
final class AsyncCalls<
    Element: Sendable, Key: Hashable & Sendable, Result: Sendable, Output: Sendable
>:
    AsyncWork
{
    /// What is asked and what becomes of the answer.
    @usableFromInline
    struct Request {
        @usableFromInline let call: AsyncCall<Element, Result>
        /// The key under which events share a call and its result; nil when each makes its own.
        @usableFromInline let key: ((Element) -> Key)?
        @usableFromInline let combine: (Element, Result) -> Output
        @usableFromInline let inFlight: Int
        @usableFromInline let ordered: Bool
        @usableFromInline let cache: LookUpCache<Key, Result>?

        @inlinable
        init(
            call: AsyncCall<Element, Result>, key: ((Element) -> Key)?,
            combine: @escaping (Element, Result) -> Output, inFlight: Int, ordered: Bool,
            cache: LookUpCache<Key, Result>? = nil
        ) {
            self.call = call
            self.key = key
            self.combine = combine
            self.inFlight = inFlight
            self.ordered = ordered
            self.cache = cache
        }
    }

    @usableFromInline typealias Order = CompletionOrder<Departing>

    /// What leaves in an event's place.
    @usableFromInline
    enum Departing {
        case event(Output, EventTime)
        case replacement(Element, () throws -> Void)
    }

    @usableFromInline
    enum Waiting {
        case event(Element, EventTime)
        case signal(Signal)
    }

    @usableFromInline
    struct Asker {
        @usableFromInline let event: Element
        @usableFromInline let time: EventTime
        @usableFromInline let number: CallNumber
        @usableFromInline let ticket: Order.Ticket

        @inlinable
        init(event: Element, time: EventTime, number: CallNumber, ticket: Order.Ticket) {
            self.event = event
            self.time = time
            self.number = number
            self.ticket = ticket
        }
    }

    @usableFromInline
    struct Call {
        @usableFromInline let key: Key?
        /// The event that the call is made for.
        @usableFromInline let asker: Asker
        /// Those that have asked the same meanwhile.
        @usableFromInline var others: [Asker] = []
        @usableFromInline var attempts = 0
        /// Failures since the call was last escalated.
        var failures = 0
        /// Whether the stage was restarted for it.
        @usableFromInline var hasRestarted = false

        @inlinable
        init(key: Key?, asker: Asker) {
            self.key = key
            self.asker = asker
        }

        var askers: [Asker] { [asker] + others }
    }

    @usableFromInline
    struct Job: Sendable {
        @usableFromInline let call: Int
        @usableFromInline let event: Element
        @usableFromInline let number: CallNumber
        @usableFromInline let seed: UInt64

        @inlinable
        init(call: Int, event: Element, number: CallNumber, seed: UInt64) {
            self.call = call
            self.event = event
            self.number = number
            self.seed = seed
        }
    }

    @usableFromInline
    struct Completion: Sendable {
        @usableFromInline let call: Int
        @usableFromInline let outcome: Swift.Result<Result, any Error>
        @usableFromInline let attempts: Int

        @inlinable
        init(call: Int, outcome: Swift.Result<Result, any Error>, attempts: Int) {
            self.call = call
            self.outcome = outcome
            self.attempts = attempts
        }
    }

    @usableFromInline unowned let scope: StageScope
    @usableFromInline let downstream: Receiver<Output>
    @usableFromInline let request: Request
    @usableFromInline var cache: LookUpCache<Key, Result>?
    @usableFromInline var order: Order
    @usableFromInline var waiting = Deque<Waiting>()
    /// How many of those that wait the running transaction has taken in: their calls are made when it is
    /// over, since a call can't be undone.
    @usableFromInline var arrived = 0
    @usableFromInline var calls: [Int: Call] = [:]
    @usableFromInline var callOfKey: [Key: Int] = [:]
    @usableFromInline var nextCall = 0
    /// The number of the next event.
    @usableFromInline var nextNumber: CallNumber
    @usableFromInline var departing = Deque<Order.Departure>()
    /// How many of those that depart the running transaction has emitted.
    @usableFromInline var emitted = 0
    @usableFromInline var isEmitting = false
    var wasEmitting = false
    @usableFromInline let lanes: CallLanes<Job, Completion>
    @usableFromInline var launching: [Job] = []
    /// Takes in what has come back: made where the types are known, and so specialised.
    @usableFromInline var collector: () throws -> Void = {}
    /// The same for what follows a transaction.
    @usableFromInline var committer: () -> Void = {}
    /// What has come back and has not been looked at: the rest behind a failure that restarts the stage.
    @usableFromInline var completions = Deque<Completion>()

    @inlinable
    init(_ scope: StageScope, _ downstream: Receiver<Output>, _ request: Request) {
        self.scope = scope
        self.downstream = downstream
        self.request = request
        cache = request.cache
        order = CompletionOrder(ordered: request.ordered)
        nextNumber = CallNumber(epoch: scope.epoch)
        let (call, stage) = (request.call, scope.name)
        lanes = CallLanes(on: scope.environment.executor, wake: scope.wake) { job in
            let context = AsyncCallContext(stage: stage, number: job.number)
            let (outcome, attempts) = await call.run(job.event, context, seed: job.seed)
            return Completion(call: job.call, outcome: outcome, attempts: attempts)
        }
        collector = { [unowned self] in try collectAll() }
        committer = { [unowned self] in commit() }
        register()
    }

    @usableFromInline
    func register() {
        // A checkpoint comes when no call is under way, so this is all there is.
        scope.keep(
            CheckpointedValue(
                get: { [unowned self] in nextNumber },
                set: { [unowned self] in nextNumber = $0 }))
        scope.onPublish { [unowned self] in (keys: self.cache?.count ?? 0, timers: 0) }
        let work: any AsyncWork = self
        scope.register(work)
        scope.registerTransient(self)
    }

    @inlinable var receiver: Receiver<Element> {
        Receiver(
            batch: { [self] batch in
                for index in batch.elements.indices {
                    waiting.append(.event(batch.elements[index], batch.time(at: index)))
                }
                arrived += batch.count
            },
            signal: { [self] signal in
                if isIdle { return try downstream.signal(signal) }
                waiting.append(.signal(signal))
                arrived += 1
            })
    }

    @inlinable package var isIdle: Bool {
        waiting.isEmpty && order.isEmpty && departing.isEmpty
    }

    @inlinable package var isSaturated: Bool {
        !waiting.isEmpty || order.openCount >= request.inFlight
    }

    package func collect() throws {
        try collector()
    }

    @inlinable
    func collectAll() throws {
        repeat {
            // One at a time: a failure that restarts the stage leaves the others for the next look.
            while let completion = completions.popFirst() { try take(completion) }
            completions = lanes.takeCompletions()
        } while !completions.isEmpty
        advance()
    }

    package func stop() async {
        waiting.removeAll()
        await lanes.stop()
        calls.removeAll()
    }

    // MARK: Starting

    /// Starts what there is room for and emits what is there; answers from the cache make room at once.
    @inlinable
    func advance() {
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

    @inlinable
    func startCalls() {
        while order.openCount < request.inFlight, let next = waiting.popFirst() {
            switch next {
            case .signal(let signal): order.append(signal)
            case .event(let event, let time): start(event, time)
            }
        }
        if !launching.isEmpty {
            lanes.launch(launching)
            launching.removeAll(keepingCapacity: true)
        }
        // Signals take no room.
        while case .signal(let signal)? = waiting.first {
            waiting.removeFirst()
            order.append(signal)
        }
    }

    @inlinable
    func start(_ event: Element, _ time: EventTime) {
        let asker = Asker(event: event, time: time, number: nextNumber, ticket: order.open())
        nextNumber.sequence += 1
        var key = request.key?(event)
        // What is not equal to itself is never found again.
        if key != key { key = nil }
        if let key {
            if let known = cache?.value(for: key, at: scope.now) {
                return complete(asker, known)
            }
            if let call = callOfKey[key] {
                calls[call]?.others.append(asker)
                return
            }
        }
        let id = nextCall
        nextCall += 1
        if let key { callOfKey[key] = id }
        calls[id] = Call(key: key, asker: asker)
        launching.append(job(id, asker))
    }

    @inlinable
    func job(_ id: Int, _ asker: Asker) -> Job {
        Job(call: id, event: asker.event, number: asker.number, seed: scope.random.next())
    }

    // MARK: Taking in

    @inlinable
    func complete(_ asker: Asker, _ result: Result) {
        order.complete(asker.ticket, .event(request.combine(asker.event, result), asker.time))
    }

    @inlinable
    func take(_ completion: Completion) throws {
        guard var call = calls[completion.call] else { return }
        call.attempts += completion.attempts
        switch completion.outcome {
        case .success(let result):
            forget(completion.call, call)
            if let key = call.key { cache?.insert(result, for: key, at: scope.now) }
            complete(call.asker, result)
            for asker in call.others { complete(asker, result) }
            endTrial(completion.call, call, isPoison: false)
        case .failure(let error): try handle(error, completion.call, &call)
        }
    }

    @inlinable
    func forget(_ id: Int, _ call: Call) {
        calls[id] = nil
        if let key = call.key { callOfKey[key] = nil }
    }

    @usableFromInline
    func handle(_ error: any Error, _ id: Int, _ call: inout Call) throws {
        switch scope.verdict(on: error) {
        case .skip:
            scope.countDropped(1 + call.others.count, reason: .skipped)
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
    @inlinable
    func trial(of id: Int) -> Int { id + 1 }

    @inlinable
    func endTrial(_ id: Int, _ call: Call, isPoison: Bool) {
        if call.hasRestarted { scope.endTrial(trial(of: id), isPoison) }
    }

    private func again(_ id: Int, _ call: inout Call) {
        call.hasRestarted = true
        calls[id] = call
        lanes.launch([job(id, call.asker)])
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

    @inlinable
    func emit() {
        if departing.isEmpty || isEmitting { return }
        isEmitting = true
        scope.enqueue(
            { [unowned self] in try emitPortion() }, abandon: { [unowned self] in abandonFirst() })
    }

    @inlinable
    func emitPortion() throws -> Bool {
        var batch = Batch<Output>()
        for item in departing.prefix(max(1, scope.portion)) {
            guard case .output(.event(let output, let time)) = item else { break }
            batch.append(output, at: time)
        }
        if !batch.isEmpty {
            scope.timeOfEvent = batch.time(at: 0)
            try downstream.batch(batch)
            emitted = batch.count
        } else if let first = departing.first {
            switch first {
            case .output(.replacement(_, let emit)): try emit()
            case .signal(let signal): try downstream.signal(signal)
            case .output(.event): break
            }
            emitted = 1
        }
        if departing.count > emitted { return true }
        isEmitting = false
        return false
    }

    @usableFromInline
    func abandonFirst() -> (any Sendable)? {
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
