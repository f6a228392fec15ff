/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"
#include "ui/text.h"

/* The slot of its weight when the operator has one, else the first parameter it reads that is no
 * bias, else any. */
static int
layer_of_node(const struct ui_model *m, const struct qs_node *node)
{
    const struct qs_layers *l = m->opened->layers;
    int any = -1, better = -1;
    if (node->op && node->op->weight_slot) {
        const int32_t var = qs_node_input(node, node->op->weight_slot, 0);
        if (var >= 0 && m->layer_of_var[var] >= 0)
            return m->layer_of_var[var];
    }
    for (int s = 0; s < node->n_in; s++)
        for (int i = 0; i < node->in[s].n; i++) {
            const int layer = node->in[s].var[i] >= 0 ? m->layer_of_var[node->in[s].var[i]] : -1;
            if (layer < 0)
                continue;
            any = any < 0 ? layer : any;
            if (better < 0 && !l->layer[layer].secondary)
                better = layer;
        }
    return better >= 0 ? better : any;
}

/* The block that an operator runs and that was not listed yet; -1: none. */
static int
block_to_list(const struct ui_model *m, const struct qs_node *node)
{
    const struct qs_model *model = m->opened->model;
    const struct qs_attr *sub = qs_node_attr(node, "sub_block");
    const int64_t b = sub && sub->type == QS_ATTR_BLOCK ? sub->i : -1;
    return b >= 0 && b < model->n_block && !m->op_of[b] ? (int)b : -1;
}

/* A block with those that its operators run; `stack` has room for all blocks. */
static void
list_block(struct ui_model *m, int block, struct qs_ref *stack)
{
    const struct qs_model *model = m->opened->model;
    int n = 0;
    stack[n++] = (struct qs_ref){block, 0};
    m->op_of[block] = qs_xcalloc((size_t)model->block[block].n_node + 1, sizeof(int));
    while (n > 0) {
        struct qs_ref *at = &stack[n - 1];
        if (at->node == model->block[at->block].n_node) {
            n--;
            continue;
        }
        const struct qs_node *node = &model->block[at->block].node[at->node];
        m->op_of[at->block][at->node] = m->n_ops;
        m->op[m->n_ops] = (struct ui_op){at->block, at->node, -1, m->n_ops + 1};
        m->op[m->n_ops++].layer = layer_of_node(m, node);
        at->node++;
        const int sub = block_to_list(m, node);
        if (sub < 0)
            continue;
        stack[n++] = (struct qs_ref){sub, 0};
        m->op_of[sub] = qs_xcalloc((size_t)model->block[sub].n_node + 1, sizeof(int));
    }
}

static void
list_ops(struct ui_model *m)
{
    const struct qs_model *model = m->opened->model;
    int n = 0;
    for (int b = 0; b < model->n_block; b++)
        n += model->block[b].n_node;
    m->op = qs_xcalloc((size_t)n + 1, sizeof(*m->op));
    m->op_of = qs_xcalloc((size_t)model->n_block + 1, sizeof(*m->op_of));
    struct qs_ref *stack = qs_xcalloc((size_t)model->n_block + 1, sizeof(*stack));
    for (int b = 0; b < model->n_block; b++)
        if (!m->op_of[b])
            list_block(m, b, stack);
    free(stack);
}

struct ui_model *
ui_model_new(struct qs_opened *o)
{
    struct ui_model *m = qs_xcalloc(1, sizeof(*m));
    m->refs = 1;
    m->opened = o;
    m->name = ui_short_name(o->path);
    m->layer_of_var = qs_xmalloc(((size_t)o->model->n_var + 1) * sizeof(*m->layer_of_var));
    for (int i = 0; i < o->model->n_var; i++)
        m->layer_of_var[i] = -1;
    for (int i = 0; i < o->layers->n; i++)
        m->layer_of_var[o->layers->layer[i].var] = i;
    m->have_stats = qs_xcalloc((size_t)o->layers->n + 1, sizeof(*m->have_stats));
    list_ops(m);
    qs_quant_info_of(o->model, &m->quant);
    return m;
}

struct ui_model *
ui_model_ref(struct ui_model *m)
{
    if (m)
        m->refs++;
    return m;
}

void
ui_model_unref(struct ui_model *m)
{
    if (!m || --m->refs > 0)
        return;
    for (int b = 0; b <= UI_MOST_BITS; b++) {
        free(m->sqnr[b].per_tensor);
        free(m->sqnr[b].per_channel);
    }
    qs_decisions_free(m->decisions);
    ui_calibration_free(m->calibration);
    ui_scales_free(m->scales);
    free(m->op);
    for (int b = 0; b < m->opened->model->n_block; b++)
        free(m->op_of[b]);
    free(m->op_of);
    free(m->layer_of_var);
    free(m->have_stats);
    free(m->name);
    qs_app_close(m->opened);
    free(m);
}

static struct qs_decisions *
decide(const struct ui_model *m, const struct qs_plan *plan, char *why, size_t why_cap)
{
    struct qs_ctx cx;
    struct qs_decisions *d = NULL;
    const struct qs_opened *o = m->opened;
    qs_ctx_init(&cx);
    enum qs_err err = qs_plan_check(&cx, plan);
    if (!err)
        err = qs_decide(&cx, o->model, o->edges, o->layers, plan, &d);
    snprintf(why, why_cap, "%s", err ? qs_message(&cx) : "");
    return err ? NULL : d;
}

static void
judge(struct ui_model *m, const struct qs_plan *plan, int target, struct ui_verdict *v)
{
    struct qs_plan other;
    qs_plan_copy(&other, plan);
    other.target = target;
    struct qs_decisions *d = decide(m, &other, v->why, sizeof(v->why));
    v->accepted = d != NULL;
    if (d) {
        v->n_integer = d->n_integer;
        v->n_simulated = d->n_simulated;
        v->params_after = d->params_after;
    }
    qs_decisions_free(d);
    qs_plan_release(&other);
}

void
ui_model_decide(struct ui_model *m, const struct qs_plan *plan)
{
    const struct qs_opt *target = qs_opts_find(qs_plan_opts, qs_n_plan_opts, "target", 6);
    m->activation_bits = plan->activation_bits;
    ui_calibration_at(m->calibration, m->activation_bits);
    qs_decisions_free(m->decisions);
    m->decisions = decide(m, plan, m->why, sizeof(m->why));
    m->n_verdicts = 0;
    for (int t = 0; target && target->choices[t] && t < UI_MOST_TARGETS; t++) {
        struct ui_verdict *v = &m->verdict[m->n_verdicts];
        if (t == QS_TARGET_ANY)
            continue;
        *v = (struct ui_verdict){.name = target->choices[t]};
        judge(m, plan, t, v);
        m->n_verdicts++;
    }
}

const struct qs_node *
ui_model_node(const struct ui_model *m, int op)
{
    return &m->opened->model->block[m->op[op].block].node[m->op[op].node];
}

int
ui_model_op_at(const struct ui_model *m, struct qs_ref ref)
{
    if (ref.block < 0 || ref.block >= m->opened->model->n_block)
        return -1;
    return m->op_of[ref.block][ref.node];
}

const char *
ui_layer_name(const struct ui_model *m, int layer)
{
    return m->opened->model->var[m->opened->layers->layer[layer].var].name;
}

int
ui_model_find_layer(const struct ui_model *m, const char *name)
{
    for (int i = 0; i < m->opened->layers->n; i++)
        if (strcmp(ui_layer_name(m, i), name) == 0)
            return i;
    return -1;
}

int
ui_layer_op(const struct ui_model *m, int layer)
{
    return ui_model_op_at(m, m->opened->layers->layer[layer].user);
}

const struct qs_layer_stats *
ui_layer_stats(const struct ui_model *m, int layer)
{
    if (layer < 0 || !m->have_stats[layer] || !m->opened->layers->layer[layer].stats.valid)
        return NULL;
    return &m->opened->layers->layer[layer].stats;
}

const struct qs_decision *
ui_layer_decision(const struct ui_model *m, int layer)
{
    return m->decisions && layer >= 0 && layer < m->decisions->n ? &m->decisions->layer[layer]
                                                                 : NULL;
}

void
ui_add_decision(struct qs_str *out, const struct ui_model *m, int layer)
{
    const struct qs_decision *d = ui_layer_decision(m, layer);
    const struct qs_layer *l = &m->opened->layers->layer[layer];
    const struct ui_scale *scale = ui_scale_of(m->scales, l->var);
    if (scale && (!l->quantizable || !d))
        qs_str_printf(out, "=%d", scale->bits);
    else if (!l->quantizable)
        qs_str_add(out, _("no"));
    else if (!d)
        qs_str_add(out, "?");
    else if (d->action == QS_ACTION_SKIP)
        qs_str_add(out, _("skip"));
    else if (d->action == QS_ACTION_KEEP)
        qs_str_add(out, _("fp"));
    else
        qs_str_printf(out, "%s%d", d->action == QS_ACTION_SIMULATE ? "~" : "", d->bits);
}

double
ui_layer_sqnr(const struct ui_model *m, int layer)
{
    const struct qs_decision *d = ui_layer_decision(m, layer);
    if (!d || d->bits < 2 || d->bits > UI_MOST_BITS || !m->sqnr[d->bits].ready)
        return NAN;
    const struct ui_sqnr *s = &m->sqnr[d->bits];
    return d->axis >= 0 ? s->per_channel[layer] : s->per_tensor[layer];
}

const struct ui_seen *
ui_op_seen(const struct ui_model *m, int op)
{
    const struct qs_node *node = ui_model_node(m, op);
    const struct ui_seen *s = NULL;
    for (int k = 0; k < node->n_in && !s; k++)
        for (int i = 0; i < node->in[k].n && !s; i++)
            s = ui_seen_of(m->calibration, node->in[k].var[i]);
    for (int k = 0; k < node->n_out && !s; k++)
        for (int i = 0; i < node->out[k].n && !s; i++)
            s = ui_seen_of(m->calibration, node->out[k].var[i]);
    return s;
}

/* -1: by hand, or of a run that did not say. */
int
ui_layer_algo(const struct ui_model *m, int layer, const struct ui_seen *s)
{
    const struct qs_decision *d = ui_layer_decision(m, layer);
    if (d && d->threshold > 0)
        return -1;
    if (!d || d->algo < 0)
        return s->algo;
    return d->algo == QS_ALGO_auto ? s->of.best : d->algo;
}

double
ui_layer_threshold(const struct ui_model *m, int layer, const struct ui_seen *s)
{
    const struct qs_decision *d = ui_layer_decision(m, layer);
    const int algo = ui_layer_algo(m, layer, s);
    if (algo >= 0)
        return s->of.threshold[algo];
    return d && d->threshold > 0 ? d->threshold : s->threshold;
}

double
ui_layer_output_sqnr(const struct ui_model *m, int layer)
{
    const double weight = ui_layer_sqnr(m, layer);
    const struct qs_decision *d = ui_layer_decision(m, layer);
    const int op = ui_layer_op(m, layer);
    const struct ui_seen *s = op >= 0 ? ui_op_seen(m, op) : NULL;
    if (isnan(weight) || !s || (d->algo < 0 && !(d->threshold > 0)))
        return weight;
    const int algo = ui_layer_algo(m, layer, s);
    const double db =
        algo >= 0 ? s->of.sqnr_db[algo] : ui_seen_sqnr(s, m->activation_bits, d->threshold);
    return isnan(db) ? weight : -10 * log10(pow(10, -weight / 10) + pow(10, -db / 10));
}

void
ui_model_calibrated(struct ui_model *m, struct ui_calibration *c)
{
    ui_calibration_free(m->calibration);
    m->calibration = c;
    ui_calibration_at(c, m->activation_bits);
}

void
ui_plan_init(struct ui_plan *p)
{
    *p = (struct ui_plan){0};
    qs_plan_init(&p->now);
}

static void
clear_plans(struct qs_plan **list, int *n)
{
    for (int i = 0; i < *n; i++)
        qs_plan_release(&(*list)[i]);
    free(*list);
    *list = NULL;
    *n = 0;
}

void
ui_plan_release(struct ui_plan *p)
{
    qs_plan_release(&p->now);
    clear_plans(&p->undo, &p->n_undo);
    clear_plans(&p->redo, &p->n_redo);
}

static void
push_plan(struct qs_plan **list, int *n, const struct qs_plan *plan)
{
    enum { MOST_UNDO = 500 };
    if (*n == MOST_UNDO) {
        qs_plan_release(&(*list)[0]);
        memmove(*list, *list + 1, (size_t)(MOST_UNDO - 1) * sizeof(**list));
        (*n)--;
    }
    *list = qs_xrealloc(*list, (size_t)(*n + 1) * sizeof(**list));
    qs_plan_copy(&(*list)[(*n)++], plan);
}

void
ui_plan_keep(struct ui_plan *p)
{
    clear_plans(&p->redo, &p->n_redo);
    push_plan(&p->undo, &p->n_undo, &p->now);
}

void
ui_plan_forget(struct ui_plan *p)
{
    if (p->n_undo == 0)
        return;
    qs_plan_release(&p->now);
    p->now = p->undo[--p->n_undo];
}

static bool
step(struct ui_plan *p, struct qs_plan *from, int *n_from, struct qs_plan **to, int *n_to)
{
    if (*n_from == 0)
        return false;
    push_plan(to, n_to, &p->now);
    qs_plan_release(&p->now);
    p->now = from[--*n_from];
    return true;
}

bool
ui_plan_undo(struct ui_plan *p)
{
    return step(p, p->undo, &p->n_undo, &p->redo, &p->n_redo);
}

bool
ui_plan_redo(struct ui_plan *p)
{
    return step(p, p->redo, &p->n_redo, &p->undo, &p->n_undo);
}

char *
ui_rule_pattern(const char *weight)
{
    struct qs_str out;
    qs_str_init(&out);
    for (const char *p = weight; *p; p++) {
        if (strchr("*?[\\", *p))
            qs_str_add(&out, "\\");
        qs_str_addn(&out, p, 1);
    }
    return out.s;
}

/* The pattern of rule "PATTERN=what" ends at its last '='. */
static bool
rule_is_for(const char *rule, const char *pattern)
{
    const char *eq = strrchr(rule, '=');
    const size_t n = strlen(pattern);
    return eq && (size_t)(eq - rule) == n && memcmp(rule, pattern, n) == 0;
}

void
ui_plan_drop_rule_at(struct qs_plan *plan, int i)
{
    free(plan->layer.v[i]);
    plan->layer.n--;
    memmove(plan->layer.v + i, plan->layer.v + i + 1,
            (size_t)(plan->layer.n - i) * sizeof(*plan->layer.v));
}

/* Rules of a kind replace each other: "skip" and "bits:N"; what is said of activations. */
static bool
same_kind(const char *a, const char *b)
{
    static const char *const weights[] = {"skip", "bits:"};
    bool kind[2] = {false, false};
    for (size_t i = 0; i < QS_LEN(weights); i++) {
        kind[0] = kind[0] || strncmp(a, weights[i], strlen(weights[i])) == 0;
        kind[1] = kind[1] || strncmp(b, weights[i], strlen(weights[i])) == 0;
    }
    return kind[0] == kind[1];
}

bool
ui_plan_drop_rules(struct qs_plan *plan, const char *pattern, const char *what)
{
    const int before = plan->layer.n;
    for (int i = plan->layer.n - 1; i >= 0; i--) {
        const char *rule = plan->layer.v[i];
        if (rule_is_for(rule, pattern) && (!what || same_kind(strrchr(rule, '=') + 1, what)))
            ui_plan_drop_rule_at(plan, i);
    }
    return plan->layer.n < before;
}

void
ui_plan_add_rule(struct qs_plan *plan, const char *pattern, const char *what)
{
    char *rule = qs_xasprintf("%s=%s", pattern, what);
    ui_plan_drop_rules(plan, pattern, what);
    qs_strv_add(&plan->layer, rule);
    free(rule);
}

bool
ui_plan_has_rule(const struct qs_plan *plan, const char *pattern, const char *what)
{
    for (int i = 0; i < plan->layer.n; i++)
        if (rule_is_for(plan->layer.v[i], pattern) &&
            strcmp(strrchr(plan->layer.v[i], '=') + 1, what) == 0)
            return true;
    return false;
}

void
ui_plan_toggle_op(struct qs_plan *plan, const char *type)
{
    const bool on = plan->op_types && qs_in_list(plan->op_types, type);
    struct qs_str out;
    qs_str_init(&out);
    char *copy = qs_xstrdup(plan->op_types ? plan->op_types : ""), *rest = copy, *name;
    while ((name = strsep(&rest, ",")))
        if (*name && strcmp(name, type) != 0)
            qs_str_printf(&out, "%s%s", out.n ? "," : "", name);
    if (!on)
        qs_str_printf(&out, "%s%s", out.n ? "," : "", type);
    free(copy);
    free(plan->op_types);
    plan->op_types = qs_str_take(&out);
}
