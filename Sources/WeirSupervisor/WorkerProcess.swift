import CWeirProcess

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A running worker; its owner collects its end.
final class WorkerProcess {
    /// The system could not start it.
    struct StartFailure: Error {
        let error: Int32
    }

    let pid: Int32
    /// Becomes readable when the worker has ended.
    let watch: Int32

    private init(pid: Int32, watch: Int32) {
        self.pid = pid
        self.watch = watch
    }

    deinit { close(watch) }

    func send(_ signal: Int32) { _ = kill(pid, signal) }

    /// Starts a worker with the sockets and what it is to know.
    static func start(
        _ supervisor: ProcessSupervisor, _ sockets: ListeningSockets, restarts: Int,
        lastExit: ExitReason?
    ) throws -> WorkerProcess {
        let base = supervisor.environment ?? SupervisedWorker.processEnvironment()
        let environment = SupervisedWorker.environment(
            base, listening: sockets.environmentValue, restarts: restarts, lastExit: lastExit)
        let path = try find(supervisor.executable, searchPath: environment["PATH"])
        let name = supervisor.name ?? supervisor.executable
        let pid = spawn(
            path, [name] + supervisor.arguments,
            environment.map { "\($0.key)=\($0.value)" }, sockets.descriptors)
        guard pid > 0 else { throw StartFailure(error: -pid) }
        let watch = cwp_watch(pid)
        guard watch >= 0 else {
            _ = kill(pid, SIGKILL)
            var ignored: (Int32, Int32, Int32) = (0, 0, 0)
            _ = cwp_reap(pid, &ignored.0, &ignored.1, &ignored.2)
            throw StartFailure(error: -watch)
        }
        return WorkerProcess(pid: pid, watch: watch)
    }

    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String], _ descriptors: [Int32]
    ) -> Int32 {
        var copies = (arguments.map { strdup($0) }, environment.map { strdup($0) })
        defer { for copy in copies.0 + copies.1 { free(copy) } }
        copies.0.append(nil)
        copies.1.append(nil)
        return path.withCString { path in
            copies.0.withUnsafeBufferPointer { arguments in
                copies.1.withUnsafeBufferPointer { environment in
                    descriptors.withUnsafeBufferPointer { descriptors in
                        var command = cwp_command(
                            path: path, arguments: arguments.baseAddress,
                            environment: environment.baseAddress,
                            descriptors: descriptors.baseAddress,
                            descriptor_count: Int32(descriptors.count), orphan_signal: SIGTERM)
                        return cwp_spawn(&command)
                    }
                }
            }
        }
    }

    /// Finds the file to execute, as a shell would.
    private static func find(_ executable: String, searchPath: String?) throws -> String {
        if executable.contains("/") {
            if let error = whyNotExecutable(executable) { throw StartFailure(error: error) }
            return executable
        }
        var error = ENOENT
        for folder in (searchPath ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":") {
            let path = "\(folder)/\(executable)"
            guard let reason = whyNotExecutable(path) else { return path }
            if reason != ENOENT && reason != ENOTDIR { error = reason }
        }
        throw StartFailure(error: error)
    }

    private static func whyNotExecutable(_ path: String) -> Int32? {
        var status = stat()
        guard stat(path, &status) == 0 else { return errno }
        guard status.st_mode & S_IFMT == S_IFREG else { return EACCES }
        return access(path, X_OK) == 0 ? nil : errno
    }
}
