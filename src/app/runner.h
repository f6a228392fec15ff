/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model that runs on samples of a data set, one or several at once. Several are put together
 * along the first dimension, and only where that changes nothing: the program leaves that
 * dimension open, and one sample run alone gives what it gives among others (tried once, with the
 * first that could be put together).
 */
#ifndef QS_APP_RUNNER_H
#define QS_APP_RUNNER_H

#include "app/app.h"
#include "data/dataset.h"
#include "engine/engine.h"

struct qs_runner;

enum { QS_RUNNER_BATCH_MOST = QS_EVAL_BATCH_MOST };

struct qs_runner_options {
    struct qs_engine_options engine;
    const struct qs_runner *like; /* of the same model, living longer: shares the model and its
                                     packed weights; NULL */
    int precision;                /* enum qs_precision */
    int batch; /* most samples at once, up to QS_RUNNER_BATCH_MOST; 0: as many as pay */
};

enum qs_err qs_runner_new(struct qs_ctx *cx, const struct qs_opened *o,
                          const struct qs_runner_options *opt,
                          struct qs_runner **out) QS_MUST_CHECK;
void qs_runner_free(struct qs_runner *r); /* NULL is fine */

/* How many samples of these shapes to run at once. */
int qs_runner_batch(const struct qs_runner *r, const struct qs_sample *s);
/* Whether two samples can be put together: names, types and dims are the same. */
bool qs_samples_alike(const struct qs_sample *a, const struct qs_sample *b);

/* Runs on n samples that are alike. `watch` (may be NULL) sees the tensors that the engine is asked
 * to keep, of all n samples together or of one after the other. */
enum qs_err qs_runner_run(struct qs_ctx *cx, struct qs_runner *r, struct qs_sample *const *s, int n,
                          const struct qs_watch *watch) QS_MUST_CHECK;
/* The last output, the one that counts, of sample i of the last run; valid until the next. */
const struct qs_value *qs_runner_out(const struct qs_runner *r, int i);
const struct qs_engine *qs_runner_engine(const struct qs_runner *r);

#endif
