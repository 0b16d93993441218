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
