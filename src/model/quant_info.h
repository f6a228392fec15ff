/* SPDX-License-Identifier: Apache-2.0 */
/* What a program shows of an earlier quantization: which of Paddle's forms, bits, scales. */
#ifndef QS_MODEL_QUANT_INFO_H
#define QS_MODEL_QUANT_INFO_H

#include "model/graph.h"

enum qs_quant_kind {
    QS_QUANT_NONE,
    QS_QUANT_DYNAMIC, /* integer weights with their scales in attributes */
    QS_QUANT_LITE,    /* optimized by Paddle-Lite: integer operators (enable_int8) */
    QS_QUANT_FAKEQUANT,
    QS_QUANT_QDQ,
};

struct qs_quant_info {
    enum qs_quant_kind kind;
    uint64_t bits; /* set of bit widths found: bit b set means b bits */
    int n_scales;  /* scale values found in attributes and parameters */
    int n_layers;  /* quantization operators, or operators with integer weights */
};

void qs_quant_info_of(const struct qs_model *m, struct qs_quant_info *out);
/* "none", "dynamic", "lite", "fakequant", "qdq". */
const char *qs_quant_kind_name(enum qs_quant_kind kind);

#endif
