/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A team of threads that stays: for work that comes in many small parts, one after the other.
 * Members wait for the next part actively for a short while, then asleep.
 */
#ifndef QS_BASE_TEAM_H
#define QS_BASE_TEAM_H

#include <stdint.h>

struct qs_team;

/* A team of `threads`, the caller of qs_team_run among them; fewer when threads cannot be made. */
struct qs_team *qs_team_new(int threads);
void qs_team_free(struct qs_team *t); /* NULL is fine */
int qs_team_size(const struct qs_team *t);

/* Calls body(arg, i, member) for each i in 0..n-1; `member` is 0..size-1 and no two calls with the
 * same member overlap. Returns when all are done. One run at a time; from one thread. */
void qs_team_run(struct qs_team *t, int64_t n, void (*body)(void *arg, int64_t i, int member),
                 void *arg);

#endif
