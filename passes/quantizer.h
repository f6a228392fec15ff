/* SPDX-License-Identifier: Apache-2.0 */
/* Quantization operators of both formats: what each does to its input X, and what its attributes
 * and parameters say. */
#ifndef QS_PASSES_QUANTIZER_H
#define QS_PASSES_QUANTIZER_H

#include "model/graph.h"

enum qs_quant_does {
    QS_TO_INTEGERS, /* writes integers, as numbers of any type */
    QS_TO_FLOAT,    /* reads them, or a product of them */
    QS_ROUNDS,      /* both at once */
    QS_WATCHES,     /* passes X on and keeps its range */
};
/* A row of quantizer.inc. */
struct qs_quantizer {
    const char *type;
    enum qs_quant_does does;
    const char *out, *scale; /* slots; scale NULL: found in X while the program runs */
    int away;                /* value of round_type when the attribute is absent */
    bool channels;           /* one scale for each channel */
};

/* NULL: any other operator. */
const struct qs_quantizer *qs_quantizer_of(const struct qs_node *node);

/* Rounds half away from zero; else half to even. */
bool qs_quantizer_is_away(const struct qs_quantizer *op, const struct qs_node *node);
/* Passes X on, whatever its type says. */
bool qs_quantizer_only_watches(const struct qs_quantizer *op, const struct qs_node *node);
/* Turns a product of integers back: Scales are those of the weight, then of the activation. */
bool qs_quantizer_has_both(const struct qs_quantizer *op);
/* 2 to 16; 0: any other number. */
int qs_quantizer_bits(const struct qs_quantizer *op, const struct qs_node *node);
/* The axis of the n_scales of the weight t when the operator rounds it or turns it back alone; -1:
 * one scale. */
int qs_quantizer_axis(const struct qs_quantizer *op, const struct qs_node *node,
                      const struct qs_tensor *t, int64_t n_scales);

/* Elements of a float32 parameter [*n], malloc; NULL when var (-1: none) is not one. */
double *qs_quantizer_floats(const struct qs_model *m, int32_t var, int64_t *n);
/* Finite and not negative. */
bool qs_is_threshold(double t);
/* The one threshold of an activation; false, and 0, when the program finds it while it runs. */
bool qs_quantizer_threshold(const struct qs_quantizer *op, const struct qs_model *m,
                            const struct qs_node *node, double *t);

#endif
