/* SPDX-License-Identifier: Apache-2.0 */
/* What quant.c, quant_stats.c and quant_spans.c share: tensors walked as floats, channel by
 * channel. */
#ifndef QS_MODEL_QUANT_PARTS_H
#define QS_MODEL_QUANT_PARTS_H

#include "kernels/kernel.h"
#include "model/quant.h"

/* Contiguous elements: n of one channel, or, by column, rows of n channels side by side. */
struct qs_span {
    int64_t first; /* index of the first element in the tensor */
    int64_t rows, n;
    int64_t channel; /* of the first element */
    bool by_col;
};
void qs_each_span(struct qs_channels ch, void (*visit)(void *arg, const struct qs_span *s),
                  void *arg);

/* Takes a span of the elements as float32; x may be unaligned. */
typedef void qs_visit_floats(void *arg, const struct qs_span *s, const void *x);
/* float32, float16 or bfloat16; of others nothing is visited. */
bool qs_has_floats(const struct qs_tensor *t);
void qs_each_floats(const struct qs_tensor *t, struct qs_channels ch, qs_visit_floats *visit,
                    void *arg);

/* The whole tensor as one channel. */
struct qs_channels qs_channels_flat(const struct qs_tensor *t);
struct qk_moments qs_moments_of(const struct qs_tensor *t);
/* absmax[n_channels] of the finite elements; 0 where there is none. */
void qs_absmax_of(const struct qs_tensor *t, struct qs_channels ch, float *absmax);

#endif
