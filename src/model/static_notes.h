/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A statically quantized model taken apart: the float graph, and beside it what is quantized how.
 * Both of Paddle's formats (quantize_linear/dequantize_linear, fake_quantize_*), exports of
 * quantization-aware training, and integers of method dynamic are read into the same notes; the
 * writers of both formats and the integer engine start from these notes. passes/take_apart.h makes
 * them.
 */
#ifndef QS_MODEL_STATIC_NOTES_H
#define QS_MODEL_STATIC_NOTES_H

#include "model/graph.h"

/* An activation whose value is rounded where quantized operators read it. Also the output of an
 * operator with `observed` set, where the program only records the range. A variable has more than
 * one entry only when the program rounds it in different ways. */
struct qs_quant_act {
    int32_t var;
    int bits;
    double threshold; /* T: x ~ clamp(round(x / T * R)) * T / R, R = 2^(bits-1) - 1 */
    bool half_away;   /* how the program rounds: half away from zero (+-R); else half to even,
                         -R-1 .. R */
    bool observed;    /* no operator reads it rounded */
};
/* A weight kept in integers. */
struct qs_quant_weight {
    int32_t var; /* after taking apart: FP32, q * scale */
    int bits;
    int axis; /* of the scales; -1: one */
    int64_t n_scales;
    double *threshold; /* [n_scales], T per channel: w = q * T / R */
    struct qs_buf *q;  /* int8 (bits <= 8) or int16, in the layout of the weight */
};
/* A node that computes on rounded inputs. Any operator may: those with weights, pool2d, concat,
 * also fetch. */
struct qs_quant_node {
    int32_t node;   /* of block 0 of the float graph */
    int32_t act;    /* index of its first rounded activation in act[]; -1: weight only */
    int32_t act2;   /* second rounded activation (matmul of two, elementwise_add); -1 */
    int32_t weight; /* index in weight[]; -1: none */
    /* Every rounded activation that it reads, in the order of its inputs. */
    int32_t *all; /* [n_all] indices in act[] */
    int n_all;
};
struct qs_static_notes {
    struct qs_quant_act *act;
    int n_act;
    struct qs_quant_weight *weight;
    int n_weight;
    struct qs_quant_node *node; /* by rising node */
    int n_node;
};

void qs_static_notes_release(struct qs_static_notes *n);

/* An entry at the end, and its index. What it points to is the notes' from here on. */
int qs_static_add_act(struct qs_static_notes *n, struct qs_quant_act act);
int qs_static_add_weight(struct qs_static_notes *n, struct qs_quant_weight weight);
int qs_static_add_node(struct qs_static_notes *n, struct qs_quant_node node);
/* One more rounded activation that the node reads: in all, act and act2. */
void qs_static_add_read(struct qs_quant_node *q, int act);

/* Entries of the notes; -1: none. */
int qs_static_find_node(const struct qs_static_notes *n, int32_t node);
int qs_static_find_weight(const struct qs_static_notes *n, int32_t var);

#endif
