/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rules, filters and searches take: a glob (`*`, `?`, `[...]`) that must match the whole
 * text, or a regular expression written as /.../ that may match anywhere in it. Patterns may be
 * hostile: length, nesting, and the work of one match are bounded (PCRE2's limits).
 */
#ifndef QS_BASE_PATTERN_H
#define QS_BASE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

struct qs_pattern;

/* NULL when the pattern is not valid; the reason is then in `why` (at least 128 bytes). */
struct qs_pattern *qs_pattern_new(const char *text, char *why, size_t why_cap);
/* A match that would take more work than the bound counts as none. */
bool qs_pattern_match(const struct qs_pattern *p, const char *s);
void qs_pattern_free(struct qs_pattern *p); /* NULL is fine */

#endif
