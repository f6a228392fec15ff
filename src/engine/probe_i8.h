/* SPDX-License-Identifier: Apache-2.0 */
/* A layer of a probe in integers: its step, and the bytes that stand in for its input. */
#ifndef QS_ENGINE_PROBE_I8_H
#define QS_ENGINE_PROBE_I8_H

#include "engine/lower.h"

struct qs_probe_i8 {
    struct step step; /* reads the bytes, makes what the plan's step makes */
    struct rounding rounding;
    int from;       /* value that is rounded to the bytes */
    int64_t floats; /* of memory: bytes, and rows that are made apart */
};

/* For step s of a probe's plan; in the arena of the plan. NULL: the integer engine has no form of
 * it. `w` is borrowed until its weights are packed. */
struct qs_probe_i8 *qs_probe_i8_new(struct qs_fast *f, const struct step *s,
                                    const struct qs_quant_weight *w, float threshold, int bits);
enum qs_err qs_probe_i8_pack(struct qs_ctx *cx, struct qs_fast *f,
                             struct qs_probe_i8 *i) QS_MUST_CHECK;
/* Its values lie in `memory` [floats], in a plan that shares them. */
void qs_probe_i8_enter(struct qs_fast *f, const struct qs_probe_i8 *i, float *memory);
void qs_probe_i8_run(struct qs_fast *f, const struct qs_probe_i8 *i);

#endif
