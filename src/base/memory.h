/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory there is, so that work that cannot be done is refused before it begins. */
#ifndef QS_BASE_MEMORY_H
#define QS_BASE_MEMORY_H

#include "base/ctx.h"

/* Bytes that this process may still take: what the system has to give without swapping, what the
 * group of processes may have (cgroup), what the address space may grow by; the least of these that
 * can be known, else INT64_MAX. */
int64_t qs_memory_available(void);

/* QS_ERR_MEMORY, with both numbers, when `bytes` more are not to be had. */
enum qs_err qs_memory_check(struct qs_ctx *cx, int64_t bytes) QS_MUST_CHECK;

#endif
