/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/lanes.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
ui_flow_release(struct ui_flow *f)
{
    free(f->in_at);
    free(f->in);
    free(f->out_at);
    free(f->out);
    free(f->origin);
    *f = (struct ui_flow){0};
}

struct ints {
    int *v;
    int n, cap;
};

static void
append(struct ints *a, int v)
{
    if (a->n == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 64;
        a->v = qs_xrealloc(a->v, (size_t)a->cap * sizeof(*a->v));
    }
    a->v[a->n++] = v;
}

static int *
new_ints(int n)
{
    return qs_xcalloc((size_t)n + 1, sizeof(int));
}

/* Who reads what: a walk through the program that knows, for each variable, the values of shown
 * nodes it stands for. Values are numbered as they are made. */
struct trace {
    const struct ui_flow *f;
    struct ints pool;    /* lists of values that variables stand for */
    int *set_at, *set_n; /* [n_vars] the list of a variable in the pool */
    int *seen;           /* [values] the node that found the value last, plus one */
    int *from;           /* [values] row */
    int n_values;
    int64_t left; /* steps until the graph is too much */
    struct ints in;
    int *in_at; /* [rows + 1] */
};

/* What lies in the variables that node i reads (`only` in that one when it is not -1), each value
 * once, goes to `out`. */
static bool
gather(struct trace *t, int i, int only, struct ints *out)
{
    for (int a = t->f->in_at[i]; a < t->f->in_at[i + 1]; a++) {
        const int var = t->f->in[a], at = t->set_at[var], n = t->set_n[var];
        if (only >= 0 && var != only)
            continue;
        if ((t->left -= n + 1) < 0)
            return false;
        for (int k = 0; k < n; k++) {
            const int value = t->pool.v[at + k];
            if (t->seen[value] == i + 1)
                continue;
            t->seen[value] = i + 1;
            append(out, value);
        }
    }
    return true;
}

static bool
trace_shown(struct trace *t, int i, int row)
{
    t->in_at[row] = t->in.n;
    if (!gather(t, i, -1, &t->in))
        return false;
    for (int a = t->f->out_at[i]; a < t->f->out_at[i + 1]; a++) {
        t->from[t->n_values] = row;
        t->set_at[t->f->out[a]] = t->pool.n;
        t->set_n[t->f->out[a]] = 1;
        append(&t->pool, t->n_values++);
    }
    return true;
}

static bool
trace_hidden(struct trace *t, int i)
{
    const int at = t->pool.n;
    if (!gather(t, i, t->f->origin ? t->f->origin[i] : -1, &t->pool))
        return false;
    for (int a = t->f->out_at[i]; a < t->f->out_at[i + 1]; a++) {
        t->set_at[t->f->out[a]] = at;
        t->set_n[t->f->out[a]] = t->pool.n - at;
    }
    return true;
}

static bool
trace(struct trace *t, const int *row, int n_rows)
{
    int r = 0;
    for (int i = 0; i < t->f->n; i++) {
        const bool shown = r < n_rows && row[r] == i;
        if (!(shown ? trace_shown(t, i, r) : trace_hidden(t, i)))
            return false;
        r += shown;
    }
    t->in_at[n_rows] = t->in.n;
    return true;
}

static void
trace_init(struct trace *t, const struct ui_flow *f, int n_rows)
{
    enum { MOST_STEPS = 1 << 24 };
    const int n_out = f->out_at[f->n];
    *t = (struct trace){.f = f, .left = MOST_STEPS};
    t->set_at = new_ints(f->n_vars);
    t->set_n = new_ints(f->n_vars);
    t->seen = new_ints(n_out);
    t->from = new_ints(n_out);
    t->in_at = new_ints(n_rows);
}

static void
trace_release(struct trace *t)
{
    free(t->pool.v);
    free(t->set_at);
    free(t->set_n);
    free(t->seen);
    free(t->from);
    free(t->in.v);
    free(t->in_at);
}

/* Lists the rows that have each of n numbers in their lists: at[n + 1] and the rows, rising. */
static int *
invert(const int *list_at, const int *list, int n_rows, int n, int **at_out)
{
    int *at = new_ints(n + 1), *rows = new_ints(list_at[n_rows]);
    for (int i = 0; i < list_at[n_rows]; i++)
        at[list[i] + 2]++;
    for (int i = 2; i <= n; i++)
        at[i] += at[i - 1];
    /* at[v + 1] is where the next row of v goes; it ends up as the start of v + 1 */
    for (int r = 0; r < n_rows; r++)
        for (int i = list_at[r]; i < list_at[r + 1]; i++)
            rows[at[list[i] + 1]++] = r;
    *at_out = at;
    return rows;
}

static bool
same_readers(const int *at, const int *read, int a, int b)
{
    const int n = at[a + 1] - at[a];
    return n == at[b + 1] - at[b] &&
           memcmp(read + at[a], read + at[b], (size_t)n * sizeof(int)) == 0;
}

/* One lane for the values of a node that the same rows read; lane_of[value], -1: nobody reads. */
static int *
merge_values(struct ui_lanes *l, const struct trace *t)
{
    int *at, *read = invert(t->in_at, t->in.v, l->n, t->n_values, &at);
    int *lane_of = new_ints(t->n_values);
    l->lane = qs_xcalloc((size_t)t->n_values + 1, sizeof(*l->lane));
    for (int v = 0; v < t->n_values; v++) {
        const int from = t->from[v];
        lane_of[v] = -1;
        if (at[v] == at[v + 1])
            continue;
        for (int w = v - 1; w >= 0 && t->from[w] == from && lane_of[v] < 0; w--)
            if (lane_of[w] >= 0 && same_readers(at, read, v, w))
                lane_of[v] = lane_of[w];
        if (lane_of[v] >= 0)
            continue;
        lane_of[v] = l->n_lanes;
        l->lane[l->n_lanes++] = (struct ui_lane){from, read[at[v + 1] - 1], -1};
    }
    free(at);
    free(read);
    return lane_of;
}

/* The lists of rows and lanes, from those of rows and values. */
static void
list_lanes(struct ui_lanes *l, const struct trace *t, const int *lane_of)
{
    int *seen = new_ints(l->n_lanes);
    l->in_at = new_ints(l->n);
    l->in = new_ints(t->in.n);
    l->out_at = new_ints(l->n);
    for (int r = 0, n = 0; r < l->n; r++) {
        for (int i = t->in_at[r]; i < t->in_at[r + 1]; i++) {
            const int lane = lane_of[t->in.v[i]];
            if (seen[lane] != r + 1)
                l->in[n++] = lane;
            seen[lane] = r + 1;
        }
        l->in_at[r + 1] = n;
    }
    for (int i = 0; i < l->n_lanes; i++)
        l->out_at[l->lane[i].from + 1]++;
    for (int r = 0; r < l->n; r++)
        l->out_at[r + 1] += l->out_at[r];
    l->read = invert(l->in_at, l->in, l->n, l->n_lanes, &l->reader_at);
    free(seen);
}

struct placing {
    struct ui_lanes *l;
    bool *busy; /* [most columns] */
};

/* The free column nearest to another, rather to its right; a new one when none is free. */
static int
free_column(struct placing *p, int near)
{
    const int w = p->l->width;
    for (int d = 0; d < w; d++) {
        if (near + d < w && !p->busy[near + d])
            return near + d;
        if (near - d >= 0 && !p->busy[near - d])
            return near - d;
    }
    return p->l->width++;
}

/* Where the leftmost of the lanes that end here was; else beside those that it reads. */
static int
place_node(struct placing *p, int row)
{
    const struct ui_lanes *l = p->l;
    int ended = -1, right = 0;
    for (int i = l->in_at[row]; i < l->in_at[row + 1]; i++) {
        const struct ui_lane *lane = &l->lane[l->in[i]];
        right = lane->col > right ? lane->col : right;
        if (lane->to == row && (ended < 0 || lane->col < ended))
            ended = lane->col;
    }
    return ended >= 0 ? ended : free_column(p, right);
}

/* The lane that lives longest goes straight down: what branches off does so to the right. */
static void
place_outputs(struct placing *p, int row)
{
    struct ui_lanes *l = p->l;
    int longest = l->out_at[row];
    for (int i = longest + 1; i < l->out_at[row + 1]; i++)
        if (l->lane[i].to > l->lane[longest].to)
            longest = i;
    p->busy[l->col[row]] = true;
    for (int i = l->out_at[row]; i < l->out_at[row + 1]; i++) {
        l->lane[i].col = i == longest ? l->col[row] : free_column(p, l->col[row]);
        p->busy[l->lane[i].col] = true;
    }
    if (l->out_at[row] == l->out_at[row + 1])
        p->busy[l->col[row]] = false;
}

static void
place(struct ui_lanes *l)
{
    struct placing p = {l, qs_xcalloc((size_t)l->n_lanes + (size_t)l->n + 1, sizeof(*p.busy))};
    for (int r = 0; r < l->n; r++) {
        l->col[r] = place_node(&p, r);
        place_outputs(&p, r);
        for (int i = l->in_at[r]; i < l->in_at[r + 1]; i++) {
            const struct ui_lane *lane = &l->lane[l->in[i]];
            if (lane->to == r && (lane->col != l->col[r] || l->out_at[r] == l->out_at[r + 1]))
                p.busy[lane->col] = false;
        }
    }
    free(p.busy);
}

static int
by_column(const void *a, const void *b, void *arg)
{
    const struct ui_lane *lane = arg;
    const int x = lane[*(const int *)a].col, y = lane[*(const int *)b].col;
    return (x > y) - (x < y);
}

static void
list_columns(struct ui_lanes *l)
{
    l->col_at = new_ints(l->width + 1);
    l->of_col = new_ints(l->n_lanes);
    for (int i = 0; i < l->n_lanes; i++)
        l->col_at[l->lane[i].col + 2]++;
    for (int c = 2; c <= l->width; c++)
        l->col_at[c] += l->col_at[c - 1];
    for (int i = 0; i < l->n_lanes; i++)
        l->of_col[l->col_at[l->lane[i].col + 1]++] = i;
    for (int r = 0; r < l->n; r++)
        qsort_r(l->in + l->in_at[r], (size_t)(l->in_at[r + 1] - l->in_at[r]), sizeof(int),
                by_column, l->lane);
}

struct ui_lanes *
ui_lanes_new(const struct ui_flow *f, const int *row, int n_rows)
{
    struct ui_lanes *l = NULL;
    struct trace t;
    trace_init(&t, f, n_rows);
    if (trace(&t, row, n_rows)) {
        l = qs_xcalloc(1, sizeof(*l));
        l->n = n_rows;
        l->col = new_ints(n_rows);
        int *lane_of = merge_values(l, &t);
        list_lanes(l, &t, lane_of);
        place(l);
        list_columns(l);
        free(lane_of);
    }
    trace_release(&t);
    return l;
}

void
ui_lanes_free(struct ui_lanes *l)
{
    if (!l)
        return;
    free(l->col);
    free(l->lane);
    free(l->out_at);
    free(l->in_at);
    free(l->in);
    free(l->reader_at);
    free(l->read);
    free(l->col_at);
    free(l->of_col);
    free(l);
}

static int
compare_int(const void *a, const void *b)
{
    return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

/* Sorts, drops what is there twice; returns how many are left and copies the first of them. */
static int
each_once(int *v, int n, int *out, int most)
{
    int left = 0;
    qsort(v, (size_t)n, sizeof(*v), compare_int);
    for (int i = 0; i < n; i++)
        if (i == 0 || v[i] != v[i - 1])
            v[left++] = v[i];
    for (int i = 0; i < left && i < most; i++)
        out[i] = v[i];
    return left;
}

int
ui_lanes_producers(const struct ui_lanes *l, int row, int *out, int most)
{
    const int n = l->in_at[row + 1] - l->in_at[row];
    int *v = new_ints(n);
    for (int i = 0; i < n; i++)
        v[i] = l->lane[l->in[l->in_at[row] + i]].from;
    const int found = each_once(v, n, out, most);
    free(v);
    return found;
}

int
ui_lanes_consumers(const struct ui_lanes *l, int row, int *out, int most)
{
    const int a = l->reader_at[l->out_at[row]], n = l->reader_at[l->out_at[row + 1]] - a;
    int *v = new_ints(n);
    memcpy(v, l->read + a, (size_t)n * sizeof(*v));
    const int found = each_once(v, n, out, most);
    free(v);
    return found;
}

/* The lane in a column at a row, -1: none. Where one ends and another begins: the one below. */
static int
lane_at(const struct ui_lanes *l, int col, int row)
{
    int a = l->col_at[col], b = l->col_at[col + 1];
    while (a < b) { /* the last that begins at this row or above */
        const int mid = a + (b - a) / 2;
        if (l->lane[l->of_col[mid]].from <= row)
            a = mid + 1;
        else
            b = mid;
    }
    const int lane = a > l->col_at[col] ? l->of_col[a - 1] : -1;
    return lane >= 0 && l->lane[lane].to >= row ? lane : -1;
}

static bool
reads(const struct ui_lanes *l, int row, int lane)
{
    int a = l->in_at[row], b = l->in_at[row + 1];
    while (a < b) {
        const int mid = a + (b - a) / 2;
        if (l->lane[l->in[mid]].col < l->lane[lane].col)
            a = mid + 1;
        else
            b = mid;
    }
    return a < l->in_at[row + 1] && l->in[a] == lane;
}

enum { THIN = 1, THICK = 2 };

/* The piece of a lane just below `row`: between it and the next. */
static uint8_t
below(const struct ui_lanes *l, int lane, int row, int lit)
{
    const struct ui_lane *x = &l->lane[lane];
    if (row < x->from || row >= x->to)
        return 0;
    return lit >= 0 && (x->from == lit || (row < lit && reads(l, lit, lane))) ? THICK : THIN;
}

/* How far the strokes of a row reach from its node, thin and thick ones. */
struct reach {
    int left[3], right[3];
};

static void
stretch(struct reach *s, int col, uint8_t weight)
{
    for (int w = THIN; w <= weight; w++) {
        s->left[w] = col < s->left[w] ? col : s->left[w];
        s->right[w] = col > s->right[w] ? col : s->right[w];
    }
}

static struct reach
reach_of(const struct ui_lanes *l, int row, int lit)
{
    const int c = l->col[row];
    struct reach s = {{c, c, c}, {c, c, c}};
    for (int i = l->in_at[row]; i < l->in_at[row + 1]; i++) {
        const struct ui_lane *lane = &l->lane[l->in[i]];
        stretch(&s, lane->col, lit == row || lane->from == lit ? THICK : THIN);
    }
    for (int i = l->out_at[row]; i < l->out_at[row + 1]; i++)
        stretch(&s, l->lane[i].col, below(l, i, row, lit));
    return s;
}

/* Weight of the stroke between columns c and c + 1. */
static uint8_t
between(const struct reach *s, int c)
{
    for (int w = THICK; w >= THIN; w--)
        if (c >= s->left[w] && c < s->right[w])
            return (uint8_t)w;
    return 0;
}

static struct ui_stroke
stroke_at(const struct ui_lanes *l, const struct reach *s, int row, int lit, int c)
{
    const int lane = lane_at(l, c, row);
    struct ui_stroke k = {.left = c > 0 ? between(s, c - 1) : 0, .right = between(s, c)};
    k.node = c == l->col[row];
    if (lane < 0)
        return k;
    k.down = below(l, lane, row, lit);
    k.up = row > 0 ? below(l, lane, row - 1, lit) : 0;
    if (!k.node && l->lane[lane].from != row && !reads(l, row, lane))
        k.left = k.right = 0; /* crosses */
    return k;
}

void
ui_lanes_row(const struct ui_lanes *l, int row, int lit, int left, struct ui_stroke *out, int n)
{
    const struct reach s = reach_of(l, row, lit);
    for (int i = 0; i < n; i++) {
        const int c = left + i / 2;
        const uint8_t across = between(&s, c);
        if (c >= l->width)
            out[i] = (struct ui_stroke){0};
        else if (i % 2)
            out[i] = (struct ui_stroke){.left = across, .right = across};
        else
            out[i] = stroke_at(l, &s, row, lit, c);
    }
}

unsigned
ui_stroke_char(const struct ui_stroke *s)
{
    /* by up, down, left, right in the base of three */
    static const uint16_t character[81] = {
        0x0020, 0x2576, 0x257A, 0x2574, 0x2500, 0x257C, 0x2578, 0x257E, 0x2501, /* */
        0x2577, 0x250C, 0x250D, 0x2510, 0x252C, 0x252E, 0x2511, 0x252D, 0x252F, /* */
        0x257B, 0x250E, 0x250F, 0x2512, 0x2530, 0x2532, 0x2513, 0x2531, 0x2533, /* */
        0x2575, 0x2514, 0x2515, 0x2518, 0x2534, 0x2536, 0x2519, 0x2535, 0x2537, /* */
        0x2502, 0x251C, 0x251D, 0x2524, 0x253C, 0x253E, 0x2525, 0x253D, 0x253F, /* */
        0x257D, 0x251F, 0x2522, 0x2527, 0x2541, 0x2546, 0x252A, 0x2545, 0x2548, /* */
        0x2579, 0x2516, 0x2517, 0x251A, 0x2538, 0x253A, 0x251B, 0x2539, 0x253B, /* */
        0x257F, 0x251E, 0x2521, 0x2526, 0x2540, 0x2544, 0x2529, 0x2543, 0x2547, /* */
        0x2503, 0x2520, 0x2523, 0x2528, 0x2542, 0x254A, 0x252B, 0x2549, 0x254B,
    };
    return character[27 * s->up + 9 * s->down + 3 * s->left + s->right];
}

char
ui_stroke_plain(const struct ui_stroke *s)
{
    const bool thick = s->up == THICK || s->down == THICK || s->left == THICK || s->right == THICK;
    const bool across = s->left || s->right;
    if (!s->up && !s->down)
        return !across ? ' ' : thick ? '=' : '-';
    if (!across)
        return thick ? '!' : '|';
    if ((s->left && s->right) || (s->up && s->down))
        return '+';
    if (s->up)
        return s->left ? '\'' : '`';
    return s->left ? '.' : ',';
}
