/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
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

/* POSIX regcomp copies what is repeated: x+ twice, x{9} nine times, nested ones exponentially. It
 * also follows every way through what may match nothing, of which there are as many as the product
 * over such elements in a row; and matching back-references takes exponential time. So the size
 * after copying (a star counts as two) and the ways are reckoned before, and what a rule or a
 * search has no use for is refused. */
enum { LONGEST_PATTERN = 1024, MOST_ATOMS = 4096, MOST_WAYS = 4096, DEEPEST_GROUP = 64 };

struct part {
    double atoms;
    double empty; /* ways to match nothing */
    double ways;  /* that are followed from where it starts, or from inside of it */
};

/* A group that is open. */
struct group {
    struct part before; /* the alternatives before this one */
    struct part sum;    /* this one, without the last element */
    double run;         /* ways from where the last element starts back to what takes a character */
    struct part last;   /* what a repeat copies */
};

struct reckoning {
    struct group group[DEEPEST_GROUP + 1];
    int depth;
};

static const struct part nothing = {0, 1, 0};

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

/* What is complete of this alternative, the last element included. */
static struct part
sum_of(const struct group *g)
{
    return (struct part){g->sum.atoms + g->last.atoms, g->sum.empty * g->last.empty,
                         g->sum.ways + g->run * g->last.ways};
}

static struct part
either(struct part a, struct part b)
{
    return (struct part){a.atoms + b.atoms, a.empty + b.empty, a.ways + b.ways};
}

static void
add_element(struct reckoning *r, struct part element)
{
    struct group *g = &r->group[r->depth];
    g->sum = sum_of(g);
    g->run = g->last.empty > 0 ? g->run * g->last.empty : 1;
    g->last = element;
}

static void
add_atom(struct reckoning *r, bool is_anchor)
{
    add_element(r, (struct part){1, is_anchor, 1});
}

static void
start_alternative(struct group *g, struct part before)
{
    *g = (struct group){.before = before, .sum = nothing, .run = 1, .last = nothing};
}

static void
close_group(struct reckoning *r)
{
    const struct group *g = &r->group[r->depth--];
    struct part all = either(g->before, sum_of(g));
    all.atoms++;
    add_element(r, all);
}

/* A loop may be entered from its end, too. */
static void
repeat_last(struct part *p, char how)
{
    if (p->atoms == 0)
        return; /* nothing before: it stands for nothing */
    const struct part x = *p;
    const struct part star = {2 * x.atoms, 2 * x.empty + 1, 2 * x.ways + 1};
    if (how == '?')
        *p = (struct part){2 * x.atoms, x.empty + 1, x.ways + 1};
    else if (how == '*')
        *p = star;
    else
        *p =
            (struct part){2 * x.atoms, x.empty * star.empty, x.ways + fmax(x.empty, 1) * star.ways};
}

static void
count_last(struct part *p, long times)
{
    if (p->atoms == 0)
        return;
    const double empty = pow(p->empty + 1, (double)times);
    *p = (struct part){p->atoms * (double)times, empty, (p->ways + 1) * (double)times * empty};
}

/* What the element at s is, or does; its last character, NULL when the expression is refused. */
static const char *
reckon_one(struct reckoning *r, const char *s)
{
    struct group *g = &r->group[r->depth];
    if (*s == '(') {
        if (r->depth == DEEPEST_GROUP)
            return NULL;
        start_alternative(&r->group[++r->depth], (struct part){0});
    } else if (*s == ')' && r->depth > 0) {
        close_group(r);
    } else if (*s == '|') {
        start_alternative(g, either(g->before, sum_of(g)));
    } else if (*s == '+' || *s == '*' || *s == '?') {
        repeat_last(&g->last, *s);
    } else if (*s == '{') {
        count_last(&g->last, count_of(&s));
    } else if (*s == '\\' && s[1]) {
        if (*++s >= '1' && *s <= '9')
            return NULL;
        add_atom(r, strchr("<>bB`'", *s) != NULL);
    } else {
        add_atom(r, *s == '^' || *s == '$');
        s = *s == '[' ? skip_bracket(s) : s;
    }
    return s;
}

static bool
is_large(const struct group *g)
{
    const struct part all = either(g->before, sum_of(g));
    return all.atoms > MOST_ATOMS || all.empty > MOST_WAYS || all.ways > MOST_WAYS;
}

static bool
reckon(const char *s)
{
    struct reckoning r = {.depth = 0};
    start_alternative(r.group, (struct part){0});
    for (; *s; s++) {
        s = reckon_one(&r, s);
        if (!s || is_large(&r.group[r.depth]))
            return false;
    }
    return true;
}

static const char *
refuse(const char *text, bool is_regex)
{
    if (strlen(text) > LONGEST_PATTERN)
        return N_("the pattern is too long");
    if (is_regex && !reckon(text + 1))
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
