/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs of a model from samples of a data set: by name, in the type of the model, several
 * samples together along the first dimension. */
#ifndef QS_APP_INPUTS_H
#define QS_APP_INPUTS_H

#include "app/app.h"
#include "data/dataset.h"

struct qs_inputs {
    const struct qs_opened *o;
    int n;
    int32_t *var;           /* [n] of the model, in the order of qs_model_inputs */
    struct qs_value *value; /* [n] borrowed from the sample, or owned */
    bool *owned;            /* [n] */
};

void qs_inputs_init(struct qs_inputs *in, const struct qs_opened *o); /* no values */
/* Sets the values from n samples that are alike; the samples must live as long as these are used.
 * Numbers of the other width become those of the model (NumPy's default types are the wide ones).
 * QS_ERR_FORMAT when the names do not fit. */
enum qs_err qs_inputs_bind(struct qs_ctx *cx, struct qs_inputs *in, struct qs_sample *const *s,
                           int n) QS_MUST_CHECK;
void qs_inputs_drop(struct qs_inputs *in); /* the values */
void qs_inputs_release(struct qs_inputs *in);

#endif
