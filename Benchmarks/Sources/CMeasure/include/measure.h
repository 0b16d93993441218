#ifndef WEIR_BENCH_MEASURE_H
#define WEIR_BENCH_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

/// Processor time in nanoseconds, split as the kernel splits it.
typedef struct {
    int64_t user;
    int64_t system;
} cmeasure_cpu_time;

/// The processor time of this process (all its threads). In C, because `RUSAGE_SELF` is an
/// enumerator on Linux, which Swift cannot pass to `getrusage`.
cmeasure_cpu_time cmeasure_process_cpu_time(void);

/// Nanoseconds of the monotonic clock.
uint64_t cmeasure_now(void);

/// Sleeps until the monotonic clock reaches `deadline` (nanoseconds).
void cmeasure_sleep_until(uint64_t deadline);

/// Makes the calling thread's sleeps end as exactly as the kernel can, instead of up to 50
/// microseconds late.
void cmeasure_sharpen_sleep(void);

/// Whether allocations can be counted on this system.
bool cmeasure_counts_allocations(void);

/// Starts or stops counting; the count is kept.
void cmeasure_set_counting(bool on);

/// Allocations counted since the process began, while counting was on.
uint64_t cmeasure_allocations(void);

#endif
