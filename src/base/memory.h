/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory there is, so that work that cannot be done is refused before it begins. */
#ifndef QS_BASE_MEMORY_H
#define QS_BASE_MEMORY_H

#include "base/ctx.h"

/* QS_ERR_MEMORY, with both numbers, when `bytes` more are not to be had. */
enum qs_err qs_memory_check(struct qs_ctx *cx, int64_t bytes) QS_MUST_CHECK;

#endif
