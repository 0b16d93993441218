/// Finds the stage that holds the others up: from the sinks upward, the first that others wait for and that itself
/// does not wait for a stage behind it.
struct BottleneckSearch {
    /// Others wait for a stage when its mailbox is at least this full.
    static let fullFrom = 0.8
    /// A stage waits for those behind it when it does so for at least this part of the time.
    static let blockedFrom = 0.5
    /// A stage that has been at the same turn for this long while more waits is called stalled.
    static let stalledAfterSeconds = 10.0

    private let status: TopologyStatus

    init(_ status: TopologyStatus) {
        self.status = status
    }

    var result: Bottleneck? {
        // Stages are numbered in the order of the flow.
        for stage in status.stages.reversed() where stage.activity != "ended" {
            guard isWaitedFor(stage) || isStalled(stage), !waitsForOthers(stage) else { continue }
            return Bottleneck(stage: stage.name, kind: kind(stage), evidence: evidence(stage))
        }
        return nil
    }

    private func isWaitedFor(_ stage: StageStatus) -> Bool {
        stage.mailboxFill >= Self.fullFrom || waiting(for: stage).contains { $0.isBlocked }
    }

    private func isStalled(_ stage: StageStatus) -> Bool {
        stage.mailboxDepth > 0 && stage.oldestSeconds >= Self.stalledAfterSeconds
    }

    private func waitsForOthers(_ stage: StageStatus) -> Bool {
        stage.activity == "blocked" || stage.blockedRatio >= Self.blockedFrom
    }

    private func waiting(for stage: StageStatus) -> [EdgeStatus] {
        status.edges.filter { $0.to == stage.name && ($0.isBlocked || $0.blockedRatio > 0) }
    }

    private func kind(_ stage: StageStatus) -> String {
        if stage.isPaused { return "paused" }
        if stage.instances == 0 { return "unread" }
        return isStalled(stage) && stage.eventsInPerSecond == 0 ? "stalled" : "slow"
    }

    private func evidence(_ stage: StageStatus) -> String {
        var parts: [String] = []
        if stage.isPaused {
            parts.append("it is paused")
        } else if stage.instances == 0 {
            parts.append("its consumer does not take what is there")
        } else {
            var text = "it is busy \(percent(stage.busyRatio)) of the time"
            if stage.activity != "handling" && stage.activity != "idle" {
                text += ", now \(stage.activity)"
            }
            parts.append(text)
            if stage.instances > 1 { parts.append("it runs as \(stage.instances) actors") }
        }
        parts.append(
            "its mailbox holds \(stage.mailboxDepth) of \(stage.mailboxCapacity) events"
                + (stage.oldestSeconds > 0
                    ? ", waiting for \(TopologyStatus.text(stage.oldestSeconds)) s" : ""))
        for edge in waiting(for: stage) {
            parts.append(
                "'\(edge.from)' waits for it \(percent(edge.blockedRatio)) of the time"
                    + (edge.isBlocked ? ", also now" : ""))
        }
        return parts.joined(separator: "; ")
    }

    private func percent(_ ratio: Double) -> String { "\(Int((ratio * 100).rounded())) %" }
}
