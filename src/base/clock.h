/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QS_BASE_CLOCK_H
#define QS_BASE_CLOCK_H

#include <time.h>

/* Seconds of a clock: CLOCK_REALTIME counts from 1970. */
static inline double
qs_clock_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds that never go back, for differences. */
static inline double
qs_seconds_now(void)
{
    return qs_clock_seconds(CLOCK_MONOTONIC);
}

#endif
