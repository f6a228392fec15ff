/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/decide.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"
#include "model/quant_info.h"
#include "passes/decide_parts.h"

static const char default_dynamic[] = "conv2d,depthwise_conv2d,mul";
static const char default_static[] =
    "conv2d,depthwise_conv2d,conv2d_transpose,mul,matmul,matmul_v2";

const char *
qs_action_name(enum qs_action action, int bits)
{
    switch (action) {
    case QS_ACTION_KEEP:
        return N_("kept");
    case QS_ACTION_SKIP:
        return N_("skipped");
    case QS_ACTION_INTEGER:
        return bits <= 8 ? "int8" : "int16";
    case QS_ACTION_SIMULATE:
        return N_("simulated");
    }
    return "";
}

void
qs_decide_keep(struct qs_decision *d, const char *fmt, const char *a)
{
    d->action = QS_ACTION_KEEP;
    d->bits = 0;
    d->n_scales = 0;
    d->to_mul = false;
    d->algo = -1;
    snprintf(d->reason, sizeof(d->reason), fmt, a);
}

const struct qs_node *
qs_user_node(const struct qs_deciding *g, int32_t var, int i)
{
    const struct qs_ref r = g->e->reader[var][i];
    return &g->m->block[r.block].node[r.node];
}

/* Whether every reader is a matmul_v2 that is the same as a mul (matmul_to_mul.c). */
static bool
can_be_mul(const struct qs_deciding *g, const struct qs_layer *l)
{
    for (int i = 0; i < l->n_users; i++) {
        const struct qs_node *node = qs_user_node(g, l->var, i);
        const int32_t x = qs_node_input(node, "X", 0);
        if (strcmp(node->type, "matmul_v2") != 0 || qs_attr_int(node, "trans_x", 0) ||
            qs_attr_int(node, "trans_y", 0) || x < 0 || g->m->var[x].n_dims < 2)
            return false;
    }
    return l->n_users > 0 && g->m->var[l->var].data->n_dims == 2;
}

/* An operator type is chosen by its own name; what will be a mul also by that. */
bool
qs_is_chosen(const struct qs_deciding *g, const struct qs_layer *l, bool to_mul)
{
    for (int i = 0; g->op_types && i < l->n_users; i++) {
        const char *type = qs_user_node(g, l->var, i)->type;
        if (!qs_in_list(g->op_types, type) && !(to_mul && qs_in_list(g->op_types, "mul")))
            return false;
    }
    return true;
}

/* A matmul_v2 is rewritten for Lite, or when dynamic was asked for that type: the method has no
 * other form for it. */
static bool
wants_mul(const struct qs_deciding *g, const struct qs_layer *l)
{
    const bool asked = g->plan->method == QS_METHOD_DYNAMIC && qs_in_list(g->op_types, "matmul_v2");
    return (g->lite || asked) && g->plan->target != QS_TARGET_PADDLE && can_be_mul(g, l);
}

/* Whether naming a Lite target would bring it in. */
static bool
would_be_mul(const struct qs_deciding *g, const struct qs_layer *l)
{
    return g->plan->method == QS_METHOD_DYNAMIC && !g->lite && qs_in_list(g->op_types, "mul") &&
           can_be_mul(g, l);
}

/* One scale for the tensor has its own short form for these; the others get a list. */
static bool
takes_one_scale(const struct qs_deciding *g, const struct qs_layer *l)
{
    for (int i = 0; i < l->n_users; i++) {
        const char *type = qs_user_node(g, l->var, i)->type;
        if (strcmp(type, "fc") == 0 || strcmp(type, "lookup_table") == 0)
            return false;
    }
    return true;
}

static enum qs_action
form_of(const struct qs_deciding *g, const struct qs_layer *l, struct qs_decision *d)
{
    const bool loadable = l->int_loadable || d->to_mul;
    if (g->plan->target == QS_TARGET_PADDLE && g->plan->method == QS_METHOD_WEIGHT_ONLY) {
        snprintf(d->reason, sizeof(d->reason), "%s",
                 _("Paddle Inference does not run integer weights"));
        return QS_ACTION_SIMULATE;
    }
    if (loadable && (d->axis >= 0 || takes_one_scale(g, l)))
        return QS_ACTION_INTEGER;
    snprintf(d->reason, sizeof(d->reason), "%s",
             loadable ? _("Paddle-Lite takes no single scale for fc and lookup_table")
                      : _("Paddle-Lite reads integer weights of conv2d, depthwise_conv2d, mul, "
                          "fc and lookup_table only"));
    return QS_ACTION_SIMULATE;
}

static int
varint_size(int64_t v)
{
    int n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

int64_t
qs_message_bytes(int64_t body)
{
    return 1 + varint_size(body) + body;
}

int64_t
qs_attr_bytes(int64_t name, int64_t value)
{
    return qs_message_bytes(1 + varint_size(name) + name + 2 + value);
}

/* Bytes of the four attributes on each operator that reads the weight. */
static int64_t
scale_bytes(const struct qs_deciding *g, const struct qs_layer *l, const struct qs_decision *d)
{
    const int64_t type_text = d->axis < 0 ? 19 : 32; /* post_weight_..._abs_max */
    const int64_t name = (int64_t)strlen(g->m->var[l->var].name) + 12;
    const int64_t one = qs_attr_bytes(17, 2 + type_text) + qs_attr_bytes(20, 2) +
                        qs_attr_bytes(name, 5 * d->n_scales) + qs_attr_bytes(15, 2);
    return l->n_users * one;
}

static void
decide_one(const struct qs_deciding *g, const struct qs_layer *l, int rule_bits,
           struct qs_decision *d)
{
    const struct qs_tensor *t = g->m->var[l->var].data;
    *d = (struct qs_decision){.axis = -1, .algo = -1};
    d->bytes_before = d->bytes_after = t ? (int64_t)t->bytes : 0;
    if (!l->quantizable) {
        qs_decide_keep(d, "%s", l->reason);
        return;
    }
    if (g->plan->method == QS_METHOD_STATIC) {
        qs_decide_static(g, l, rule_bits, d);
        return;
    }
    d->to_mul = wants_mul(g, l);
    if (!qs_is_chosen(g, l, d->to_mul)) {
        qs_decide_keep(d,
                       would_be_mul(g, l)
                           ? _("operator type %s is not chosen; --target lite-arm or lite-x86 "
                               "rewrites it to mul")
                           : _("operator type %s is not chosen"),
                       qs_user_node(g, l->var, 0)->type);
        return;
    }
    d->bits = rule_bits ? rule_bits : g->plan->weight_bits;
    d->axis = g->plan->weight_type == QS_ABS_MAX ? -1 : d->to_mul ? 1 : l->axis;
    d->action = form_of(g, l, d);
    if (d->action != QS_ACTION_INTEGER && g->plan->method == QS_METHOD_DYNAMIC) {
        char why[sizeof(d->reason)];
        memcpy(why, d->reason, sizeof(why));
        qs_decide_keep(d, "%s", why);
        return;
    }
    d->n_scales = d->axis < 0 ? 1 : t->dims[d->axis];
    if (d->action == QS_ACTION_INTEGER) {
        d->bytes_after = t->n * (d->bits <= 8 ? 1 : 2);
        d->scale_bytes = scale_bytes(g, l, d);
    }
}

/* Rules */

static enum qs_err
parse_rules(struct qs_ctx *cx, const struct qs_plan *plan, struct qs_rules *rs)
{
    rs->rule = qs_xcalloc((size_t)plan->layer.n, sizeof(*rs->rule));
    for (rs->n = 0; rs->n < plan->layer.n; rs->n++) {
        const enum qs_err err = qs_rule_parse(cx, plan->layer.v[rs->n], &rs->rule[rs->n]);
        if (err)
            return err;
    }
    return QS_OK;
}

static void
release_rules(struct qs_rules *rs)
{
    for (int i = 0; i < rs->n; i++)
        qs_rule_release(&rs->rule[i]);
    free(rs->rule);
}

struct qs_ruling
qs_match_rules(const struct qs_rules *rs, const char *name, int *matches)
{
    struct qs_ruling r = {-1, -1};
    for (int i = 0; i < rs->n; i++) {
        if (!qs_pattern_match(rs->rule[i].pattern, name))
            continue;
        matches[i]++;
        *(qs_rule_is_range(&rs->rule[i]) ? &r.range : &r.rule) = i;
    }
    return r;
}

static void
add_totals(struct qs_decisions *all, const struct qs_decision *d)
{
    all->params_after += d->bytes_after - d->bytes_before + d->param_bytes;
    all->program_added += d->scale_bytes;
    all->n_integer += d->action == QS_ACTION_INTEGER;
    all->n_simulated += d->action == QS_ACTION_SIMULATE;
}

static void
decide_layer(const struct qs_deciding *g, const struct qs_layer *l, const struct qs_rules *rs,
             int *matches, struct qs_decision *d)
{
    const char *weight = g->m->var[l->var].name;
    const struct qs_ruling r =
        l->quantizable ? qs_match_rules(rs, weight, matches) : (struct qs_ruling){-1, -1};
    decide_one(g, l, r.rule >= 0 ? rs->rule[r.rule].bits : 0, d);
    if (d->algo >= 0 && r.range >= 0) {
        d->algo = rs->rule[r.range].algo;
        d->threshold = rs->rule[r.range].threshold;
    }
    if (r.rule < 0 || !rs->rule[r.rule].skip)
        return;
    qs_decide_keep(d, _("rule '%s'"), g->plan->layer.v[r.rule]);
    d->action = QS_ACTION_SKIP;
    d->bytes_after = d->bytes_before;
    d->scale_bytes = d->param_bytes = 0;
}

static enum qs_err
decide_all(struct qs_ctx *cx, const struct qs_deciding *g, const struct qs_layers *l,
           const struct qs_rules *rs, struct qs_decisions *all)
{
    for (int i = 0; i < l->n; i++) {
        decide_layer(g, &l->layer[i], rs, all->rule_matches, &all->layer[i]);
        add_totals(all, &all->layer[i]);
    }
    if (g->plan->method == QS_METHOD_STATIC)
        qs_decide_nodes(g, l, rs, all);
    for (int i = 0; i < rs->n; i++)
        if (all->rule_matches[i] == 0)
            return qs_fail(cx, QS_ERR_USAGE, _("rule '%s' matches no quantizable weight"),
                           g->plan->layer.v[i]);
    return QS_OK;
}

const char *
qs_plan_op_types(const struct qs_plan *plan)
{
    if (plan->op_types)
        return plan->op_types;
    if (plan->method == QS_METHOD_STATIC)
        return default_static;
    return plan->method == QS_METHOD_DYNAMIC ? default_dynamic : NULL;
}

/* Activations are rounded once, and what Paddle-Lite wrote is for itself alone. */
static enum qs_err
check_float(struct qs_ctx *cx, const struct qs_model *m, const struct qs_plan *plan)
{
    struct qs_quant_info info;
    if (m->format && strcmp(m->format, "nb") == 0)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("Paddle-Lite optimized this model for its target: it can be looked at, "
                         "not quantized"));
    if (plan->method != QS_METHOD_STATIC)
        return QS_OK;
    qs_quant_info_of(m, &info);
    if (info.kind == QS_QUANT_NONE)
        return QS_OK;
    return qs_fail(cx, QS_ERR_USAGE,
                   _("the model is already quantized (%s): qslim export --to fp32 makes a float "
                     "model of it"),
                   qs_quant_kind_name(info.kind));
}

enum qs_err
qs_decide(struct qs_ctx *cx, const struct qs_model *m, const struct qs_edges *e,
          const struct qs_layers *l, const struct qs_plan *plan, struct qs_decisions **out)
{
    const struct qs_deciding g = {
        .m = m,
        .e = e,
        .plan = plan,
        .op_types = qs_plan_op_types(plan),
        .lite = plan->target == QS_TARGET_LITE_ARM || plan->target == QS_TARGET_LITE_X86,
    };
    enum qs_err err = qs_plan_check(cx, plan);
    if (!err)
        err = check_float(cx, m, plan);
    if (err)
        return err;
    struct qs_rules rs = {0};
    struct qs_decisions *all = qs_xcalloc(1, sizeof(*all));
    all->n = l->n;
    all->layer = qs_xcalloc((size_t)l->n, sizeof(*all->layer));
    all->rule_matches = qs_xcalloc((size_t)plan->layer.n, sizeof(*all->rule_matches));
    all->params_before = all->params_after = m->params_bytes;
    err = parse_rules(cx, plan, &rs);
    if (!err)
        err = decide_all(cx, &g, l, &rs, all);
    release_rules(&rs);
    if (err)
        qs_decisions_free(all);
    else
        *out = all;
    return err;
}

void
qs_decisions_free(struct qs_decisions *d)
{
    if (!d)
        return;
    free(d->layer);
    free(d->rule_matches);
    free(d->node);
    free(d);
}
