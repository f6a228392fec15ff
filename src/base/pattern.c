/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { LONGEST = 1024, DEEPEST = 50, MATCH_STEPS = 100000, MATCH_HEAP_KB = 4096 };

struct qs_pattern {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

static void
say(int error, char *why, size_t why_cap)
{
    if (pcre2_get_error_message(error, (PCRE2_UCHAR *)why, why_cap) < 0)
        why[0] = '\0';
}

static pcre2_code *
compile(const char *re, size_t n, char *why, size_t why_cap)
{
    int error;
    PCRE2_SIZE at;
    pcre2_compile_context *limits = pcre2_compile_context_create(NULL);
    pcre2_set_max_pattern_length(limits, 16 * LONGEST); /* a converted glob is longer */
    pcre2_set_parens_nest_limit(limits, DEEPEST);
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)re, n, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY,
                      &error, &at, limits);
    pcre2_compile_context_free(limits);
    if (!code)
        say(error, why, why_cap);
    return code;
}

static pcre2_code *
compile_glob(const char *glob, size_t n, char *why, size_t why_cap)
{
    PCRE2_UCHAR *re = NULL;
    PCRE2_SIZE re_n = 0;
    const int error =
        pcre2_pattern_convert((PCRE2_SPTR)glob, n,
                              PCRE2_CONVERT_GLOB | PCRE2_CONVERT_GLOB_NO_WILD_SEPARATOR |
                                  PCRE2_CONVERT_GLOB_NO_STARSTAR | PCRE2_CONVERT_UTF,
                              &re, &re_n, NULL);
    if (error != 0) {
        say(error, why, why_cap);
        return NULL;
    }
    pcre2_code *code = compile((const char *)re, re_n, why, why_cap);
    pcre2_converted_pattern_free(re);
    return code;
}

struct qs_pattern *
qs_pattern_new(const char *text, char *why, size_t why_cap)
{
    const size_t n = strlen(text);
    const bool is_regex = n >= 2 && text[0] == '/' && text[n - 1] == '/';
    if (n > LONGEST) {
        say(PCRE2_ERROR_NOMEMORY, why, why_cap);
        return NULL;
    }
    pcre2_code *code = is_regex ? compile(text + 1, n - 2, why, why_cap)
                                : compile_glob(text, n, why, why_cap);
    if (!code)
        return NULL;
    struct qs_pattern *p = qs_xcalloc(1, sizeof(*p));
    p->code = code;
    p->match = pcre2_match_data_create(1, NULL);
    p->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(p->limits, MATCH_STEPS);
    pcre2_set_depth_limit(p->limits, MATCH_STEPS);
    pcre2_set_heap_limit(p->limits, MATCH_HEAP_KB);
    return p;
}

bool
qs_pattern_match(const struct qs_pattern *p, const char *s)
{
    return pcre2_match(p->code, (PCRE2_SPTR)s, strlen(s), 0, 0, p->match, p->limits) >= 0;
}

void
qs_pattern_free(struct qs_pattern *p)
{
    if (!p)
        return;
    pcre2_match_context_free(p->limits);
    pcre2_match_data_free(p->match);
    pcre2_code_free(p->code);
    free(p);
}
