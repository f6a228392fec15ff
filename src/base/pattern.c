/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Globs and regular expressions, compiled to a small machine that follows all ways at once (Ken
 * Thompson's construction, as Russ Cox describes it in "Regular Expression Matching: the Virtual
 * Machine Approach"). The C library's functions are of no use here: nested repeats make them take
 * minutes or gigabytes, and patterns come from files, too.
 *
 * Jumps are relative, so that a repeat is compiled by copying code.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"

enum { LONGEST_PATTERN = 1024, MOST_CODE = 2048, MOST_RANGES = 2048, HIGHEST_COUNT = 255 };

enum op { CHAR, ANY, SET, START, END, JUMP, SPLIT, MATCH };

struct code {
    enum op op;
    uint32_t c;   /* CHAR */
    bool negated; /* SET: ranges x .. x + y - 1 are those it does not take */
    int x, y;     /* JUMP: to x; SPLIT: to x and to y; both from here */
};

struct range {
    uint32_t low, high;
};

struct qs_pattern {
    struct code *code;
    struct range *range;
    int n_code, n_range;
};

/* Characters */

/* The character at *s, which moves behind it; bytes that are no UTF-8 stand for themselves above
 * all characters. */
static uint32_t
next_char(const char **s)
{
    enum { NO_CHARACTER = 0x200000 };
    const unsigned char *p = (const unsigned char *)*s;
    const int more = p[0] < 0x80                   ? 0
                     : p[0] >= 0xC2 && p[0] < 0xE0 ? 1
                     : p[0] >= 0xE0 && p[0] < 0xF0 ? 2
                     : p[0] >= 0xF0 && p[0] < 0xF5 ? 3
                                                   : -1;
    uint32_t c = more <= 0 ? p[0] : p[0] & (0x3Fu >> more);
    ++*s;
    if (more < 0)
        return NO_CHARACTER + p[0];
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return NO_CHARACTER + p[0];
        c = c << 6 | (p[i] & 0x3F);
    }
    *s += more;
    return c;
}

static const struct {
    const char *name, *ranges; /* pairs of first and last */
} classes[] = {
    {"alpha", "AZaz"},    {"digit", "09"},     {"alnum", "09AZaz"}, {"upper", "AZ"},
    {"lower", "az"},      {"space", "\t\r  "}, {"blank", "\t\t  "}, {"punct", "!/:@[`{~"},
    {"xdigit", "09AFaf"}, {"print", " ~"},     {"graph", "!~"},     {"cntrl", "\1\37\177\177"},
    {"word", "09AZaz__"},
};

/* Compiling */

struct compiler {
    struct qs_pattern *p;
    const char *s; /* what is left; ends at `end` */
    const char *end;
    int depth; /* open groups */
    bool is_glob;
    const char *why; /* NULL until refused */
};

static void
refuse(struct compiler *c, const char *why)
{
    if (!c->why)
        c->why = why;
    c->s = c->end;
}

static bool
at(const struct compiler *c, char want)
{
    return c->s < c->end && *c->s == want;
}

static bool
take(struct compiler *c, char want)
{
    const bool is = at(c, want);
    c->s += is;
    return is;
}

static void
insert(struct compiler *c, int where, struct code code)
{
    struct qs_pattern *p = c->p;
    if (p->n_code == MOST_CODE) {
        refuse(c, N_("it is too long or repeats too much"));
        return;
    }
    memmove(p->code + where + 1, p->code + where, (size_t)(p->n_code - where) * sizeof(*p->code));
    p->code[where] = code;
    p->n_code++;
}

static void
emit(struct compiler *c, struct code code)
{
    insert(c, c->p->n_code, code);
}

static void
add_range(struct compiler *c, uint32_t low, uint32_t high)
{
    if (low > high || c->p->n_range == MOST_RANGES)
        refuse(c, N_("a range in brackets goes backwards"));
    else
        c->p->range[c->p->n_range++] = (struct range){low, high};
}

static void
add_class(struct compiler *c, const char *name, size_t n)
{
    for (size_t i = 0; i < QS_LEN(classes); i++) {
        if (strlen(classes[i].name) != n || memcmp(classes[i].name, name, n) != 0)
            continue;
        for (const char *r = classes[i].ranges; *r; r += 2)
            add_range(c, (unsigned char)r[0], (unsigned char)r[1]);
        return;
    }
    refuse(c, N_("a class of characters in brackets is not known"));
}

/* One character of a bracket expression, also as [.x.] or [=x=]. */
static uint32_t
bracket_char(struct compiler *c)
{
    if (c->is_glob)
        take(c, '\\');
    const char kind = *c->s == '[' && c->end - c->s > 1 ? c->s[1] : '\0';
    const bool wrapped = kind == '.' || kind == '=';
    c->s += wrapped ? 2 : 0;
    if (c->s >= c->end)
        return 0;
    const uint32_t ch = next_char(&c->s);
    if (wrapped && (!take(c, kind) || !take(c, ']')))
        refuse(c, N_("a class of characters in brackets is not known"));
    return ch;
}

static void
bracket_item(struct compiler *c)
{
    if (at(c, '[') && c->end - c->s > 1 && c->s[1] == ':') {
        const char *name = c->s + 2, *end = strstr(name, ":]");
        if (!end || end >= c->end) {
            refuse(c, N_("a bracket is not closed"));
            return;
        }
        c->s = end + 2;
        add_class(c, name, (size_t)(end - name));
        return;
    }
    const uint32_t low = bracket_char(c);
    const bool is_range = at(c, '-') && c->end - c->s > 1 && c->s[1] != ']';
    c->s += is_range;
    add_range(c, low, is_range ? bracket_char(c) : low);
}

/* After the opening bracket. */
static void
bracket(struct compiler *c)
{
    struct code set = {.op = SET, .x = c->p->n_range};
    set.negated = take(c, c->is_glob && at(c, '!') ? '!' : '^');
    do {
        if (c->s >= c->end)
            refuse(c, N_("a bracket is not closed"));
        else
            bracket_item(c);
    } while (!c->why && !at(c, ']'));
    take(c, ']');
    set.y = c->p->n_range - set.x;
    emit(c, set);
}

/* After a backslash. */
static void
escape(struct compiler *c)
{
    static const char *const name[] = {"digit", "word", "space"};
    static const char letters[] = "dwsDWS";
    if (c->s >= c->end) {
        refuse(c, N_("it ends with a backslash"));
        return;
    }
    const char *found = strchr(letters, *c->s);
    if (found) {
        const size_t k = (size_t)(found - letters);
        struct code set = {.op = SET, .x = c->p->n_range, .negated = k >= QS_LEN(name)};
        add_class(c, name[k % QS_LEN(name)], strlen(name[k % QS_LEN(name)]));
        set.y = c->p->n_range - set.x;
        c->s++;
        emit(c, set);
    } else if ((*c->s >= '0' && *c->s <= '9') || (*c->s >= 'a' && *c->s <= 'z') ||
               (*c->s >= 'A' && *c->s <= 'Z')) {
        refuse(c, N_("a letter or digit after a backslash means nothing here"));
    } else {
        emit(c, (struct code){.op = CHAR, .c = next_char(&c->s)});
    }
}

static void alternatives(struct compiler *c);

static void
atom(struct compiler *c)
{
    if (take(c, '(')) {
        c->depth++;
        alternatives(c);
        c->depth--;
        if (!take(c, ')'))
            refuse(c, N_("a group is not closed"));
    } else if (take(c, '[')) {
        bracket(c);
    } else if (take(c, '\\')) {
        escape(c);
    } else if (take(c, '.')) {
        emit(c, (struct code){.op = ANY});
    } else if (take(c, '^')) {
        emit(c, (struct code){.op = START});
    } else if (take(c, '$')) {
        emit(c, (struct code){.op = END});
    } else if (strchr("*+?{)", *c->s)) {
        refuse(c, *c->s == ')' ? N_("a group is closed that is not open")
                               : N_("there is nothing to repeat"));
    } else {
        emit(c, (struct code){.op = CHAR, .c = next_char(&c->s)});
    }
}

static int
number(struct compiler *c)
{
    int n = -1;
    for (; c->s < c->end && *c->s >= '0' && *c->s <= '9'; c->s++)
        n = n > HIGHEST_COUNT ? n : (n < 0 ? 0 : 10 * n) + (*c->s - '0');
    return n;
}

static void
star(struct compiler *c, int start)
{
    const int n = c->p->n_code - start;
    insert(c, start, (struct code){.op = SPLIT, .x = 1, .y = n + 2});
    emit(c, (struct code){.op = JUMP, .x = -(n + 1)});
}

/* After the brace: the code from `start` on, `low` to `high` times (-1: any). */
static void
counted(struct compiler *c, int start)
{
    int low = number(c), high = low;
    if (take(c, ','))
        high = number(c);
    else if (low < 0)
        low = high = HIGHEST_COUNT + 1;
    low = low < 0 ? 0 : low;
    if (!take(c, '}') || low > HIGHEST_COUNT || high > HIGHEST_COUNT || (high >= 0 && high < low)) {
        refuse(c, N_("a count in braces is wrong or too large"));
        return;
    }
    const int n = c->p->n_code - start;
    struct code *copy = qs_xmalloc((size_t)n * sizeof(*copy));
    memcpy(copy, c->p->code + start, (size_t)n * sizeof(*copy));
    c->p->n_code = start;
    const int times = high < 0 ? low + 1 : high;
    for (int i = 0; i < times && !c->why; i++) {
        const int here = c->p->n_code;
        for (int k = 0; k < n; k++)
            emit(c, copy[k]);
        if (i >= low && high < 0)
            star(c, here);
        else if (i >= low)
            insert(c, here, (struct code){.op = SPLIT, .x = 1, .y = n + 1});
    }
    free(copy);
}

static void
repeated(struct compiler *c)
{
    const int start = c->p->n_code;
    atom(c);
    while (c->s < c->end && !c->why) {
        const int n = c->p->n_code - start;
        if (take(c, '*'))
            star(c, start);
        else if (take(c, '+'))
            emit(c, (struct code){.op = SPLIT, .x = -n, .y = 1});
        else if (take(c, '?'))
            insert(c, start, (struct code){.op = SPLIT, .x = 1, .y = n + 1});
        else if (take(c, '{'))
            counted(c, start);
        else
            break;
    }
}

static void
alternatives(struct compiler *c)
{
    const int start = c->p->n_code;
    while (c->s < c->end && *c->s != '|' && !(*c->s == ')' && c->depth))
        repeated(c);
    if (!take(c, '|'))
        return;
    const int n = c->p->n_code - start;
    insert(c, start, (struct code){.op = SPLIT, .x = 1, .y = n + 2});
    const int jump = c->p->n_code;
    emit(c, (struct code){.op = JUMP});
    alternatives(c);
    if (!c->why)
        c->p->code[jump].x = c->p->n_code - jump;
}

/* A glob is a regular expression from the start to the end in other words. */
static void
glob(struct compiler *c)
{
    emit(c, (struct code){.op = START});
    while (c->s < c->end) {
        const int start = c->p->n_code;
        if (take(c, '*')) {
            while (take(c, '*'))
                ;
            emit(c, (struct code){.op = ANY});
            star(c, start);
        } else if (take(c, '?')) {
            emit(c, (struct code){.op = ANY});
        } else if (at(c, '[') && memchr(c->s, ']', (size_t)(c->end - c->s))) {
            c->s++;
            bracket(c);
        } else {
            if (at(c, '\\') && c->s + 1 < c->end)
                c->s++;
            emit(c, (struct code){.op = CHAR, .c = next_char(&c->s)});
        }
    }
    emit(c, (struct code){.op = END});
}

struct qs_pattern *
qs_pattern_new(const char *text, char *why, size_t why_cap)
{
    const size_t n = strlen(text);
    const bool is_regex = n >= 2 && text[0] == '/' && text[n - 1] == '/';
    struct qs_pattern *p = qs_xcalloc(1, sizeof(*p));
    struct compiler c = {
        .p = p, .s = text + is_regex, .end = text + n - is_regex, .is_glob = !is_regex};
    p->code = qs_xcalloc(MOST_CODE + 1, sizeof(*p->code));
    p->range = qs_xcalloc(MOST_RANGES, sizeof(*p->range));
    if (n > LONGEST_PATTERN)
        refuse(&c, N_("it is too long or repeats too much"));
    else if (is_regex)
        alternatives(&c);
    else
        glob(&c);
    if (c.why) {
        snprintf(why, why_cap, "%s", _(c.why));
        qs_pattern_free(p);
        return NULL;
    }
    p->code[p->n_code++].op = MATCH;
    p->code = qs_xrealloc(p->code, (size_t)p->n_code * sizeof(*p->code));
    p->range = qs_xrealloc(p->range, (size_t)p->n_range * sizeof(*p->range));
    return p;
}

/* Matching */

struct machine {
    const struct qs_pattern *p;
    int *now, *next, *stack; /* [n_code] states */
    int *seen;               /* [n_code] position at which a state was last added, plus 1 */
    int n_now, n_next;
    bool matched;
};

static bool
in_set(const struct qs_pattern *p, const struct code *code, uint32_t c)
{
    bool in = false;
    for (int i = code->x; i < code->x + code->y && !in; i++)
        in = c >= p->range[i].low && c <= p->range[i].high;
    return in != code->negated;
}

static bool
takes(const struct qs_pattern *p, const struct code *code, uint32_t c)
{
    return code->op == ANY || (code->op == CHAR && code->c == c) ||
           (code->op == SET && in_set(p, code, c));
}

/* Follows what takes no character from state `pc` on; adds where a character is waited for. */
static void
follow(struct machine *m, int pc, int position, bool at_end)
{
    int n = 0;
    m->stack[n++] = pc;
    while (n > 0) {
        const int i = m->stack[--n];
        if (m->seen[i] == position + 1)
            continue;
        m->seen[i] = position + 1;
        const struct code *code = &m->p->code[i];
        switch (code->op) {
        case JUMP:
            m->stack[n++] = i + code->x;
            break;
        case SPLIT:
            m->stack[n++] = i + code->x;
            m->stack[n++] = i + code->y;
            break;
        case START:
        case END:
            if (code->op == START ? position == 0 : at_end)
                m->stack[n++] = i + 1;
            break;
        case MATCH:
            m->matched = true;
            break;
        case CHAR:
        case ANY:
        case SET:
            m->next[m->n_next++] = i;
            break;
        }
    }
}

static void
step(struct machine *m, uint32_t c, int position, bool at_end)
{
    int *states = m->next;
    m->next = m->now;
    m->now = states;
    m->n_now = m->n_next;
    m->n_next = 0;
    for (int i = 0; i < m->n_now; i++)
        if (takes(m->p, &m->p->code[m->now[i]], c))
            follow(m, m->now[i] + 1, position, at_end);
}

bool
qs_pattern_match(const struct qs_pattern *p, const char *s)
{
    /* the stack holds two states for each that is seen for the first time */
    int *memory = qs_xcalloc((size_t)p->n_code * 5 + 2, sizeof(*memory));
    struct machine m = {.p = p,
                        .now = memory,
                        .next = memory + p->n_code,
                        .seen = memory + 2 * p->n_code,
                        .stack = memory + 3 * p->n_code};
    follow(&m, 0, 0, !*s);
    for (int position = 1; *s && !m.matched; position++) {
        const uint32_t c = next_char(&s);
        step(&m, c, position, !*s);
        if (!m.matched)
            follow(&m, 0, position, !*s);
    }
    free(memory);
    return m.matched;
}

void
qs_pattern_free(struct qs_pattern *p)
{
    if (!p)
        return;
    free(p->code);
    free(p->range);
    free(p);
}
