/* SPDX-License-Identifier: Apache-2.0 */
/* One layer of threading: a loop over independent items, shared out as threads become free. */
#ifndef QS_BASE_PARALLEL_H
#define QS_BASE_PARALLEL_H

#include <stdint.h>

#include "base/ctx.h"

/* Calls body(cx', arg, i) for each i in 0..n-1 on up to cx->threads threads, cx' a context of the
 * calling thread's own. Stops handing out items at the first failure (recorded in cx) or when
 * cx->cancel is set. Items must not depend on each other or on their order. */
enum qs_err qs_parallel_for(struct qs_ctx *cx, int64_t n,
                            enum qs_err (*body)(struct qs_ctx *cx, void *arg, int64_t i),
                            void *arg) QS_MUST_CHECK;

#endif
