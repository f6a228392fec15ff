/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "app/sense.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/quant_info.h"

/* Those of PaddleSlim's Analysis. */
static const char default_types[] = "conv2d,depthwise_conv2d,conv2d_transpose,mul,matmul,matmul_v2";

static const char *const modes[] = {N_("weights"), N_("activations"), N_("both"), NULL};
static const char *const weight_types[] = {"channel_wise_abs_max", "abs_max", NULL};

/* ---- as text ---- */

#define AT(member) offsetof(struct sense_choices, member)
static const struct qs_opt rows[] = {
    {"data", 0, QS_OPT_TEXT, AT(data), 0, 0, NULL, NULL, NULL, NULL},
    {"samples", 0, QS_OPT_INT, AT(samples), 0, 1 << 30, NULL, "0", NULL, NULL},
    {"metric", 0, QS_OPT_TEXT, AT(metric), 0, 0, NULL, NULL, NULL, NULL},
    {"op-types", 0, QS_OPT_TEXT, AT(op_types), 0, 0, NULL, default_types, NULL, NULL},
    {"mode", 0, QS_OPT_TEXT, AT(mode), 0, 0, NULL, "both", NULL, NULL},
    {"bits", 0, QS_OPT_TEXT, AT(bits), 0, 0, NULL, "8", NULL, NULL},
    {"weight-type", 0, QS_OPT_CHOICE, AT(weight_type), 0, 0, weight_types, "channel_wise_abs_max",
     NULL, NULL},
    {"algo", 0, QS_OPT_CHOICE, AT(algo), 0, 0, qs_algo_names, "avg", NULL, NULL},
    {"top", 0, QS_OPT_INT, AT(top), 0, 1 << 30, NULL, "0", NULL, NULL},
    {"others", 0, QS_OPT_FLAG, AT(others), 0, 0, NULL, "no", NULL, NULL},
    {"precision", 0, QS_OPT_CHOICE, AT(precision), 0, 0, qs_precision_names, "fp32", NULL, NULL},
};
#undef AT
enum { N = QS_LEN(rows) };

static void
set_text(char **to, char *text)
{
    free(*to);
    *to = text;
}

static char *
modes_text(int set)
{
    struct qs_str out;
    qs_str_init(&out);
    for (int i = 0; modes[i]; i++)
        if (set & 1 << i)
            qs_str_printf(&out, "%s%s", out.n ? "," : "", modes[i]);
    return qs_str_take(&out);
}

static char *
bits_text(const int *bits, int n)
{
    struct qs_str out;
    qs_str_init(&out);
    for (int i = 0; i < n; i++)
        qs_str_printf(&out, "%s%d", i ? "," : "", bits[i]);
    return qs_str_take(&out);
}

void
qs_sense_choices_from(const struct qs_sensitivity_options *opt, struct sense_choices *out)
{
    *out = (struct sense_choices){0};
    qs_opts_init(rows, N, out);
    if (opt->data) {
        char *real = realpath(opt->data, NULL);
        out->data = real ? real : qs_xstrdup(opt->data);
    }
    out->samples = (int)opt->samples;
    out->metric = opt->metric ? qs_xstrdup(opt->metric) : NULL;
    if (opt->op_types)
        set_text(&out->op_types, qs_xstrdup(opt->op_types));
    if (opt->modes)
        set_text(&out->mode, modes_text(opt->modes));
    if (opt->n_bits)
        set_text(&out->bits, bits_text(opt->bits, opt->n_bits));
    out->weight_type = opt->weight_type;
    out->algo = opt->algo;
    out->top = (int)opt->top;
    out->others = opt->others;
    out->precision = opt->precision;
}

void
qs_sense_choices_copy(struct sense_choices *to, const struct sense_choices *from)
{
    *to = *from;
    qs_opts_copy(rows, N, to, from);
}

void
qs_sense_choices_release(struct sense_choices *c)
{
    qs_opts_release(rows, N, c);
    *c = (struct sense_choices){0};
}

char *
qs_sense_choices_text(const struct sense_choices *c)
{
    struct qs_str out;
    qs_str_init(&out);
    for (int i = 0; i < N; i++) {
        qs_str_printf(&out, "# %s = ", rows[i].name);
        qs_opt_print(&rows[i], c, &out);
        qs_str_add(&out, "\n");
    }
    return qs_str_take(&out);
}

static enum qs_err
parse_line(struct qs_ctx *cx, char *line, struct sense_choices *out)
{
    char *eq = strstr(line, " = ");
    const struct qs_opt *opt = strncmp(line, "# ", 2) == 0 && eq
                                   ? qs_opts_find(rows, N, line + 2, (size_t)(eq - line) - 2)
                                   : NULL;
    if (!opt)
        return qs_fail(cx, QS_ERR_DB, _("cannot read the choices of a stored scan: '%s'"), line);
    return opt->type == QS_OPT_TEXT && !eq[3] ? QS_OK : qs_opt_set(cx, opt, eq + 3, out);
}

enum qs_err
qs_sense_choices_parse(struct qs_ctx *cx, const char *text, struct sense_choices *out)
{
    char *copy = qs_xstrdup(text), *next = copy;
    enum qs_err err = QS_OK;
    qs_opts_init(rows, N, out);
    while (*next && !err) {
        char *line = next;
        next += strcspn(next, "\n");
        if (*next)
            *next++ = '\0';
        err = parse_line(cx, line, out);
    }
    free(copy);
    if (!err && !out->data)
        err = qs_fail(cx, QS_ERR_DB, _("cannot read the choices of a stored scan: '%s'"), text);
    if (err)
        qs_sense_choices_release(out);
    return err;
}

enum qs_err
qs_sense_choices_agree(struct qs_ctx *cx, const struct qs_sensitivity_options *opt,
                       const struct sense_choices *stored)
{
    const bool given[N] = {opt->data != NULL,
                           opt->samples > 0,
                           opt->metric != NULL,
                           opt->op_types != NULL,
                           opt->modes != 0,
                           opt->n_bits > 0,
                           [N - 1] = opt->precision != QS_PRECISION_FP32};
    struct sense_choices asked;
    enum qs_err err = QS_OK;
    qs_sense_choices_from(opt, &asked);
    for (int i = 0; i < N && !err; i++) {
        struct qs_str a, b;
        qs_str_init(&a);
        qs_str_init(&b);
        qs_opt_print(&rows[i], &asked, &a);
        qs_opt_print(&rows[i], stored, &b);
        if (given[i] && strcmp(a.s, b.s) != 0)
            err = qs_fail(cx, QS_ERR_USAGE, _("run %lld was begun with %s = %s, not %s"),
                          (long long)opt->resume, rows[i].name, *b.s ? b.s : "-", a.s);
        qs_str_release(&a);
        qs_str_release(&b);
    }
    qs_sense_choices_release(&asked);
    return err;
}

/* ---- variants ---- */

static enum qs_err
parse_bits(struct qs_ctx *cx, struct scan *s)
{
    for (const char *p = s->choices.bits; *p;) {
        char *end;
        const long v = strtol(p, &end, 10);
        bool again = false;
        if (end == p || (*end && *end != ',') || v < 2 || v > 16)
            return qs_fail(cx, QS_ERR_USAGE, _("--bits takes widths from 2 to 16, not '%s'"),
                           s->choices.bits);
        for (int i = 0; i < s->n_bits; i++)
            again = again || s->bits[i] == (int)v;
        if (!again) {
            s->bits = qs_xrealloc(s->bits, (size_t)(s->n_bits + 1) * sizeof(*s->bits));
            s->bits[s->n_bits++] = (int)v;
        }
        p = end + (*end == ',');
    }
    return s->n_bits ? QS_OK
                     : qs_fail(cx, QS_ERR_USAGE, _("--bits takes widths from 2 to 16, not '%s'"),
                               s->choices.bits);
}

static enum qs_err
check_modes(struct qs_ctx *cx, const char *list)
{
    size_t n = 0;
    for (int i = 0; modes[i]; i++)
        if (qs_in_list(list, modes[i]))
            n += strlen(modes[i]) + (n > 0);
    return n > 0 && n == strlen(list)
               ? QS_OK
               : qs_fail(cx, QS_ERR_USAGE,
                         _("--mode takes weights, activations or both, or several joined by ',', "
                           "not '%s'"),
                         list);
}

/* Integers are multiplied with integers of at most 8 bits, and by the fast engine. */
static enum qs_err
check_precision(struct qs_ctx *cx, const struct scan *s)
{
    if (s->choices.precision == QS_PRECISION_FP32)
        return QS_OK;
    if (s->exact)
        return qs_fail(cx, QS_ERR_USAGE, _("only the fast engine computes in integers"));
    if (strcmp(s->choices.mode, modes[QS_SENSE_BOTH]) != 0)
        return qs_fail(cx, QS_ERR_USAGE, _("in integers the mode is both, not '%s'"),
                       s->choices.mode);
    for (int i = 0; i < s->n_bits; i++)
        if (s->bits[i] > 8)
            return qs_fail(cx, QS_ERR_USAGE, _("in integers there are at most 8 bits, not %d"),
                           s->bits[i]);
    return QS_OK;
}

enum qs_err
qs_sense_variants(struct qs_ctx *cx, struct scan *s)
{
    enum qs_err err = check_modes(cx, s->choices.mode);
    if (!err)
        err = parse_bits(cx, s);
    if (!err)
        err = check_precision(cx, s);
    if (err)
        return err;
    s->variant = qs_xcalloc((size_t)s->n_bits * QS_LEN(modes), sizeof(*s->variant));
    for (int b = 0; b < s->n_bits; b++)
        for (int m = 0; modes[m]; m++)
            if (qs_in_list(s->choices.mode, modes[m]))
                s->variant[s->n_variant++] =
                    (struct sense_variant){.mode = m, .bits = s->bits[b], .b = b};
    s->rounds = qs_in_list(s->choices.mode, modes[QS_SENSE_ACTIVATIONS]) ||
                qs_in_list(s->choices.mode, modes[QS_SENSE_BOTH]);
    return QS_OK;
}

const char *
qs_sense_mode_name(int mode)
{
    return modes[mode];
}

/* ---- layers ---- */

/* The variable that a node multiplies with a weight; -1. */
static int32_t
activation_of(const struct qs_model *m, const struct qs_node *node, int32_t weight)
{
    static const char *const slot[] = {"Input", "X"};
    for (size_t i = 0; i < QS_LEN(slot); i++) {
        const int32_t v = qs_node_input(node, slot[i], 0);
        if (v >= 0)
            return v == weight || m->var[v].data ? -1 : v;
    }
    return -1;
}

/* Whether every reader of the weight is a node of the main block that can be tried. */
static bool
takes_part(const struct scan *s, const struct qs_layer *l)
{
    const struct qs_model *m = s->o->model;
    const struct qs_edges *e = s->o->edges;
    if (!l->quantizable)
        return false;
    for (int i = 0; i < e->n_reader[l->var]; i++) {
        const struct qs_ref r = e->reader[l->var][i];
        const struct qs_node *node = &m->block[r.block].node[r.node];
        if (r.block != 0 || !qs_in_list(s->choices.op_types, node->type) ||
            activation_of(m, node, l->var) < 0)
            return false;
    }
    return true;
}

static void
add_layer(struct scan *s, const struct qs_layer *l)
{
    const struct qs_edges *e = s->o->edges;
    s->layer[s->n_layer] = (struct sense_layer){.layer = l};
    for (int i = 0; i < e->n_reader[l->var]; i++) {
        const int32_t node = e->reader[l->var][i].node;
        s->node = qs_xrealloc(s->node, (size_t)(s->n_node + 1) * sizeof(*s->node));
        s->node[s->n_node++] = (struct sense_node){
            .node = node,
            .input = activation_of(s->o->model, &s->o->model->block[0].node[node], l->var),
            .layer = s->n_layer};
    }
    s->n_layer++;
}

static int
by_node(const void *a, const void *b)
{
    const struct sense_node *x = a, *y = b;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    return x->layer < y->layer ? -1 : x->layer > y->layer;
}

/* Says why there is nothing to scan. */
static enum qs_err
nothing(struct qs_ctx *cx, const struct scan *s)
{
    struct qs_quant_info info;
    qs_quant_info_of(s->o->model, &info);
    if (info.kind != QS_QUANT_NONE)
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("'%s' is already quantized (%s)"), s->o->path,
                       qs_quant_kind_name(info.kind));
    return qs_fail(cx, QS_ERR_UNSUPPORTED, _("'%s' has no layer to quantize among %s"), s->o->path,
                   s->choices.op_types);
}

static int
count_elsewhere(const struct scan *s)
{
    int n = 0;
    for (int i = 0; i < s->o->layers->n; i++) {
        const struct qs_layer *l = &s->o->layers->layer[i];
        n += l->quantizable && l->user.block > 0;
    }
    return n;
}

/* The node that reads a weight which could be quantized, when the default types leave it out; NULL.
 */
static const struct qs_node *
left_out(const struct scan *s, const struct qs_layer *l)
{
    if (!l->quantizable || l->user.block != 0)
        return NULL;
    const struct qs_node *node = &s->o->model->block[0].node[l->user.node];
    return qs_in_list(s->choices.op_types, node->type) ? NULL : node;
}

/* Says it once for each type of operator. */
static void
say_left_out(struct qs_ctx *cx, const struct scan *s)
{
    const struct qs_layers *all = s->o->layers;
    for (int i = 0; i < all->n; i++) {
        const struct qs_node *node = left_out(s, &all->layer[i]);
        bool first = node != NULL;
        int n = 0;
        for (int k = 0; k < all->n && first; k++) {
            const struct qs_node *other = left_out(s, &all->layer[k]);
            const bool same = other && strcmp(other->type, node->type) == 0;
            first = !same || k >= i;
            n += same;
        }
        if (first && activation_of(s->o->model, node, all->layer[i].var) >= 0)
            qs_note(cx, _("%d weights of %s are left out; --op-types brings them in"), n,
                    node->type);
        else if (first)
            qs_note(cx, _("%d weights of %s are left out: no activation is multiplied with them"),
                    n, node->type);
    }
}

enum qs_err
qs_sense_layers(struct qs_ctx *cx, struct scan *s)
{
    const struct qs_layers *all = s->o->layers;
    s->layer = qs_xcalloc((size_t)all->n + 1, sizeof(*s->layer));
    for (int i = 0; i < all->n; i++)
        if (takes_part(s, &all->layer[i]))
            add_layer(s, &all->layer[i]);
    if (s->n_layer == 0)
        return nothing(cx, s);
    qsort(s->node, (size_t)s->n_node, sizeof(*s->node), by_node);
    for (int i = s->n_node - 1; i >= 0; i--) {
        s->layer[s->node[i].layer].first_node = i;
        s->node[i].threshold = qs_xcalloc((size_t)s->n_bits, sizeof(*s->node[i].threshold));
    }
    if (strcmp(s->choices.op_types, default_types) == 0)
        say_left_out(cx, s);
    const int elsewhere = count_elsewhere(s);
    if (elsewhere)
        qs_note(cx, _("%d layers are left out: they stand in blocks that run conditionally"),
                elsewhere);
    return QS_OK;
}

/* ---- metric ---- */

/* The first metric that the labels allow; -1: none. */
static int
first_metric(const struct scan *s)
{
    struct qs_eval e;
    struct qs_ctx quiet;
    qs_ctx_init(&quiet);
    const enum qs_err err = qs_eval_init(&quiet, &e, s->data, NULL, false);
    const int id = err ? -1 : e.id[0];
    qs_eval_release(&e);
    return id;
}

enum qs_err
qs_sense_metric(struct qs_ctx *cx, struct scan *s)
{
    struct qs_eval e;
    if (!s->choices.metric) {
        s->metric = first_metric(s);
        s->choices.metric = qs_xstrdup(s->metric < 0 ? "cosine" : qs_metrics[s->metric].name);
    }
    s->higher_is_better = true;
    s->metric = -1;
    if (strcmp(s->choices.metric, "cosine") == 0)
        return QS_OK;
    const enum qs_err err = qs_eval_init(cx, &e, s->data, s->choices.metric, true);
    if (!err && e.n_metric == 1)
        s->metric = e.id[0];
    const int n = err ? 0 : e.n_metric;
    qs_eval_release(&e);
    if (err)
        return err;
    if (n != 1)
        return qs_fail(cx, QS_ERR_USAGE, _("a scan takes one metric, not '%s'"), s->choices.metric);
    if (qs_metrics[s->metric].value == QS_VALUE_DECIBEL)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("'%s' is infinite for the model itself: mse says the same"),
                       s->choices.metric);
    s->higher_is_better = qs_metrics[s->metric].higher_is_better;
    return QS_OK;
}
