// Shows the thread sanitizer how Swift's runtime synchronises on Linux, where it can't see it: the slow path of
// Synchronization.Mutex is a futex inside an uninstrumented library, a continuation that is resumed before its task
// has suspended is handed over by an atomic in another one, and the runtime's own annotations stay off because
// nobody calls the hook that turns them on. Without this a program of ten lines with nothing but a Mutex is reported.
// Loaded with LD_PRELOAD; each function does what the one it stands before does, and says acquire or release.
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

#define SWIFT __attribute__((swiftcall))
#define SWIFT_ASYNC __attribute__((swiftasynccall))
#define SELF __attribute__((swift_context)) void *self
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define ORIGINAL(type, name) \
    static type original; \
    if (!original) original = (type)dlsym(RTLD_NEXT, name)

// In processes that run without the sanitizer there are none of these.
extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));
extern bool _swift_tsan_enabled __attribute__((weak));
extern void (*_swift_tsan_acquire)(void *) __attribute__((weak));
extern void (*_swift_tsan_release)(void *) __attribute__((weak));
extern void *swift_task_getCurrent(void) __attribute__((weak));

static void acquire(void *object) {
    if (__tsan_acquire) __tsan_acquire(object);
}

static void release(void *object) {
    if (__tsan_release) __tsan_release(object);
}

// The order of a queue, in the runtime's own words.
__attribute__((constructor)) static void enable(void) {
    if (!__tsan_acquire || !&_swift_tsan_enabled) return;
    _swift_tsan_acquire = __tsan_acquire;
    _swift_tsan_release = __tsan_release;
    _swift_tsan_enabled = true;
}

// Mutex: what its fast path does is compiled into the caller and seen.
typedef SWIFT void (*lock_function)(uint32_t, SELF);
typedef SWIFT void (*unlock_function)(SELF);

SWIFT void lock_slow(uint32_t thread, SELF) __asm__(LOCK);
SWIFT void unlock_slow(SELF) __asm__(UNLOCK);

SWIFT void lock_slow(uint32_t thread, SELF) {
    ORIGINAL(lock_function, LOCK);
    original(thread, self);
    acquire(self);
}

SWIFT void unlock_slow(SELF) {
    ORIGINAL(unlock_function, UNLOCK);
    release(self);
    original(self);
}

// Continuations: from who resumes to the task that goes on.
typedef SWIFT void (*resume_function)(void *task);
typedef SWIFT void (*resume_error_function)(void *task, void *error);
typedef SWIFT_ASYNC void (*await_function)(void *context);

SWIFT void swift_continuation_resume(void *task) {
    ORIGINAL(resume_function, "swift_continuation_resume");
    release(task);
    original(task);
}

SWIFT void swift_continuation_throwingResume(void *task) {
    ORIGINAL(resume_function, "swift_continuation_throwingResume");
    release(task);
    original(task);
}

SWIFT void swift_continuation_throwingResumeWithError(void *task, void *error) {
    ORIGINAL(resume_error_function, "swift_continuation_throwingResumeWithError");
    release(task);
    original(task, error);
}

SWIFT_ASYNC void swift_continuation_await(void *context) {
    ORIGINAL(await_function, "swift_continuation_await");
    if (swift_task_getCurrent) acquire(swift_task_getCurrent());
    return original(context);
}
