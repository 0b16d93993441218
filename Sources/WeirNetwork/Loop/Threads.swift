import CLibUV

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The calling thread's identity as a number that is never zero.
@inline(__always)
func currentThread() -> UInt {
    #if canImport(Glibc)
        UInt(pthread_self())
    #else
        UInt(bitPattern: pthread_self())
    #endif
}

/// Lets a thread clean up after itself when it ends.
func detachThread(_ thread: uv_thread_t) {
    pthread_detach(thread)
}

/// Lets writes to a socket whose peer is gone fail with an error on the calling thread.
///
/// Else the signal SIGPIPE, which libuv leaves as it is, would end the process.
func blockBrokenPipeSignal() {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
}
