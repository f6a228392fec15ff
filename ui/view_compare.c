/* SPDX-License-Identifier: Apache-2.0 */
/* Compare: runs side by side: what differs in plan and totals, then layer by layer, then the
 * activations that were calibrated. One run alone shows what it was. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/compare_seen.h"
#include "ui/panes.h"
#include "ui/text.h"
#include "ui/ui.h"

enum { MOST_RUNS = UI_COMPARE_MOST, PANE_FACTS = 0, PANE_LAYERS = 1, PANE_SEEN = 2, N_PANES = 3 };

struct fact {
    char *name;
    char *value[MOST_RUNS];
    bool differs;
};

struct layer_row {
    const char *weight;
    int at[MOST_RUNS]; /* index into the layers of each run, -1: not there */
    double moved;      /* largest difference of SQNR to the first run with layers; NaN: none */
    bool differs;      /* in what was done */
};

struct state {
    struct ui *ui;
    struct ui_table facts, layers;
    struct ui_compare_seen seen;
    struct fact *fact;
    int n_facts;
    struct layer_row *layer;
    int n_layers;
    int n_runs;
    struct ui_panes panes;
    char title[MOST_RUNS][24];
    struct ui_column fact_col[MOST_RUNS + 2], layer_col[MOST_RUNS + 3];
};

static const struct qs_run *
run(const struct state *st, int i)
{
    return &st->ui->compare[i];
}

/* Facts */

static void
text_fact_name(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct fact *f = &((struct state *)arg)->fact[row];
    (void)c;
    qs_str_printf(out, "%s%s", f->differs ? "* " : "  ", f->name);
}

static void
text_fact_value(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const char *v = ((struct state *)arg)->fact[row].value[c->data];
    qs_str_add(out, v ? v : "");
}

static enum ui_item
style_fact(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return ((struct state *)arg)->fact[row].differs ? UI_STRONG : UI_DIM;
}

static struct fact *
fact_named(struct state *st, const char *name)
{
    for (int i = 0; i < st->n_facts; i++)
        if (strcmp(st->fact[i].name, name) == 0)
            return &st->fact[i];
    st->fact = qs_xrealloc(st->fact, (size_t)(st->n_facts + 1) * sizeof(*st->fact));
    st->fact[st->n_facts] = (struct fact){.name = qs_xstrdup(name)};
    return &st->fact[st->n_facts++];
}

/* Values of the same name (rules for layers) are joined. */
static void
set_fact(struct state *st, const char *name, int i, const char *value)
{
    struct fact *f = fact_named(st, name);
    char *old = f->value[i];
    f->value[i] = old ? qs_xasprintf("%s, %s", old, value) : qs_xstrdup(value ? value : "");
    free(old);
}

/* "0.8400 (0.7558 .. 0.8990)" */
static void
add_metric(struct qs_str *out, const struct qs_run_metric *m)
{
    ui_add_metric(out, m->name, m->value);
    if (isnan(m->low) || isnan(m->high))
        return;
    qs_str_add(out, " (");
    ui_add_metric(out, m->name, m->low);
    qs_str_add(out, " .. ");
    ui_add_metric(out, m->name, m->high);
    qs_str_add(out, ")");
}

static void
add_numbers(struct state *st, int i)
{
    const struct qs_run *r = run(st, i);
    struct qs_str s;
    int n_quantized = 0;
    qs_str_init(&s);
    ui_add_bytes(&s, r->bytes_before);
    set_fact(st, _("before"), i, s.s);
    qs_str_clear(&s);
    ui_add_bytes(&s, r->bytes_after);
    set_fact(st, _("after"), i, s.s);
    qs_str_clear(&s);
    if (r->bytes_after > 0)
        qs_str_printf(&s, "%.3f", (double)r->bytes_before / (double)r->bytes_after);
    set_fact(st, _("ratio"), i, s.s);
    for (int k = 0; k < r->n_layer; k++)
        n_quantized += r->layer[k].bits > 0;
    qs_str_clear(&s);
    qs_str_printf(&s, "%d/%d", n_quantized, r->n_layer);
    set_fact(st, _("layers"), i, s.s);
    for (int k = 0; k < r->n_metric; k++) {
        qs_str_clear(&s);
        add_metric(&s, &r->metric[k]);
        set_fact(st, r->metric[k].name, i, s.s);
    }
    qs_str_release(&s);
}

/* The lines "key = value" of the plan. */
static void
add_plan(struct state *st, int i)
{
    char *copy = qs_xstrdup(run(st, i)->plan ? run(st, i)->plan : ""), *rest = copy, *line;
    while ((line = strsep(&rest, "\n"))) {
        char *eq = strchr(line, '=');
        if (*line == '#' || !eq || eq == line)
            continue;
        char *end = eq;
        while (end > line && end[-1] == ' ')
            *--end = '\0';
        *eq = '\0';
        eq += 1 + strspn(eq + 1, " ");
        set_fact(st, line, i, eq);
    }
    free(copy);
}

static void
find_differences(struct state *st)
{
    for (int f = 0; f < st->n_facts; f++)
        for (int i = 1; i < st->n_runs; i++) {
            const char *a = st->fact[f].value[0], *b = st->fact[f].value[i];
            if (strcmp(a ? a : "", b ? b : "") != 0)
                st->fact[f].differs = true;
        }
}

/* What differs comes first, what runs agree on after it. */
static void
put_differences_first(struct state *st)
{
    struct fact *sorted = qs_xcalloc((size_t)st->n_facts + 1, sizeof(*sorted));
    int n = 0;
    for (int same = 0; same < 2; same++)
        for (int f = 0; f < st->n_facts; f++)
            if (st->fact[f].differs == !same)
                sorted[n++] = st->fact[f];
    free(st->fact);
    st->fact = sorted;
}

static const char *
path_of(const char *path)
{
    return path ? ui_below_here(path) : "";
}

static void
build_facts(struct state *st)
{
    for (int i = 0; i < st->n_runs; i++) {
        set_fact(st, _("model"), i, path_of(run(st, i)->model_path));
        set_fact(st, _("state"), i, run(st, i)->state);
        set_fact(st, _("tag"), i, run(st, i)->tag);
        add_numbers(st, i);
    }
    for (int i = 0; i < st->n_runs; i++)
        add_plan(st, i);
    for (int i = 0; i < st->n_runs; i++) {
        set_fact(st, _("version"), i, run(st, i)->version);
        if (run(st, i)->message && *run(st, i)->message)
            set_fact(st, _("message"), i, run(st, i)->message);
    }
    find_differences(st);
    put_differences_first(st);
    /* what always differs says nothing */
    for (int i = 0; i < st->n_runs; i++) {
        char seconds[32];
        snprintf(seconds, sizeof(seconds), "%.2f s", run(st, i)->seconds);
        set_fact(st, _("time"), i, seconds);
        set_fact(st, _("output"), i, path_of(run(st, i)->output));
    }
}

/* Layers */

static const struct qs_run_layer *
layer_of(const struct state *st, int row, int i)
{
    const int at = st->layer[row].at[i];
    return at >= 0 ? &run(st, i)->layer[at] : NULL;
}

static void
text_weight(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct layer_row *l = &((struct state *)arg)->layer[row];
    (void)c;
    qs_str_printf(out, "%s%s", l->differs ? "* " : "  ", l->weight);
}

static int
compare_weight(const struct ui_column *c, void *arg, int a, int b)
{
    const struct state *st = arg;
    (void)c;
    return strcmp(st->layer[a].weight, st->layer[b].weight);
}

/* "int8 41.2 dB" */
static void
text_layer(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_run_layer *l = layer_of(arg, row, c->data);
    if (!l)
        return;
    qs_str_add(out, l->action ? l->action : "");
    if (l->bits > 0 && l->action && strcmp(l->action, "simulated") == 0)
        qs_str_printf(out, " %d", l->bits);
    if (!isnan(l->sqnr_db) && l->bits > 0) {
        qs_str_add(out, " ");
        ui_add_decibel(out, l->sqnr_db);
        qs_str_add(out, " dB");
    }
    if (((struct state *)arg)->n_runs == 1 && l->reason && *l->reason)
        qs_str_printf(out, "  %s", l->reason);
}

static double
sqnr_of(const struct state *st, int row, int i)
{
    const struct qs_run_layer *l = layer_of(st, row, i);
    return l && l->bits > 0 ? l->sqnr_db : NAN;
}

static double
value_layer(const struct ui_column *c, void *arg, int row)
{
    return sqnr_of(arg, row, c->data);
}

static void
text_moved(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const double moved = ((struct state *)arg)->layer[row].moved;
    (void)c;
    if (fabs(moved) >= 0.05) /* what would not be "0.0" */
        qs_str_printf(out, "%+.1f", moved);
}

static double
value_moved(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return fabs(((const struct state *)arg)->layer[row].moved);
}

static enum ui_item
style_layer(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    return ((struct state *)arg)->layer[row].differs ? UI_STRONG : UI_TEXT;
}

/* Weights of all runs by name, in the order of the first that has them. */
struct named {
    const char *weight;
    int run, at;
};

static int
compare_named(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    const int c = strcmp(x->weight, y->weight);
    return c ? c : x->run != y->run ? x->run - y->run : x->at - y->at;
}

static int
compare_order(const void *a, const void *b)
{
    const struct layer_row *x = a, *y = b;
    for (int i = 0; i < MOST_RUNS; i++)
        if (x->at[i] >= 0 && y->at[i] >= 0)
            return x->at[i] - y->at[i];
    return x->at[0] >= 0 ? -1 : y->at[0] >= 0 ? 1 : strcmp(x->weight, y->weight);
}

/* Runs of other kinds have none, and say nothing about them. */
static int
first_with_layers(const struct state *st)
{
    for (int i = 0; i < st->n_runs; i++)
        if (run(st, i)->n_layer > 0)
            return i;
    return 0;
}

static void
compare_runs_at(struct state *st, int row)
{
    struct layer_row *l = &st->layer[row];
    l->moved = NAN;
    const int first = first_with_layers(st);
    for (int i = first + 1; i < st->n_runs; i++) {
        const struct qs_run_layer *a = layer_of(st, row, first), *b = layer_of(st, row, i);
        const double d = sqnr_of(st, row, i) - sqnr_of(st, row, first);
        if (run(st, i)->n_layer == 0)
            continue;
        if (!isnan(d) && (isnan(l->moved) || fabs(d) > fabs(l->moved)))
            l->moved = d;
        if (!a != !b || (a && b && (a->bits != b->bits || strcmp(a->action, b->action) != 0)))
            l->differs = true;
    }
}

static void
build_layers(struct state *st)
{
    int n = 0;
    for (int i = 0; i < st->n_runs; i++)
        n += run(st, i)->n_layer;
    struct named *all = qs_xcalloc((size_t)n + 1, sizeof(*all));
    st->layer = qs_xcalloc((size_t)n + 1, sizeof(*st->layer));
    n = 0;
    for (int i = 0; i < st->n_runs; i++)
        for (int k = 0; k < run(st, i)->n_layer; k++)
            all[n++] = (struct named){run(st, i)->layer[k].weight, i, k};
    qsort(all, (size_t)n, sizeof(*all), compare_named);
    for (int k = 0; k < n; k++) {
        if (k == 0 || strcmp(all[k].weight, all[k - 1].weight) != 0) {
            struct layer_row *l = &st->layer[st->n_layers++];
            l->weight = all[k].weight;
            for (int i = 0; i < MOST_RUNS; i++)
                l->at[i] = -1;
        }
        st->layer[st->n_layers - 1].at[all[k].run] = all[k].at;
    }
    free(all);
    qsort(st->layer, (size_t)st->n_layers, sizeof(*st->layer), compare_order);
    for (int k = 0; k < st->n_layers; k++)
        compare_runs_at(st, k);
}

/* One column for each run. */

static void
build_columns(struct state *st)
{
    int f = 0, l = 0;
    st->fact_col[f++] = (struct ui_column){.name = "what",
                                           .title = N_("what (* differs)"),
                                           .least = 16,
                                           .most = 24,
                                           .help = N_("choice or total"),
                                           .text = text_fact_name,
                                           .style = style_fact};
    st->layer_col[l++] = (struct ui_column){.name = "weight",
                                            .title = N_("weight (* differs)"),
                                            .least = 18,
                                            .most = 48,
                                            .help = N_("name of the weight"),
                                            .text = text_weight,
                                            .compare = compare_weight,
                                            .style = style_layer};
    for (int i = 0; i < st->n_runs; i++) {
        snprintf(st->title[i], sizeof(st->title[i]), _("run %lld"), (long long)run(st, i)->id);
        const struct ui_column c = {.name = st->title[i],
                                    .title = st->title[i],
                                    .least = 14,
                                    .drop = i,
                                    .help = N_("what this run did"),
                                    .data = i};
        st->fact_col[f] = st->layer_col[l] = c;
        st->fact_col[f].text = text_fact_value;
        st->fact_col[f++].style = style_fact;
        st->layer_col[l].text = text_layer;
        st->layer_col[l].value = value_layer;
        st->layer_col[l++].style = style_layer;
    }
    if (st->n_runs > 1)
        st->layer_col[l++] =
            (struct ui_column){.name = "moved",
                               .title = N_("moved"),
                               .least = 6,
                               .most = 6,
                               .right = true,
                               .unit = N_("dB"),
                               .unit_in_title = true,
                               .help = N_("largest change of SQNR against the first run"),
                               .text = text_moved,
                               .value = value_moved};
    ui_table_init(&st->facts, st->fact_col, f, st);
    ui_table_init(&st->layers, st->layer_col, l, st);
}

static void
clear(struct state *st)
{
    for (int i = 0; i < st->n_facts; i++) {
        free(st->fact[i].name);
        for (int k = 0; k < MOST_RUNS; k++)
            free(st->fact[i].value[k]);
    }
    free(st->fact);
    free(st->layer);
    st->fact = NULL;
    st->layer = NULL;
    st->n_facts = st->n_layers = 0;
    ui_table_release(&st->facts);
    ui_table_release(&st->layers);
    ui_compare_seen_release(&st->seen);
}

static void
build(struct state *st)
{
    clear(st);
    st->n_runs = st->ui->n_compare < MOST_RUNS ? st->ui->n_compare : MOST_RUNS;
    build_columns(st);
    build_facts(st);
    build_layers(st);
    ui_table_set_rows(&st->facts, st->n_facts);
    ui_table_set_rows(&st->layers, st->n_layers);
    const char *title[MOST_RUNS];
    for (int i = 0; i < st->n_runs; i++)
        title[i] = st->title[i];
    ui_compare_seen_init(&st->seen, st->ui->compare, st->n_runs, title);
    /* runs that have no layers, or no activations, need no place for them */
    st->panes.away[PANE_LAYERS] = st->n_layers == 0;
    st->panes.away[PANE_SEEN] = st->seen.n == 0;
    if (st->panes.away[st->panes.at])
        st->panes.at = PANE_FACTS;
    if (st->ui->n_compare > MOST_RUNS)
        ui_say(st->ui, UI_CAUTION, _("only the first %d runs are shown"), MOST_RUNS);
}

static void *
open_view(struct ui *ui)
{
    struct state *st = qs_xcalloc(1, sizeof(*st));
    st->ui = ui;
    ui_panes_init(&st->panes, (struct ui_table *[]){&st->facts, &st->layers, &st->seen.table},
                  N_PANES);
    build(st);
    return st;
}

static void
close_view(struct ui *ui, void *state)
{
    (void)ui;
    clear(state);
    free(state);
}

static void
update(struct ui *ui, void *state, enum ui_event ev)
{
    (void)ui;
    if (ev == UI_EVENT_COMPARE)
        build(state);
}

/* A pane below others, with a line above it that names it. */
static void
draw_lower(struct state *st, struct ui_screen *s, struct ui_rect r, int pane, bool shares)
{
    const bool hides = !st->panes.away[PANE_SEEN] && !shares;
    ui_put_rule(s, r.y, r.x, r.w,
                pane == PANE_SEEN ? _("activations")
                : hides           ? _("layer by layer; Tab: activations")
                                  : _("layer by layer"),
                st->panes.at == pane);
    ui_panes_draw(&st->panes, pane, s, (struct ui_rect){r.y + 1, r.x, r.h - 1, r.w});
}

static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    enum { LOW = 9, THREE = 30 };
    struct state *st = state;
    ui_panes_begin(&st->panes);
    if (st->n_runs == 0) {
        ui_put(ui->screen, r.y + r.h / 3, r.x + 2, r.w - 2, UI_DIM,
               _("no runs chosen; mark them in Runs (6) and press c"));
        return;
    }
    const bool layers = !st->panes.away[PANE_LAYERS], seen = !st->panes.away[PANE_SEEN];
    if (r.h < LOW || (!layers && !seen)) {
        ui_panes_draw(&st->panes, st->panes.at, ui->screen, r);
        return;
    }
    const bool three = layers && seen && r.h >= THREE;
    const int most = three ? r.h / 3 : r.h / 2;
    const int upper = st->n_facts + 1 < most ? st->n_facts + 1 : most;
    struct ui_rect below = {r.y + upper, r.x, r.h - upper, r.w};
    ui_panes_draw(&st->panes, PANE_FACTS, ui->screen, (struct ui_rect){r.y, r.x, upper, r.w});
    if (three) {
        below.h /= 2;
        draw_lower(st, ui->screen, below, PANE_LAYERS, true);
        below.y += below.h;
        below.h = r.y + r.h - below.y;
    }
    draw_lower(st, ui->screen, below,
               three || !layers || st->panes.at == PANE_SEEN ? PANE_SEEN : PANE_LAYERS, three);
}

static bool
reads(const struct qs_node *node, int32_t var)
{
    for (int k = 0; k < node->n_in; k++)
        for (int i = 0; i < node->in[k].n; i++)
            if (node->in[k].var[i] == var)
                return true;
    return false;
}

/* The first operator that reads a variable, one with a weight before others; -1: none. */
static int
reader_of(const struct ui_model *m, const char *name)
{
    const int32_t var = qs_model_find_var(m->opened->model, 0, name);
    int op = -1;
    for (int i = 0; var >= 0 && i < m->n_ops; i++)
        if ((op < 0 || (m->op[op].layer < 0 && m->op[i].layer >= 0)) &&
            reads(ui_model_node(m, i), var))
            op = i;
    return op;
}

static void
show_seen(struct state *st)
{
    struct ui *ui = st->ui;
    const int row = ui_table_row(&st->seen.table);
    if (row < 0)
        return;
    const int op = ui->model ? reader_of(ui->model, st->seen.row[row].var) : -1;
    if (op < 0) {
        ui_say(ui, UI_CAUTION, _("no operator of the open model reads '%s'"),
               st->seen.row[row].var);
        return;
    }
    ui_go_to_op(ui, op, ui->model->op[op].layer);
}

static void
show_layer(struct state *st)
{
    struct ui *ui = st->ui;
    const int row = ui_table_row(&st->layers);
    if (row < 0)
        return;
    const int layer = ui->model ? ui_model_find_layer(ui->model, st->layer[row].weight) : -1;
    if (layer < 0) {
        ui_say(ui, UI_CAUTION, _("the open model has no weight '%s'"), st->layer[row].weight);
        return;
    }
    ui_go_to_op(ui, ui_layer_op(ui->model, layer), layer);
}

void
ui_compare_chosen(struct ui *ui, const struct ui_table *t, bool need_two)
{
    int n;
    int64_t *id = ui_table_chosen_ids(t, &n);
    if (need_two && n < 2)
        ui_say(ui, UI_CAUTION, _("mark two or more runs with Space first"));
    else if (n > 0) {
        ui_task_compare(ui, id, n);
        ui_go(ui, UI_VIEW_COMPARE);
    }
    free(id);
}

static bool
act(struct ui *ui, void *state, enum ui_action action, const char *arg)
{
    struct state *st = state;
    (void)ui;
    (void)arg;
    if (action == UI_ACT_NEXT_PANE || action == UI_ACT_PREV_PANE)
        ui_panes_next(&st->panes, action == UI_ACT_NEXT_PANE ? 1 : -1);
    else if (action == UI_ACT_SHOW_LAYER && st->panes.at == PANE_LAYERS)
        show_layer(st);
    else if (action == UI_ACT_SHOW_LAYER && st->panes.at == PANE_SEEN)
        show_seen(st);
    else
        return false;
    return true;
}

static struct ui_table *
table(void *state)
{
    return ui_panes_table(&((struct state *)state)->panes);
}

static bool
mouse(struct ui *ui, void *state, const struct ui_key *key)
{
    return ui_panes_mouse(&((struct state *)state)->panes, ui, key, UI_ACT_SHOW_LAYER);
}

const struct ui_view ui_view_compare = {
    .open = open_view,
    .close = close_view,
    .update = update,
    .draw = draw,
    .act = act,
    .table = table,
    .mouse = mouse,
};
