/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/compare_seen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/text.h"

static const struct qs_run_activation *
activation_of(const struct ui_compare_seen *s, int row, int i)
{
    const int at = s->row[row].at[i];
    return at >= 0 ? &s->run[i].activation[at] : NULL;
}

static double
threshold_of(const struct ui_compare_seen *s, int row, int i)
{
    const struct qs_run_activation *a = activation_of(s, row, i);
    return a ? a->threshold : NAN;
}

static void
text_var(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct ui_compare_seen_row *r = &((struct ui_compare_seen *)arg)->row[row];
    (void)c;
    qs_str_printf(out, "%s%s", r->differs ? "* " : "  ", r->var);
}

static int
compare_var(const struct ui_column *c, void *arg, int a, int b)
{
    const struct ui_compare_seen *s = arg;
    (void)c;
    return strcmp(s->row[a].var, s->row[b].var);
}

/* "6.803 hist 38.4 dB" */
static void
text_seen(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_run_activation *a = activation_of(arg, row, c->data);
    if (!a)
        return;
    if (!isnan(a->threshold))
        qs_str_printf(out, "%.4g ", a->threshold);
    qs_str_add(out, a->algo ? a->algo : "");
    if (isnan(a->sqnr_db))
        return;
    qs_str_add(out, " ");
    ui_add_decibel(out, a->sqnr_db);
    qs_str_add(out, " dB");
}

static double
value_seen(const struct ui_column *c, void *arg, int row)
{
    return threshold_of(arg, row, c->data);
}

static void
text_moved(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const double moved = ((struct ui_compare_seen *)arg)->row[row].moved;
    (void)c;
    if (fabs(moved) >= 0.0005) /* what would not be "0.0" */
        qs_str_printf(out, "%+.1f", 100 * moved);
}

static double
value_moved(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return fabs(((const struct ui_compare_seen *)arg)->row[row].moved);
}

static enum ui_item
style_seen(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return ((struct ui_compare_seen *)arg)->row[row].differs ? UI_STRONG : UI_TEXT;
}

struct named {
    const char *var;
    int run, at;
};

static int
compare_named(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    const int c = strcmp(x->var, y->var);
    return c ? c : x->run != y->run ? x->run - y->run : x->at - y->at;
}

static int
compare_order(const void *a, const void *b)
{
    const struct ui_compare_seen_row *x = a, *y = b;
    for (int i = 0; i < UI_COMPARE_MOST; i++)
        if (x->at[i] != y->at[i])
            return x->at[i] < 0 ? 1 : y->at[i] < 0 ? -1 : x->at[i] - y->at[i];
    return strcmp(x->var, y->var);
}

static void
compare_runs_at(const struct ui_compare_seen *s, int row)
{
    struct ui_compare_seen_row *r = &s->row[row];
    const struct qs_run_activation *first = NULL;
    r->moved = NAN;
    for (int i = 0; i < s->n_runs; i++) {
        const struct qs_run_activation *a = activation_of(s, row, i);
        r->differs = r->differs || (!a && s->run[i].n_activation > 0);
        if (!a)
            continue;
        if (!first) {
            first = a;
            continue;
        }
        const double d = a->threshold / first->threshold - 1;
        if (isfinite(d) && (isnan(r->moved) || fabs(d) > fabs(r->moved)))
            r->moved = d;
        r->differs = r->differs || d != 0 ||
                     strcmp(a->algo ? a->algo : "", first->algo ? first->algo : "") != 0;
    }
}

static void
build_rows(struct ui_compare_seen *s)
{
    int n = 0;
    for (int i = 0; i < s->n_runs; i++)
        n += s->run[i].n_activation;
    struct named *all = qs_xcalloc((size_t)n + 1, sizeof(*all));
    s->row = qs_xcalloc((size_t)n + 1, sizeof(*s->row));
    n = 0;
    for (int i = 0; i < s->n_runs; i++)
        for (int k = 0; k < s->run[i].n_activation; k++)
            all[n++] = (struct named){s->run[i].activation[k].var, i, k};
    qsort(all, (size_t)n, sizeof(*all), compare_named);
    for (int k = 0; k < n; k++) {
        if (k == 0 || strcmp(all[k].var, all[k - 1].var) != 0) {
            struct ui_compare_seen_row *r = &s->row[s->n++];
            r->var = all[k].var;
            for (int i = 0; i < UI_COMPARE_MOST; i++)
                r->at[i] = -1;
        }
        s->row[s->n - 1].at[all[k].run] = all[k].at;
    }
    free(all);
    qsort(s->row, (size_t)s->n, sizeof(*s->row), compare_order);
    for (int k = 0; k < s->n; k++)
        compare_runs_at(s, k);
}

static int
build_columns(struct ui_compare_seen *s, const char *const *title)
{
    int n = 0;
    s->col[n++] = (struct ui_column){.name = "activation",
                                     .title = N_("activation (* differs)"),
                                     .least = 18,
                                     .most = 48,
                                     .help = N_("name of the variable"),
                                     .text = text_var,
                                     .compare = compare_var,
                                     .style = style_seen};
    for (int i = 0; i < s->n_runs; i++)
        if (s->run[i].n_activation > 0)
            s->col[n++] = (struct ui_column){
                .name = title[i],
                .title = title[i],
                .least = 14,
                .drop = i,
                .unit = N_("dB"),
                .help = N_("threshold, calibrator it is from, SQNR of the activation at it"),
                .data = i,
                .text = text_seen,
                .value = value_seen,
                .style = style_seen};
    if (n > 2)
        s->col[n++] =
            (struct ui_column){.name = "moved",
                               .title = N_("moved"),
                               .least = 6,
                               .most = 7,
                               .right = true,
                               .unit = N_("%"),
                               .unit_in_title = true,
                               .help = N_("largest change of the threshold against the first run"),
                               .text = text_moved,
                               .value = value_moved};
    return n;
}

void
ui_compare_seen_init(struct ui_compare_seen *s, const struct qs_run *run, int n_runs,
                     const char *const *title)
{
    *s = (struct ui_compare_seen){.run = run, .n_runs = n_runs};
    ui_table_init(&s->table, s->col, build_columns(s, title), s);
    build_rows(s);
    ui_table_set_rows(&s->table, s->n);
}

void
ui_compare_seen_release(struct ui_compare_seen *s)
{
    free(s->row);
    ui_table_release(&s->table);
    *s = (struct ui_compare_seen){0};
}
