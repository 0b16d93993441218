#pragma once

static inline __attribute__((always_inline)) void cweir_prefetch(const void *address) {
    __builtin_prefetch(address, 1, 3);
}
