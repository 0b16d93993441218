/// Makes the actors, mailboxes and source pumps of a plan and wires them.
struct Assembly {
    let plan: Plan
    let configuration: RunConfiguration
    let environment: RunEnvironment
    let supervisors: SupervisorTree

    private(set) var instances: [[StageActor]] = []
    private(set) var outlets: [String: OutletChannel] = [:]
    private(set) var pumps: [SourcePump] = []
    private var mailboxes: [[Mailbox]] = []
    /// Of each stage that counts quiet time.
    private var heldTimes: [Int: HeldTime] = [:]
    /// Of each stage.
    private var holdUps: [HoldUps] = []

    init(
        plan: Plan, configuration: RunConfiguration, environment: RunEnvironment,
        supervisors: SupervisorTree
    ) {
        self.plan = plan
        self.configuration = configuration
        self.environment = environment
        self.supervisors = supervisors
    }

    mutating func assemble() {
        connectHoldUps()
        mailboxes = plan.stages.map { stage in
            let lanes = plan.nodes[stage.head].traits.maximumRun.map {
                MailboxLanes.Layout(inputOfChannel: channels(into: stage.index), maximumRun: $0)
            }
            return (0..<parallelism(of: stage.index)).map { _ in
                Mailbox(
                    owner: stage.name, policy: stage.mailbox, lanes: lanes,
                    holdUps: holdUps[stage.index])
            }
        }
        instances = plan.stages.map { stage in
            isOutlet(stage) ? [] : (0..<parallelism(of: stage.index)).map { makeActor(stage, $0) }
        }
        for stage in plan.stages {
            connectOutlet(stage)
            connectSource(stage)
            for instance in instances[stage.index] {
                supervisors.add(instance, under: stage.supervisor)
            }
        }
    }

    private mutating func connectHoldUps() {
        for stage in plan.stages
        where stage.nodes.contains(where: { plan.nodes[$0].traits.detectsIdleness }) {
            heldTimes[stage.index] = HeldTime()
        }
        let above = heldTimes.map { (held: $0.value, stages: plan.ancestors(of: $0.key)) }
        holdUps = plan.stages.map { stage in
            HoldUps(
                above.filter { $0.stages.contains(stage.index) }.map(\.held),
                clock: environment.clock)
        }
    }

    private func parallelism(of stage: Int) -> Int {
        plan.parallelism(of: stage, default: configuration.parallelism)
    }

    private func isOutlet(_ stage: Plan.Stage) -> Bool {
        if case .sink(let sink) = plan.nodes[stage.head].role { return sink.outlet != nil }
        return false
    }

    private func makeActor(_ stage: Plan.Stage, _ instance: Int) -> StageActor {
        let plan = plan
        let mailboxes = mailboxes
        let inputs = channels(into: stage.index)
        let firstChannels = firstChannels()
        let loopChannels = plan.loopChannels(of: stage.index) {
            firstChannels[$0]..<firstChannels[$0] + parallelism(of: plan.edges[$0].from)
        }
        return StageActor(
            name: stage.name, order: 2 * stage.index + 1, stage: stage.index, instance: instance,
            parallelism: parallelism(of: stage.index), mailbox: mailboxes[stage.index][instance],
            inputOfChannel: inputs.isEmpty ? [0] : inputs, isSource: inputs.isEmpty,
            holdUps: holdUps[stage.index], heldTime: heldTimes[stage.index],
            environment: environment, supervisors: supervisors
        ) { scope in
            scope.loops.channels = loopChannels
            return plan.buildHead(of: stage.index, scope) { edge in
                let position = plan.edges.firstIndex {
                    $0.to == edge.to && $0.input == edge.input
                }
                let first = position.map { firstChannels[$0] } ?? 0
                return mailboxes[edge.to].map {
                    PortTarget(mailbox: $0, channel: first + instance)
                }
            }
        }
    }

    /// The head input of each channel of a stage: one channel per edge and instance of the sending stage.
    private func channels(into stage: Int) -> [Int] {
        plan.edges.filter { $0.to == stage }.flatMap {
            Array(repeating: $0.input, count: parallelism(of: $0.from))
        }
    }

    /// The number of the first channel of each edge at its receiving stage.
    private func firstChannels() -> [Int] {
        var next: [Int: Int] = [:]
        return plan.edges.map { edge in
            let first = next[edge.to, default: 0]
            next[edge.to] = first + parallelism(of: edge.from)
            return first
        }
    }

    private mutating func connectOutlet(_ stage: Plan.Stage) {
        guard case .sink(let sink) = plan.nodes[stage.head].role, let name = sink.outlet else {
            return
        }
        outlets[name] = OutletChannel(
            mailbox: mailboxes[stage.index][0], channels: channels(into: stage.index).count)
    }

    private mutating func connectSource(_ stage: Plan.Stage) {
        guard case .source(let source) = plan.nodes[stage.head].role else { return }
        let metrics = instances[stage.index][0].metrics
        let context = SourceContext(
            stage: stage.name, logger: environment.logger, resources: environment.resources,
            environment: environment, metrics: metrics, start: SourceStart())
        let mailbox = mailboxes[stage.index][0]
        let pump = SourcePump(
            name: stage.name, order: 2 * stage.index, stage: stage.index, mailbox: mailbox,
            source: environment.substitutes?.source(source, mailbox, context)
                ?? source.connect(mailbox, context), start: context.start,
            prepare: { try await source.prepare(context) },
            environment: environment, supervisors: supervisors, metrics: metrics)
        supervisors.add(pump, under: stage.supervisor)
        pumps.append(pump)
    }
}
