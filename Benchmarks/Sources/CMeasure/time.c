#define _GNU_SOURCE
#include "measure.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

static int64_t nanoseconds(struct timeval t) {
    return (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_usec * 1000;
}

cmeasure_cpu_time cmeasure_process_cpu_time(void) {
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    return (cmeasure_cpu_time){nanoseconds(usage.ru_utime), nanoseconds(usage.ru_stime)};
}

uint64_t cmeasure_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void cmeasure_sleep_until(uint64_t deadline) {
#ifdef __linux__
    struct timespec until = {
        .tv_sec = (time_t)(deadline / 1000000000u), .tv_nsec = (long)(deadline % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
#else
    uint64_t now = cmeasure_now();
    if (deadline <= now) return;
    uint64_t left = deadline - now;
    struct timespec span = {
        .tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u)};
    nanosleep(&span, NULL);
#endif
}

void cmeasure_sharpen_sleep(void) {
#ifdef __linux__
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
#endif
}
