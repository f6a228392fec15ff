/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runners (runner.h) that work side by side, a sample (or a batch) each, on one thread each, which
 * wastes less than many threads for one sample. They share the packed weights. A model of which the
 * fast engine runs nothing has one runner, with all threads.
 *
 * What a sample gives does not depend on how many there are.
 */
#ifndef QS_APP_CREW_H
#define QS_APP_CREW_H

#include "app/runner.h"

struct qs_crew;

enum { QS_CREW_SAMPLES_MOST = QS_RUNNER_BATCH_MOST };

/* As many runners as cx->threads. */
enum qs_err qs_crew_new(struct qs_ctx *cx, const struct qs_opened *o,
                        const struct qs_runner_options *opt, struct qs_crew **out) QS_MUST_CHECK;
void qs_crew_free(struct qs_crew *c); /* NULL is fine */

/* How many samples like this to hand over at once, at most QS_CREW_SAMPLES_MOST. */
int qs_crew_samples(const struct qs_crew *c, const struct qs_sample *s);
/* Runs on n samples; those in a row that are alike may be put together. A failure names the first
 * sample that failed. */
enum qs_err qs_crew_run(struct qs_ctx *cx, struct qs_crew *c, struct qs_sample *const *s, int n,
                        const char *const *name) QS_MUST_CHECK;
/* The output that counts of sample i of the last run; valid until the next. */
const struct qs_value *qs_crew_out(const struct qs_crew *c, int i);
const char *qs_crew_engine(const struct qs_crew *c); /* as qs_engine_kind */

#endif
