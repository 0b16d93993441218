import Synchronization

/// A stage as its supervisor sees it.
package protocol SupervisedChild: AnyObject, Sendable {
    var name: String { get }
    /// Position in the flow: a child with a higher one is downstream or beside. A source comes before its stage.
    var order: Int { get }
    /// Asks the stage to restart at its next turn.
    func requestRestart()
}

/// The supervisors of a run and their children.
package final class SupervisorTree: Sendable {
    /// What a failed stage is to do.
    package enum Verdict: Sendable {
        /// Wait, restart, go on.
        case restart(after: Duration)
        /// The root has given up: end the run with the error.
        case giveUp(supervisor: String)
    }

    private struct Group: Sendable {
        let supervisor: Supervisor
        let label: String
        let parent: Int?
        var children: [any SupervisedChild] = []
        var childGroups: [Int] = []
        var intensity: RestartIntensity
        var restarts = 0
    }

    private struct Locked: Sendable {
        var groups: [Group] = []
        var byName: [String: Int] = [:]
        var groupOfChild: [ObjectIdentifier: Int] = [:]
        var random: SplitMix64
    }

    private let locked: Mutex<Locked>

    package init(root: Supervisor, seed: UInt64) {
        var locked = Locked(random: SplitMix64(seed: seed))
        locked.groups.append(Self.makeGroup(root, label: "root", parent: nil))
        self.locked = Mutex(locked)
    }

    private static func makeGroup(_ supervisor: Supervisor, label: String, parent: Int?) -> Group {
        Group(
            supervisor: supervisor, label: label, parent: parent,
            intensity: RestartIntensity(limit: supervisor.intensity, period: supervisor.period))
    }

    /// Places a stage under a supervisor, or under the root when it has none.
    package func add(_ child: any SupervisedChild, under supervisor: Supervisor?) {
        locked.withLock { locked in
            let index = supervisor.map { Self.group(of: $0, for: child.name, &locked) } ?? 0
            locked.groups[index].children.append(child)
            locked.groupOfChild[ObjectIdentifier(child)] = index
        }
    }

    /// Lets go of the children, which know the tree, when the run has ended.
    package func forgetChildren() {
        locked.withLock { locked in
            for index in locked.groups.indices { locked.groups[index].children = [] }
        }
    }

    private static func group(
        of supervisor: Supervisor, for child: String, _ locked: inout Locked
    ) -> Int {
        // Parallel instances of one stage share its supervisor.
        let key = supervisor.name ?? "supervisor of \(child)"
        if let known = locked.byName[key] { return known }
        let parent = supervisor.parent.map { group(of: $0, for: key, &locked) } ?? 0
        locked.groups.append(makeGroup(supervisor, label: key, parent: parent))
        let index = locked.groups.count - 1
        locked.byName[key] = index
        locked.groups[parent].childGroups.append(index)
        return index
    }

    /// The supervisor of all stages that have none of their own.
    package var root: Supervisor { locked.withLock { $0.groups[0].supervisor } }

    /// The settings that apply to a child.
    package func supervisor(of child: any SupervisedChild) -> Supervisor {
        locked.withLock { locked in
            let index = locked.groupOfChild[ObjectIdentifier(child)] ?? 0
            return locked.groups[index].supervisor
        }
    }

    /// A child has failed: counts the restart and has siblings restarted as the strategy says.
    ///
    /// - Parameter trial: The number of the child's event that has failed; nil when it is none of an event's.
    package func childFailed(
        _ child: any SupervisedChild, at now: EventTime, trial: Int? = nil
    ) -> Verdict {
        failed(child, at: now, trial, escalated: false)
    }

    /// A child's failure is none that its supervisor may handle: the whole group fails, and the
    /// parent decides; at the root the run ends.
    package func childEscalated(
        _ child: any SupervisedChild, at now: EventTime, trial: Int? = nil
    ) -> Verdict {
        failed(child, at: now, trial, escalated: true)
    }

    private func failed(
        _ child: any SupervisedChild, at now: EventTime, _ trial: Int?, escalated: Bool
    ) -> Verdict {
        let trial = trial.map { RestartTrial(child: ObjectIdentifier(child), number: $0) }
        let (verdict, others) = locked.withLock { locked -> (Verdict, [any SupervisedChild]) in
            var index = locked.groupOfChild[ObjectIdentifier(child)] ?? 0
            var failedOrder = child.order
            var wholeGroup: Int?
            var gaveUp = escalated
            while true {
                let count = locked.groups[index].intensity.count(for: trial)
                if !gaveUp, locked.groups[index].intensity.record(at: now, trial: trial) {
                    locked.groups[index].restarts += 1
                    let random = Double(locked.random.next() >> 11) * 0x1p-53
                    let previous = min(
                        count, locked.groups[index].intensity.count(for: trial) - 1)
                    let delay = locked.groups[index].supervisor.backoff.delay(
                        afterRestarts: previous, random: random)
                    var others = Self.affected(index, failedOrder, locked)
                    if let wholeGroup { others += Self.all(wholeGroup, locked) }
                    var seen: Set<ObjectIdentifier> = [ObjectIdentifier(child)]
                    others = others.filter { seen.insert(ObjectIdentifier($0)).inserted }
                    return (.restart(after: delay), others)
                }
                guard let parent = locked.groups[index].parent else {
                    return (.giveUp(supervisor: locked.groups[index].label), [])
                }
                // The group itself has failed: it starts afresh under its parent, all of it.
                locked.groups[index].intensity = RestartIntensity(
                    limit: locked.groups[index].supervisor.intensity,
                    period: locked.groups[index].supervisor.period)
                failedOrder = Self.all(index, locked).map(\.order).min() ?? failedOrder
                wholeGroup = index
                index = parent
                gaveUp = false
            }
        }
        for other in others { other.requestRestart() }
        return verdict
    }

    /// A child is done with an event that has failed.
    ///
    /// - Parameter isPoison: Whether the event was to blame: then its restarts do not count.
    package func endTrial(_ number: Int, of child: any SupervisedChild, isPoison: Bool) {
        let trial = RestartTrial(child: ObjectIdentifier(child), number: number)
        locked.withLock { locked in
            var next = locked.groupOfChild[ObjectIdentifier(child)]
            while let index = next {
                if isPoison {
                    locked.groups[index].intensity.refund(trial)
                } else {
                    locked.groups[index].intensity.settle(trial)
                }
                next = locked.groups[index].parent
            }
        }
    }

    /// Each supervisor's name, strategy, and how often its children have restarted.
    package var restarts: [(label: String, strategy: Supervisor.Strategy, count: Int)] {
        locked.withLock { locked in
            locked.groups.map { ($0.label, $0.supervisor.strategy, $0.restarts) }
        }
    }

    private static func affected(
        _ index: Int, _ failedOrder: Int, _ locked: Locked
    ) -> [any SupervisedChild] {
        switch locked.groups[index].supervisor.strategy.kind {
        case .oneForOne: []
        case .restForOne: all(index, locked).filter { $0.order >= failedOrder }
        case .oneForAll: all(index, locked)
        }
    }

    private static func all(_ index: Int, _ locked: Locked) -> [any SupervisedChild] {
        locked.groups[index].children
            + locked.groups[index].childGroups.flatMap { all($0, locked) }
    }
}
