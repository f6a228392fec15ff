/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"

void
qs_str_init(struct qs_str *str)
{
    str->cap = 64;
    str->n = 0;
    str->s = qs_xmalloc(str->cap);
    str->s[0] = '\0';
}

void
qs_str_release(struct qs_str *str)
{
    free(str->s);
    *str = (struct qs_str){0};
}

void
qs_str_clear(struct qs_str *str)
{
    str->n = 0;
    str->s[0] = '\0';
}

static void
reserve(struct qs_str *str, size_t more)
{
    const size_t want = str->n + more + 1;
    if (want <= str->cap)
        return;
    while (str->cap < want)
        str->cap *= 2;
    str->s = qs_xrealloc(str->s, str->cap);
}

void
qs_str_addn(struct qs_str *str, const char *s, size_t n)
{
    reserve(str, n);
    memcpy(str->s + str->n, s, n);
    str->n += n;
    str->s[str->n] = '\0';
}

void
qs_str_add(struct qs_str *str, const char *s)
{
    qs_str_addn(str, s, strlen(s));
}

void
qs_str_printf(struct qs_str *str, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    reserve(str, (size_t)n);
    vsnprintf(str->s + str->n, (size_t)n + 1, fmt, again);
    va_end(again);
    str->n += (size_t)n;
}

void
qs_str_add_printable(struct qs_str *str, const char *s)
{
    const size_t from = str->n;
    qs_str_add(str, s);
    for (char *p = str->s + from; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = '?';
}

char *
qs_str_take(struct qs_str *str)
{
    char *s = str->s;
    *str = (struct qs_str){0};
    return s;
}

static char *
format_scaled(char *out, size_t cap, int64_t n, const char *const *unit, int n_units)
{
    double v = (double)n;
    int u = 0;
    while ((v >= 999.5 || v <= -999.5) && u + 1 < n_units) {
        v /= 1000;
        u++;
    }
    if (u == 0)
        snprintf(out, cap, "%" PRId64 "%s", n, unit[0]);
    else
        snprintf(out, cap, "%.*f%s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, unit[u]);
    return out;
}

char *
qs_format_bytes(char *out, size_t cap, int64_t bytes)
{
    static const char *const unit[] = {" B", " kB", " MB", " GB", " TB", " PB", " EB"};
    return format_scaled(out, cap, bytes, unit, (int)QS_LEN(unit));
}

char *
qs_format_count(char *out, size_t cap, int64_t n)
{
    static const char *const unit[] = {"", "k", "M", "G", "T", "P", "E"};
    return format_scaled(out, cap, n, unit, (int)QS_LEN(unit));
}

struct qs_pattern {
    char *glob; /* NULL: the regular expression */
    bool exact; /* a glob without wildcards */
    regex_t re;
};

/* POSIX regcomp copies what is repeated: x+ twice, x{9} nine times, nested ones exponentially;
 * nested stars take exponential time, and so does matching back-references. So the size after
 * copying (a star counts as two) is reckoned before, and what a rule or a search has no use for is
 * refused. */
enum { LONGEST_PATTERN = 1024, MOST_ATOMS = 4096, DEEPEST_GROUP = 64 };

struct reckoning {
    long atoms[DEEPEST_GROUP + 1]; /* of each open group, without the last */
    long last[DEEPEST_GROUP + 1];  /* atoms of the last element: what a repeat copies */
    int depth;
};

/* End of the bracket expression that starts at s, [ included. */
static const char *
skip_bracket(const char *s)
{
    s += s[1] == '^' ? 2 : 1;
    if (*s == ']')
        s++;
    for (; *s && *s != ']'; s++) {
        if (*s != '[' || !strchr(".:=", s[1]) || !s[1])
            continue;
        const char end[] = {s[1], ']', '\0'};
        const char *closed = strstr(s + 2, end);
        s = closed ? closed + 1 : s;
    }
    return *s ? s : s - 1;
}

/* The larger number of {m,n}; moves *s to its end. */
static long
count_of(const char **s)
{
    char *end;
    const long low = strtol(*s + 1, &end, 10);
    const long high = *end == ',' ? strtol(end + 1, &end, 10) : 0;
    if (*end != '}' || low < 0 || low > MOST_ATOMS || high < 0 || high > MOST_ATOMS)
        return MOST_ATOMS + 1; /* not a count, or not one of use */
    *s = end;
    return low > high ? low + 1 : high + 1;
}

static void
add_element(struct reckoning *r, long atoms)
{
    r->atoms[r->depth] += r->last[r->depth];
    r->last[r->depth] = atoms;
}

static void
repeat_last(struct reckoning *r, long times)
{
    long *last = &r->last[r->depth];
    *last = *last > MOST_ATOMS ? *last : *last * times; /* cannot overflow: both are small */
}

/* Takes the element at s; returns its last character, NULL when the expression is refused. */
static const char *
reckon_one(struct reckoning *r, const char *s)
{
    if (*s == '(') {
        if (r->depth == DEEPEST_GROUP)
            return NULL;
        r->depth++;
        r->atoms[r->depth] = r->last[r->depth] = 0;
    } else if (*s == ')' && r->depth > 0) {
        const long inside = r->atoms[r->depth] + r->last[r->depth];
        r->depth--;
        add_element(r, inside + 1);
    } else if (*s == '+' || *s == '*' || *s == '?') {
        repeat_last(r, 2);
    } else if (*s == '{') {
        repeat_last(r, count_of(&s));
    } else if (*s == '\\' && s[1]) {
        if (*++s >= '1' && *s <= '9')
            return NULL;
        add_element(r, 1);
    } else if (*s == '[') {
        s = skip_bracket(s);
        add_element(r, 1);
    } else {
        add_element(r, 1);
    }
    return r->atoms[r->depth] + r->last[r->depth] > MOST_ATOMS ? NULL : s;
}

static const char *
refuse(const char *text, bool is_regex)
{
    struct reckoning r = {0};
    if (strlen(text) > LONGEST_PATTERN)
        return N_("the pattern is too long");
    for (const char *s = text; is_regex && *s; s++)
        if (!(s = reckon_one(&r, s)))
            return N_("too many repeats or groups, or a back-reference");
    return NULL;
}

struct qs_pattern *
qs_pattern_new(const char *text, char *why, size_t why_cap)
{
    const size_t n = strlen(text);
    const bool is_regex = n >= 2 && text[0] == '/' && text[n - 1] == '/';
    const char *refused = refuse(text, is_regex);
    if (refused) {
        snprintf(why, why_cap, "%s", _(refused));
        return NULL;
    }
    struct qs_pattern *p = qs_xcalloc(1, sizeof(*p));
    if (!is_regex) {
        p->glob = qs_xstrdup(text);
        p->exact = !strpbrk(text, "*?[\\");
        return p;
    }
    char *re = qs_xstrdup(text + 1);
    re[n - 2] = '\0';
    const int rc = regcomp(&p->re, re, REG_EXTENDED | REG_NOSUB);
    free(re);
    if (rc == 0)
        return p;
    regerror(rc, &p->re, why, why_cap);
    free(p);
    return NULL;
}

bool
qs_pattern_match(const struct qs_pattern *p, const char *s)
{
    if (p->exact)
        return strcmp(p->glob, s) == 0;
    return p->glob ? fnmatch(p->glob, s, 0) == 0 : regexec(&p->re, s, 0, NULL, 0) == 0;
}

void
qs_pattern_free(struct qs_pattern *p)
{
    if (!p)
        return;
    if (!p->glob)
        regfree(&p->re);
    free(p->glob);
    free(p);
}
