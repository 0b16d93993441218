#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

// Whether this processor computes CRC32C itself: SSE4.2, or the CRC extension of ARMv8.
static inline int cweir_crc32c_in_hardware(void) {
#if defined(__x86_64__)
    uint32_t a = 1, b = 0, c = 0, d = 0;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (c >> 20) & 1;
#elif defined(__aarch64__) && defined(__linux__)
    return (getauxval(AT_HWCAP) >> 7) & 1;
#elif defined(__aarch64__) && defined(__APPLE__)
    return 1;
#else
    return 0;
#endif
}

// Continues a CRC32C (not inverted at either end) by the processor's instruction.
#if defined(__x86_64__)
static inline __attribute__((target("sse4.2")))
uint32_t cweir_crc32c(uint32_t crc, const void *bytes, size_t count) {
    const unsigned char *p = (const unsigned char *)bytes;
    uint64_t c = crc, word;
    for (; count >= 8; count -= 8, p += 8) {
        memcpy(&word, p, 8);
        c = __builtin_ia32_crc32di(c, word);
    }
    uint32_t r = (uint32_t)c;
    for (; count > 0; count--, p++) r = __builtin_ia32_crc32qi(r, *p);
    return r;
}
#elif defined(__aarch64__)
static inline __attribute__((target("crc")))
uint32_t cweir_crc32c(uint32_t crc, const void *bytes, size_t count) {
    const unsigned char *p = (const unsigned char *)bytes;
    uint64_t word;
    for (; count >= 8; count -= 8, p += 8) {
        memcpy(&word, p, 8);
        crc = __builtin_arm_crc32cd(crc, word);
    }
    for (; count > 0; count--, p++) crc = __builtin_arm_crc32cb(crc, *p);
    return crc;
}
#else
static inline uint32_t cweir_crc32c(uint32_t crc, const void *bytes, size_t count) {
    (void)bytes;
    (void)count;
    return crc;
}
#endif
