/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Result codes. Every function that can fail for a reason outside the program returns
 * enum qs_err and leaves the sentence for the user in its context (qs_fail in ctx.h).
 * A broken invariant of ours is an assert, never a code.
 */
#ifndef QS_BASE_ERR_H
#define QS_BASE_ERR_H

enum qs_err {
#define ROW(name, text) QS_ERR_##name,
#include "base/err.inc"
#undef ROW
    QS_N_ERR
};
#define QS_OK QS_ERR_OK

#define QS_MUST_CHECK __attribute__((warn_unused_result))

/* The generic sentence of a code (already translated). Never NULL. */
const char *qs_err_text(enum qs_err err);

#endif
