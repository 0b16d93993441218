import WeirJSON

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#endif

extension InspectionRequest {
    /// Answers for a topology that was about to run, and ends the process.
    ///
    /// A service may run several topologies; each asks. The one to which the store belongs answers;
    /// when none does within two seconds, another says so.
    func serve(_ topology: Topology, _ configuration: RunConfiguration) async -> Never {
        // Whatever the service has begun to print ends here.
        printNow("\n")
        if let owner = owner, owner != topology.name {
            try? await ContinuousClock().sleep(for: .seconds(2))
        }
        switch self {
        case .check(let request): await check(request, topology, configuration)
        case .replay(let request): await replay(request, topology, configuration)
        case .malformed(let variable):
            fail(
                variable == Self.checkVariable ? Self.checkMarker : Self.replayMarker,
                ReplayError("\(variable) is not what weir sets it to"), isMissing: false)
        }
    }

    /// The topology that the store's newest checkpoint names.
    private var owner: String? {
        let path: String
        switch self {
        case .check(let request): path = request.store
        case .replay(let request): path = request.store
        case .malformed: return nil
        }
        guard let reader = try? StoreReader(path: path) else { return nil }
        var directories = ((try? reader.directory.completeCheckpoints()) ?? []).reversed().map {
            reader.directory.directory(of: $0)
        }
        directories += ((try? reader.directory.savepointNames()) ?? []).map {
            reader.directory.directory(ofSavepoint: $0)
        }
        return directories.lazy.compactMap {
            try? reader.directory.manifest(in: $0).topology
        }.first
    }

    /// The store that is asked for, read with the keys that the service gives its own.
    private func store(_ path: String, _ configuration: RunConfiguration) -> StateStore {
        var store = StateStore.directory(
            path, dropsUnknownState: configuration.store?.dropsUnknownState ?? false)
        store.cipher = configuration.store?.cipher
        return store
    }

    private func check(
        _ request: CheckRequest, _ topology: Topology, _ configuration: RunConfiguration
    ) async -> Never {
        var store = store(request.store, configuration)
        store.start = request.start
        do {
            let report = try await topology.check(store, configuration: configuration)
            answer(Self.checkMarker, report, status: report.loads ? 0 : 1)
        } catch {
            fail(Self.checkMarker, error, isMissing: error is StoreError)
        }
    }

    private func replay(
        _ request: ReplayRequest, _ topology: Topology, _ configuration: RunConfiguration
    ) async -> Never {
        let isLive = request.speed != nil || request.steps == true
        let lines = ReplayLines(flushesAtOnce: isLive)
        do {
            let report = try await topology.replay(
                store(request.store, configuration), options: request.options,
                configuration: configuration
            ) { step in
                lines.write("{\"step\":\(EventText.json(step))}")
            } emit: { event in
                lines.write("{\"sink\":\(EventText.quoted(event.sink)),\"event\":\(event.json)}")
            }
            answer(Self.replayMarker, report, status: 0)
        } catch {
            fail(
                Self.replayMarker, error,
                isMissing: error is StoreError || error is MissingFromStore)
        }
    }

    private func fail(_ marker: String, _ error: any Error, isMissing: Bool) -> Never {
        answer(
            marker, InspectionFailure(failure: "\(error)", isMissing: isMissing),
            status: isMissing ? 66 : 65)
    }

    private func answer(_ marker: String, _ answer: some Encodable, status: Int32) -> Never {
        let json = (try? JSONEventEncoder().encode(answer)).map {
            String(decoding: $0, as: UTF8.self)
        }
        printNow("\(marker)\n\(json ?? "{}")\n")
        exit(status)
    }
}

/// Writes lines to standard output.
private struct ReplayLines: Sendable {
    let flushesAtOnce: Bool

    func write(_ line: String) {
        print(line)
        if flushesAtOnce { fflush(nil) }
    }
}
