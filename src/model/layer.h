/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers: the parameters of a model seen as things to quantize, with their statistics.
 *
 * Formulas, for a weight w of n elements, channels c along its channel axis, R = 2^(bits-1) - 1:
 *   per tensor   s = max|w| / R           q = rint(w / s)           (Paddle: abs_max)
 *   per channel  s_c = max|w_c| / R       q = rint(w / s_c)         (Paddle: channel_wise_abs_max)
 *   sqnr_db      10 log10(sum w^2 / sum (w - q s)^2); +inf when nothing is lost
 *   kurtosis     n sum (w-m)^4 / (sum (w-m)^2)^2   (3 for a normal distribution)
 *   channel_range_ratio   largest max|w_c| / median of max|w_c| over channels that are not zero
 * All accumulations are in double precision, in an order that does not depend on the ISA or on
 * the number of threads.
 */
#ifndef QS_MODEL_LAYER_H
#define QS_MODEL_LAYER_H

#include "model/graph.h"

struct qs_layer_stats {
    bool valid;
    double min, max, mean, std, absmax; /* of the finite elements */
    double sparsity;                    /* share of elements equal to zero */
    double kurtosis;
    double channel_range_ratio; /* 1 when there is one channel */
    int64_t n_bad;              /* NaN and infinite elements */
};

struct qs_layer {
    int32_t var;
    struct qs_ref user; /* first node that reads it; block -1: none */
    const char *slot;   /* slot of that node */
    int n_users;
    int axis;           /* of its output channels, -1 when it has none */
    int64_t n_channels; /* 1 when axis is -1 */
    bool quantizable;   /* some method can quantize it */
    bool int_loadable;  /* Paddle-Lite reads its integers (method dynamic) */
    bool secondary;     /* a bias or a statistic of a norm: hidden unless asked for */
    char reason[160];   /* why not quantizable, or what a target does not take; may be empty */
    struct qs_layer_stats stats;
};

struct qs_layers {
    struct qs_layer *layer;
    int n;
};

/* All parameters in order of first use, then the unused ones. Statistics are not computed. */
struct qs_layers *qs_layers_new(const struct qs_model *m, const struct qs_edges *e);
void qs_layers_free(struct qs_layers *l);

#endif
