/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/dag.h"

#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"

static int
count_vars(const struct qs_slot *slot, int n)
{
    int sum = 0;
    for (int s = 0; s < n; s++)
        sum += slot[s].n;
    return sum;
}

static int
list_vars(const struct qs_slot *slot, int n, int *out)
{
    int found = 0;
    for (int s = 0; s < n; s++)
        for (int i = 0; i < slot[s].n; i++)
            if (slot[s].var[i] >= 0)
                out[found++] = slot[s].var[i];
    return found;
}

static struct ui_flow
flow_of(const struct ui_model *m)
{
    struct ui_flow f = {.n = m->n_ops, .n_vars = m->opened->model->n_var};
    size_t n_in = 1, n_out = 1;
    for (int i = 0; i < m->n_ops; i++) {
        const struct qs_node *node = ui_model_node(m, i);
        n_in += (size_t)count_vars(node->in, node->n_in);
        n_out += (size_t)count_vars(node->out, node->n_out);
    }
    f.in_at = qs_xcalloc((size_t)f.n + 1, sizeof(int));
    f.out_at = qs_xcalloc((size_t)f.n + 1, sizeof(int));
    f.in = qs_xcalloc(n_in, sizeof(int));
    f.out = qs_xcalloc(n_out, sizeof(int));
    for (int i = 0; i < m->n_ops; i++) {
        const struct qs_node *node = ui_model_node(m, i);
        f.in_at[i + 1] = f.in_at[i] + list_vars(node->in, node->n_in, f.in + f.in_at[i]);
        f.out_at[i + 1] = f.out_at[i] + list_vars(node->out, node->n_out, f.out + f.out_at[i]);
    }
    return f;
}

static bool
is_quantizer(const char *type)
{
    return strncmp(type, "fake_", 5) == 0 || strcmp(type, "quantize_linear") == 0 ||
           strcmp(type, "dequantize_linear") == 0 ||
           strcmp(type, "moving_average_abs_max_scale") == 0;
}

/* Activations, and what does nothing when a model is used. */
static bool
is_activation(const char *type)
{
    static const char *const name[] = {"relu",      "relu6",   "prelu",       "leaky_relu", "elu",
                                       "gelu",      "silu",    "swish",       "hard_swish", "mish",
                                       "sigmoid",   "tanh",    "softplus",    "softsign",   "selu",
                                       "hard_tanh", "dropout", "hard_sigmoid"};
    for (size_t i = 0; i < QS_LEN(name); i++)
        if (strcmp(type, name[i]) == 0)
            return true;
    return false;
}

/* The operator that makes a variable, when only one does; -1. */
static int
writer_of(const struct ui_model *m, int32_t var)
{
    const struct qs_edges *e = m->opened->edges;
    return var >= 0 && e->n_writer[var] == 1 ? ui_model_op_at(m, e->writer[var][0]) : -1;
}

/* Its weight slot holds a parameter, plain or behind quantizers. */
static bool
has_weight(const struct ui_model *m, int op)
{
    enum { MOST_QUANTIZERS = 4 };
    const struct qs_node *node = ui_model_node(m, op);
    if (!node->op || !node->op->weight_slot)
        return false;
    int32_t var = qs_node_input(node, node->op->weight_slot, 0);
    for (int i = 0; i <= MOST_QUANTIZERS && var >= 0; i++) {
        if (m->layer_of_var[var] >= 0)
            return true;
        const int from = writer_of(m, var);
        if (from < 0 || !is_quantizer(ui_model_node(m, from)->type))
            return false;
        var = qs_node_input(ui_model_node(m, from), "X", 0);
    }
    return false;
}

/* The operator whose result this one alone reads as X; -1. */
static int
sole_producer(const struct ui_model *m, int op)
{
    const int32_t var = qs_node_input(ui_model_node(m, op), "X", 0);
    return var >= 0 && m->opened->edges->n_reader[var] == 1 ? writer_of(m, var) : -1;
}

/* A batch norm, or a sum with a parameter: what becomes a part of a weight before it. */
static bool
can_fold(const struct ui_model *m, int op)
{
    const struct qs_node *node = ui_model_node(m, op);
    const int32_t y = qs_node_input(node, "Y", 0);
    return strcmp(node->type, "batch_norm") == 0 ||
           (strcmp(node->type, "elementwise_add") == 0 && y >= 0 && m->layer_of_var[y] >= 0);
}

static bool *
find_folded(const struct ui_model *m)
{
    bool *folded = qs_xcalloc((size_t)m->n_ops + 1, sizeof(*folded));
    /* its result is that of an operator with a weight but for what was folded into it */
    bool *weighs = qs_xcalloc((size_t)m->n_ops + 1, sizeof(*weighs));
    for (int i = 0; i < m->n_ops; i++) {
        const char *type = ui_model_node(m, i)->type;
        const int from = sole_producer(m, i);
        const bool after = from >= 0 && from < i && weighs[from];
        const bool part = is_quantizer(type) || (after && can_fold(m, i));
        weighs[i] = has_weight(m, i) || (after && part);
        folded[i] = part || is_activation(type);
    }
    free(weighs);
    return folded;
}

void
ui_dag_release(struct ui_dag *d)
{
    ui_flow_release(&d->flow);
    ui_lanes_free(d->lanes);
    free(d->folded);
    free(d->position);
    free(d->from.row);
    free(d->to.row);
    *d = (struct ui_dag){.cursor = -1};
}

void
ui_dag_set_model(struct ui_dag *d, const struct ui_model *m)
{
    ui_dag_release(d);
    d->model = m;
    if (!m)
        return;
    d->flow = flow_of(m);
    d->folded = find_folded(m);
    /* scales and parameters are no way that a value takes */
    d->flow.origin = qs_xcalloc((size_t)m->n_ops + 1, sizeof(int));
    for (int i = 0; i < m->n_ops; i++)
        d->flow.origin[i] = d->folded[i] ? qs_node_input(ui_model_node(m, i), "X", 0) : -1;
    d->position = qs_xcalloc((size_t)m->n_ops + 1, sizeof(*d->position));
}

bool
ui_dag_is_folded(const struct ui_dag *d, int op)
{
    return d->folded && d->folded[op];
}

static void
make_lanes(struct ui_dag *d, const struct ui_table *t)
{
    const bool complete = t->scan >= t->n_rows;
    if (d->made && d->version == t->version)
        return;
    ui_lanes_free(d->lanes);
    d->lanes = complete ? ui_lanes_new(&d->flow, t->order, t->n_shown) : NULL;
    d->version = t->version;
    d->made = complete;
    d->cursor = -1;
    for (int i = 0; i < d->model->n_ops; i++)
        d->position[i] = -1;
    for (int i = 0; i < t->n_shown; i++)
        d->position[t->order[i]] = i;
}

typedef int list_fn(const struct ui_lanes *l, int row, int *out, int most);

static void
list_near(const struct ui_dag *d, struct ui_near *near, list_fn *list, int row)
{
    near->n = list(d->lanes, row, NULL, 0);
    near->row = qs_xrealloc(near->row, ((size_t)near->n + 1) * sizeof(int));
    list(d->lanes, row, near->row, near->n);
}

/* The neighbours of the cursor; of several the nearest is chosen. */
static void
look_around(struct ui_dag *d, int cursor)
{
    if (!d->lanes || cursor == d->cursor || cursor >= d->lanes->n)
        return;
    d->cursor = cursor;
    list_near(d, &d->from, ui_lanes_producers, cursor);
    list_near(d, &d->to, ui_lanes_consumers, cursor);
    d->from.chosen = d->from.n - 1;
    d->to.chosen = 0;
}

void
ui_dag_update(struct ui_dag *d, const struct ui_table *t)
{
    if (!d->model)
        return;
    make_lanes(d, t);
    if (!d->lanes || t->n_shown == 0)
        d->cursor = -1;
    else
        look_around(d, t->cursor);
}

int
ui_dag_fit(struct ui_dag *d, int most)
{
    enum { LEAST = 5 }; /* of the title */
    const int need = d->lanes ? 2 * d->lanes->width : 0, w = need > most ? most : need;
    if (d->cursor >= 0) {
        const int col = d->lanes->col[d->cursor], seen = w > 1 ? w / 2 : 1;
        d->left = need <= most ? 0 : d->left;
        d->left = col < d->left ? col : col >= d->left + seen ? col - seen + 1 : d->left;
    }
    return w < LEAST ? LEAST : w;
}

static bool
is_among(const struct ui_near *near, int row)
{
    int a = 0, b = near->n;
    while (a < b) {
        const int mid = a + (b - a) / 2;
        if (near->row[mid] < row)
            a = mid + 1;
        else
            b = mid;
    }
    return a < near->n && near->row[a] == row;
}

bool
ui_dag_is_near(const struct ui_dag *d, int op)
{
    const int row = d->position[op];
    return d->cursor >= 0 && row >= 0 && (is_among(&d->from, row) || is_among(&d->to, row));
}

static bool
is_chosen(const struct ui_near *near, int row)
{
    return near->n > 0 && near->row[near->chosen] == row;
}

static void
paint_node(const struct ui_dag *d, int op, struct ui_screen *s, int y, int x)
{
    const int row = d->position[op];
    if (row == d->cursor)
        ui_put_char(s, y, x, 1, UI_KEY, 0x25C6, '@');
    else if (d->cursor >= 0 && is_chosen(&d->from, row))
        ui_put_char(s, y, x, 1, UI_KEY, 0x25B2, 'A');
    else if (d->cursor >= 0 && is_chosen(&d->to, row))
        ui_put_char(s, y, x, 1, UI_KEY, 0x25BC, 'V');
    else if (d->cursor >= 0 && is_among(&d->from, row))
        ui_put_char(s, y, x, 1, UI_KEY, 0x25B3, '^');
    else if (d->cursor >= 0 && is_among(&d->to, row))
        ui_put_char(s, y, x, 1, UI_KEY, 0x25BD, 'v');
    else if (has_weight(d->model, op))
        ui_put_char(s, y, x, 1, UI_TEXT, 0x25CF, '*');
    else
        ui_put_char(s, y, x, 1, UI_TEXT, 0x25CB, 'o');
}

static bool
is_thick(const struct ui_stroke *k)
{
    return k->up > 1 || k->down > 1 || k->left > 1 || k->right > 1;
}

void
ui_dag_paint(const struct ui_dag *d, int op, struct ui_screen *s, struct ui_rect cell)
{
    const int row = d->position[op];
    if (!d->lanes || row < 0) {
        ui_put_char(s, cell.y, cell.x, 1, UI_DIM, 0x25CB, 'o');
        return;
    }
    struct ui_stroke *k = qs_xcalloc((size_t)cell.w + 1, sizeof(*k));
    ui_lanes_row(d->lanes, row, d->cursor, d->left, k, cell.w);
    for (int i = 0; i < cell.w; i++) {
        if (k[i].node && i % 2 == 0)
            paint_node(d, op, s, cell.y, cell.x + i);
        else
            ui_put_char(s, cell.y, cell.x + i, 1, is_thick(&k[i]) ? UI_KEY : UI_LINE,
                        ui_stroke_char(&k[i]), ui_stroke_plain(&k[i]));
    }
    free(k);
}

bool
ui_dag_follow(struct ui_dag *d, struct ui_table *t, bool down)
{
    ui_dag_update(d, t);
    const struct ui_near *near = down ? &d->to : &d->from;
    const int source = d->cursor;
    if (source < 0 || near->n == 0)
        return false;
    t->cursor = near->row[near->chosen];
    look_around(d, t->cursor);
    /* the way back leads to where one came from */
    struct ui_near *back = down ? &d->from : &d->to;
    for (int i = 0; i < back->n; i++)
        if (back->row[i] == source)
            back->chosen = i;
    return true;
}

bool
ui_dag_choose(struct ui_dag *d, const struct ui_table *t, bool down)
{
    ui_dag_update(d, t);
    struct ui_near *near = down ? &d->to : &d->from;
    if (d->cursor < 0 || near->n < 2)
        return false;
    /* producers from the nearest upwards, consumers downwards */
    near->chosen = (near->chosen + (down ? 1 : near->n - 1)) % near->n;
    return true;
}

static void
describe(const struct ui_dag *d, const struct ui_table *t, const struct ui_near *near,
         const char *word, struct qs_str *out)
{
    if (d->cursor < 0 || near->n == 0)
        return;
    const int op = t->order[near->row[near->chosen]];
    qs_str_printf(out, "%s%s #%d %s", out->n ? "  " : "", word, d->model->op[op].node + 1,
                  ui_model_node(d->model, op)->type);
    if (near->n > 1)
        qs_str_printf(out, _(" (%d of %d)"), near->chosen + 1, near->n);
}

void
ui_dag_describe(const struct ui_dag *d, const struct ui_table *t, struct qs_str *out)
{
    if (d->made && !d->lanes)
        qs_str_add(out, _("too many edges to draw"));
    describe(d, t, &d->from, _("from"), out);
    describe(d, t, &d->to, _("to"), out);
}
