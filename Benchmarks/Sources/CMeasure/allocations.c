// Counts the process's calls to the C allocator, which is where Swift's runtime, too, gets its
// memory. A definition of `malloc` in the executable takes the place of libc's for every shared
// library of the process; each wrapper here goes on to glibc's own entry (`__libc_malloc` and so
// on), which is exported for this purpose, so no `dlsym` is needed (that one allocates itself).
// `free` stays libc's: the memory is libc's. While counting is off a call costs one load and one
// branch more than libc's, so timed runs are not disturbed. Only glibc is served; elsewhere
// (macOS, musl) `cmeasure_counts_allocations` says no and nothing is replaced.

#define _GNU_SOURCE
#include "measure.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

static _Atomic(bool) counting = false;
static _Atomic(uint64_t) allocations = 0;

void cmeasure_set_counting(bool on) {
    atomic_store(&counting, on);
}

uint64_t cmeasure_allocations(void) {
    return atomic_load(&allocations);
}

#ifdef __GLIBC__

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static inline void count_one(void) {
    if (atomic_load_explicit(&counting, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    }
}

void *malloc(size_t size) {
    count_one();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    count_one();
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    count_one();
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    count_one();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count_one();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) {
        return EINVAL;
    }
    count_one();
    void *memory = __libc_memalign(alignment, size);
    if (memory == NULL) return ENOMEM;
    *result = memory;
    return 0;
}

bool cmeasure_counts_allocations(void) {
    return true;
}

#else

bool cmeasure_counts_allocations(void) {
    return false;
}

#endif
