import Testing
import WeirCore

private func at(_ seconds: Double) -> EventTime {
    EventTime(nanoseconds: Int64(seconds * 1e9))
}

private final class Child: SupervisedChild {
    let name: String
    let order: Int

    init(_ name: String, _ order: Int) {
        self.name = name
        self.order = order
    }

    func requestRestart() {}
}

private func record(_ intensity: inout RestartIntensity, _ seconds: Double) -> Bool {
    intensity.record(at: at(seconds))
}

@Suite struct `The restart intensity` {
    @Test func `allows as many as the limit within the period`() {
        var intensity = RestartIntensity(limit: 2, period: .seconds(5))
        let answer1 = record(&intensity, 0)
        #expect(answer1)
        let answer2 = record(&intensity, 1)
        #expect(answer2)
        let answer3 = record(&intensity, 4.9)
        #expect(!answer3)
    }

    @Test func `forgets what is older than the period`() {
        var intensity = RestartIntensity(limit: 2, period: .seconds(5))
        let answer4 = record(&intensity, 0)
        #expect(answer4)
        let answer5 = record(&intensity, 1)
        #expect(answer5)
        let answer6 = record(&intensity, 5)
        #expect(answer6)
        let answer7 = record(&intensity, 5.5)
        #expect(!answer7)
    }

    @Test func `counts the restarts of a trial for that alone until it is settled`() {
        var intensity = RestartIntensity(limit: 2, period: .seconds(5))
        let child = Child("a", 0)
        let first = RestartTrial(child: ObjectIdentifier(child), number: 1)
        let second = RestartTrial(child: ObjectIdentifier(child), number: 2)
        for trial in [first, first, second, second] {
            let isAllowed = intensity.record(at: at(0), trial: trial)
            #expect(isAllowed)
        }
        #expect(intensity.count(for: first) == 2)
        #expect(intensity.count() == 0)
        intensity.refund(first)
        #expect(intensity.count(for: first) == 0)
        intensity.settle(second)
        #expect(intensity.count() == 2)
        let isAllowed = intensity.record(at: at(1), trial: first)
        #expect(!isAllowed)
    }
}

@Suite struct `A supervisor tree` {
    @Test(arguments: 0..<50 as Range<UInt64>)
    func `waits exponentially longer, with jitter in its bounds`(seed: UInt64) {
        let backoff = Supervisor.Backoff.exponential(
            from: .seconds(1), to: .seconds(4), factor: 2, jitter: 0.5)
        let tree = SupervisorTree(
            root: Supervisor(intensity: 100, within: .seconds(1_000), backoff: backoff), seed: seed)
        let child = Child("a", 0)
        tree.add(child, under: nil)
        for (time, full) in [(0, 0.0), (1, 1), (2, 2), (3, 4), (4, 4)] {
            guard case .restart(let delay) = tree.childFailed(child, at: at(Double(time))) else {
                Issue.record("gave up")
                return
            }
            #expect(delay <= .seconds(full))
            #expect(delay >= .seconds(full / 2))
        }
    }

    @Test func `gives up at the root`() {
        let tree = SupervisorTree(root: Supervisor(intensity: 0), seed: 1)
        let child = Child("a", 0)
        tree.add(child, under: nil)
        guard case .giveUp("root") = tree.childFailed(child, at: at(0)) else {
            Issue.record("did not give up")
            return
        }
    }

    @Test func `gives each stage without a named supervisor its own count`() {
        let tree = SupervisorTree(root: Supervisor(intensity: 0), seed: 1)
        let own = Supervisor(intensity: 1)
        let first = Child("a", 0)
        let second = Child("b", 1)
        tree.add(first, under: own)
        tree.add(second, under: own)
        for child in [first, second] {
            guard case .restart = tree.childFailed(child, at: at(0)) else {
                Issue.record("\(child.name) shares its count")
                return
            }
        }
        guard case .giveUp = tree.childFailed(first, at: at(0)) else {
            Issue.record("one more than the intensity must escalate")
            return
        }
    }
}
