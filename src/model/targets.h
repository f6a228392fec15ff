/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What targets do with the operators of a quantized model: a table, built in and extended by a text
 * file of the user.
 *
 *     # TARGET FORMAT OPERATOR VERDICT [NOTE ...]
 *     lite-arm qdq lstm int8 from 2.12 on
 *     my-npu   *   conv2d int8
 *
 * FORMAT is qdq, fakequant, dynamic, float (not quantized) or '*'; OPERATOR a type or '*'; VERDICT
 * one of qs_verdict_name. A target that is not built in is a new one. Of all rows that match, those
 * of the file after the built-in ones, the last decides.
 */
#ifndef QS_MODEL_TARGETS_H
#define QS_MODEL_TARGETS_H

#include "base/arena.h"
#include "base/ctx.h"

enum qs_verdict {
    QS_VERDICT_INT8,    /* computed in integers */
    QS_VERDICT_FLOAT,   /* computed in floats; what it reads and makes is converted */
    QS_VERDICT_FUSED,   /* a float operator that joins the integer one before it */
    QS_VERDICT_REFUSED, /* the target does not take the model, or crashes */
    QS_VERDICT_WRONG,   /* it runs, with wrong results */
    QS_N_VERDICT
};
const char *qs_verdict_name(enum qs_verdict v); /* "int8", "float", "fused", "refused", "wrong" */

struct qs_target_row {
    const char *target, *format, *op;
    enum qs_verdict verdict;
    const char *note; /* may be ""; of built-in rows to be translated */
};
struct qs_targets {
    struct qs_target_row *row;
    int n, cap;
    const char **name; /* [n_name] targets in order of first appearance */
    int n_name, cap_name;
    struct qs_arena arena;
};

/* The built-in rows. */
void qs_targets_init(struct qs_targets *t);
void qs_targets_release(struct qs_targets *t);
/* Adds the rows of a file's text; `where` names it in messages. QS_ERR_FORMAT names the line. */
enum qs_err qs_targets_parse(struct qs_ctx *cx, const char *text, const char *where,
                             struct qs_targets *t) QS_MUST_CHECK;
/* The file itself, at most 1 MiB. */
enum qs_err qs_targets_load(struct qs_ctx *cx, const char *path,
                            struct qs_targets *t) QS_MUST_CHECK;
/* The row that decides; NULL: none, it is float. */
const struct qs_target_row *qs_targets_find(const struct qs_targets *t, const char *target,
                                            const char *format, const char *op);

#endif
