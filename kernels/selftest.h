/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares a variant of the kernels with the scalar one, function by function: same inputs, same
 * bits, nothing written beside the output, nothing read behind the input (it ends at a page that
 * may not be touched). Serves `qslim selftest` and tests/checkkern; a probe also serves timing.
 */
#ifndef QK_SELFTEST_H
#define QK_SELFTEST_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernel.h"

/* What the functions take. The same n elements serve as an array and as rows * cols <= n. */
struct qk_input {
    const void *x;           /* n floats, may be unaligned */
    const int8_t *q8;        /* n */
    const int16_t *q16;      /* n */
    const float *scale;      /* [cols] */
    const double *scale_f64; /* [cols] */
    int64_t n, rows, cols;
    float one_scale, limit, range;
    double mean;
};

/* One function of struct qk_weights: how to call it and how much it writes. */
struct qk_probe {
    const char *name;
    /* Calls it with its output at `out` (64-byte aligned). */
    void (*run)(const struct qk_weights *k, const struct qk_input *in, void *out);
    size_t (*out_bytes)(const struct qk_input *in);
};
extern const struct qk_probe qk_probes[];
extern const int qk_n_probes;

struct qk_verdict {
    const char *function; /* name of the probe */
    int ok;
    int64_t n_cases;
    char detail[160]; /* the first case that failed, with what reproduces it */
};

/* Fills verdict[qk_n_probes] for `variant`, which this machine must have; returns how many
 * functions failed, -1 when there is no memory. The same seed gives the same cases. */
int qk_selftest(const struct qk_weights *variant, uint64_t seed, struct qk_verdict *verdict);

#endif
