#pragma once

#include <stdlib.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

// Has glibc give memory back to the system only when more than `kept` bytes are free at the end of a
// heap, and take it from there in steps of `step` bytes.
static inline void cweir_keep_freed_memory(int kept, int step) {
#if defined(__GLIBC__)
    mallopt(M_TRIM_THRESHOLD, kept);
    mallopt(M_MMAP_THRESHOLD, kept);
    mallopt(M_TOP_PAD, step);
#else
    (void)kept;
    (void)step;
#endif
}
