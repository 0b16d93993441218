import WeirJournal

extension Simulation {
    /// Finds a smaller run that fails as well: first with fewer faults, then with fewer events
    /// (Zeller, Hildebrandt: Simplifying and Isolating Failure-Inducing Input, 2002).
    func shrink(_ trial: Trial, _ problem: String, _ size: RunSize) -> SimulationFailure {
        var search = Search(simulation: self, best: trial, problem: problem, size: size)
        search.dropFaults()
        search.dropEvents()
        search.dropFaults()
        let run = perform(search.best)
        return SimulationFailure(
            problem: search.problem, trial: search.best, original: trial, run: run,
            attempts: max(1, search.attempts))
    }

    private struct Search {
        let simulation: Simulation
        var best: Trial
        var problem: String
        /// How much happens in the best trial without faults.
        var size: RunSize
        var attempts = 0

        var isOver: Bool { attempts >= simulation.options.shrinking }

        /// Takes a trial as the best if it fails.
        mutating func take(_ trial: Trial, reference: TrialRun? = nil) -> Bool {
            if isOver || trial == best { return false }
            attempts += 1
            guard let reference = reference ?? (try? simulation.makeReference(trial)),
                let problem = simulation.problem(of: simulation.perform(trial), reference)
            else { return false }
            self.problem = problem
            best = trial
            return true
        }

        // MARK: Faults

        mutating func dropFaults() {
            guard let reference = try? simulation.makeReference(best) else { return }
            var hasChanged = true
            while hasChanged && !isOver {
                hasChanged = dropLives(reference)
                for injection in best.injections.reversed() {
                    var trial = best
                    trial.injections.removeAll { $0 == injection }
                    if take(trial, reference: reference) { hasChanged = true }
                }
            }
            calmDown(reference)
        }

        private mutating func dropLives(_ reference: TrialRun) -> Bool {
            var hasChanged = false
            for life in (0...(best.injections.map(\.life).max() ?? 0)).reversed() {
                var trial = best
                trial.injections.removeAll { $0.life == life }
                for index in trial.injections.indices where trial.injections[index].life > life {
                    trial.injections[index].life -= 1
                }
                if trial.parallelism.count > 1, trial.parallelism.indices.contains(life) {
                    trial.parallelism.remove(at: life)
                }
                if take(trial, reference: reference) { hasChanged = true }
            }
            return hasChanged
        }

        /// Leaves out what makes the run hard to follow.
        private mutating func calmDown(_ reference: TrialRun) {
            for change: (inout Trial) -> Void in [
                { $0.isReordered = false }, { $0.isUneven = false }, { $0.order = 0 },
                { $0.batchSize = 512 },
            ] {
                var trial = best
                change(&trial)
                _ = take(trial, reference: reference)
            }
            dropInstances(reference)
        }

        /// Has all lives run with as few instances as they can, and as many of them alike.
        private mutating func dropInstances(_ reference: TrialRun) {
            let lowest = simulation.options.parallelism.lowerBound
            var simpler: [[Int]] = [[]]
            let lives = best.parallelism
            simpler += Set(lives).sorted().map { [$0] }
            for kept in lives.indices.dropFirst() { simpler.append(Array(lives[..<kept])) }
            for parallelism in simpler {
                var trial = best
                trial.parallelism = parallelism
                if take(trial, reference: reference) { break }
            }
            for life in best.parallelism.indices {
                for fewer in lowest..<max(lowest, best.parallelism[life]) {
                    var trial = best
                    trial.parallelism[life] = fewer
                    if take(trial, reference: reference) { break }
                }
            }
        }

        // MARK: Events

        /// An event by its input and its place in it.
        private struct Place: Hashable {
            let input: String
            let index: Int
        }

        mutating func dropEvents() {
            let inputs = simulation.perform(best).outside.inputs
            var places = inputs.flatMap { name, input in
                input.kept.map { Place(input: name, index: $0) }
            }
            let names = inputs.map(\.name)
            var parts = 2
            while places.count > 1 && !isOver {
                let length = (places.count + parts - 1) / parts
                var smaller: [Place]?
                for start in stride(from: 0, to: places.count, by: length) {
                    let end = min(places.count, start + length)
                    let rest = Array(places[..<start] + places[end...])
                    if fails(with: rest, names) {
                        smaller = rest
                        break
                    }
                }
                if let smaller {
                    places = smaller
                    parts = max(2, parts - 1)
                } else if length == 1 {
                    return
                } else {
                    parts = min(places.count, 2 * parts)
                }
            }
        }

        /// Tries these events alone: with the faults at the moments that correspond, then with others.
        private mutating func fails(with places: [Place], _ names: [String]) -> Bool {
            var trial = best
            trial.events = [:]
            for name in names {
                trial.events[name] = places.filter { $0.input == name }.map(\.index)
            }
            guard let reference = try? simulation.makeReference(trial) else { return false }
            var calm = trial
            calm.injections = []
            let calmRun = simulation.perform(calm)
            attempts += 1
            if calm.injections == best.injections,
                let problem = simulation.problem(of: calmRun, reference)
            {
                return succeed(calm, problem, calmRun.size)
            }
            let size = calmRun.size
            let scaled = trial.scaled(from: self.size, to: size)
            let tries = places.count > 16 ? 8 : 40
            for attempt in 0..<tries where !isOver {
                // First at the same moments, then at corresponding ones, then near them, then anywhere.
                var candidate = attempt == 0 ? trial : scaled
                if attempt > 1 {
                    candidate.move(within: size, attempt, isNear: attempt % 2 == 0)
                }
                attempts += 1
                let run = simulation.perform(candidate)
                if let problem = simulation.problem(of: run, reference) {
                    return succeed(candidate, problem, size)
                }
            }
            return false
        }

        private mutating func succeed(_ trial: Trial, _ problem: String, _ size: RunSize) -> Bool {
            best = trial
            self.problem = problem
            self.size = size
            return true
        }
    }
}

extension Trial {
    /// Moves the faults to other moments: to any, or by at most a few.
    fileprivate mutating func move(within size: RunSize, _ attempt: Int, isNear: Bool) {
        var random = SimulatedRandom(seed: seed &* 31 &+ UInt64(attempt))
        func moved(_ number: Int, below bound: Int) -> Int {
            if !isNear { return random.below(bound) }
            return max(0, number - attempt / 4 + random.below(attempt / 2 + 1))
        }
        for index in injections.indices {
            let extra = isNear ? 0 : UInt64(attempt)
            switch injections[index].fault {
            case .checkpoint(let step):
                injections[index].fault = .checkpoint(step: moved(step, below: size.steps))
            case .handlerError(let transaction, let isDone):
                injections[index].fault = .handlerError(
                    transaction: moved(transaction, below: size.transactions), isDone: isDone)
            case .writeError(let write):
                injections[index].fault = .writeError(write: moved(write, below: size.writes))
            case .diskError(let kind, let call, let isFull, let times):
                injections[index].fault = .diskError(
                    kind, call: moved(call, below: size.callsOfKind[kind, default: 1]),
                    isFull: isFull, times: times)
            case .crashAtStep(let step, let loss):
                injections[index].fault = .crashAtStep(
                    moved(step, below: size.steps), loss: loss.map { $0 &+ extra })
            case .crashAfterCall(let call, let loss):
                injections[index].fault = .crashAfterCall(
                    moved(call, below: size.calls), loss: loss.map { $0 &+ extra })
            }
        }
    }
}
