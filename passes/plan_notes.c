/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/plan_notes.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "model/op.h"
#include "model/quant_ops.h"
#include "model/quant_static.h"

enum { VARS_MOST = 64 };

bool
qs_plan_observes(const struct qs_plan *plan)
{
    return plan->observers || plan->compat == QS_COMPAT_PADDLE;
}

/* The activations that a node of the table makes. */
static int
outputs_of(const struct qs_model *m, const struct qs_node *node, int32_t *var)
{
    const struct qs_quant_op *op = qs_quant_op_find(node->type);
    const int n = op ? qs_quant_op_outputs(op, node, var, VARS_MOST) : 0;
    int kept = 0;
    for (int i = 0; i < n && i < VARS_MOST; i++)
        if (qs_is_activation(m, var[i]))
            var[kept++] = var[i];
    return kept;
}

void
qs_plan_rounds(const struct qs_model *m, const struct qs_decisions *d, bool *want)
{
    int32_t var[VARS_MOST];
    for (int i = 0; i < d->n_node; i++) {
        const int n = qs_rounded_inputs(m, &m->block[0].node[d->node[i]], var, VARS_MOST);
        for (int k = 0; k < n && k < VARS_MOST; k++)
            want[var[k]] = true;
    }
}

void
qs_plan_wants(const struct qs_model *m, const struct qs_plan *plan, const struct qs_decisions *d,
              bool *want)
{
    const struct qs_block *b = &m->block[0];
    int32_t var[VARS_MOST];
    qs_plan_rounds(m, d, want);
    for (int i = 0; i < b->n_node && qs_plan_observes(plan); i++) {
        const int n = outputs_of(m, &b->node[i], var);
        for (int k = 0; k < n; k++)
            want[var[k]] = true;
    }
}

/* Weights */

struct work {
    struct qs_pass_state *st;
    struct qs_static_notes *out;
    int *layer; /* [out->n_weight] */
    atomic_int n_done;
    struct qs_ctx *cx; /* for progress; its sink is called by one thread at a time */
    pthread_mutex_t lock;
};

static void
find_thresholds(const struct qs_tensor *t, struct qs_quant_weight *w)
{
    const struct qs_channels ch = qs_channels_of(t, w->axis);
    float *absmax = qs_xcalloc((size_t)ch.n_channels, sizeof(*absmax));
    qs_channel_absmax(t, ch, absmax);
    w->n_scales = ch.n_channels;
    w->threshold = qs_xcalloc((size_t)ch.n_channels, sizeof(*w->threshold));
    for (int64_t c = 0; c < ch.n_channels; c++)
        w->threshold[c] = absmax[c];
    free(absmax);
}

static const struct qs_quant_weight *
fitted_of(const struct qs_pass_state *st, int32_t var)
{
    for (int i = 0; i < st->n_fitted; i++)
        if (st->fitted[i].var == var && st->fitted[i].q)
            return &st->fitted[i];
    return NULL;
}

static void
take_fitted(const struct qs_quant_weight *from, struct qs_quant_weight *w)
{
    const size_t bytes = (size_t)from->n_scales * sizeof(*w->threshold);
    w->n_scales = from->n_scales;
    w->threshold = qs_xmalloc(bytes);
    memcpy(w->threshold, from->threshold, bytes);
    w->q = qs_buf_ref(from->q);
}

static enum qs_err
round_to_nearest(struct qs_ctx *cx, const struct qs_pass_state *st, struct qs_quant_weight *w)
{
    const struct qs_tensor *t = st->model->var[w->var].data;
    const bool qdq = qs_plan_format(st->plan) == QS_FORMAT_QDQ;
    find_thresholds(t, w);
    const enum qs_err err = qs_static_quantize(cx, t, w->axis, w->bits, w->threshold,
                                               qdq ? QS_STATIC_QDQ : QS_STATIC_FAKE, &w->q);
    return err ? qs_prefix(cx, _("cannot quantize weight '%s'"), st->model->var[w->var].name)
               : QS_OK;
}

static enum qs_err
quantize_one(struct qs_ctx *cx, void *arg, int64_t i)
{
    struct work *work = arg;
    struct qs_quant_weight *w = &work->out->weight[i];
    const struct qs_tensor *t = work->st->model->var[w->var].data;
    struct qs_outcome *outcome = &work->st->outcome[work->layer[i]];
    const struct qs_quant_weight *fitted = fitted_of(work->st, w->var);
    enum qs_err err = QS_OK;
    if (fitted)
        take_fitted(fitted, w);
    else
        err = round_to_nearest(cx, work->st, w);
    if (err)
        return err;
    outcome->sqnr_db = qs_static_sqnr_db(t, w->axis, w->bits, w->threshold, w->q);
    outcome->n_scales = w->n_scales;
    pthread_mutex_lock(&work->lock);
    qs_progress(work->cx, _("quantize"), atomic_fetch_add(&work->n_done, 1) + 1,
                work->out->n_weight);
    pthread_mutex_unlock(&work->lock);
    return QS_OK;
}

static enum qs_err
quantize_weights(struct qs_ctx *cx, struct qs_pass_state *st, struct qs_static_notes *out)
{
    struct work w = {.st = st, .out = out, .cx = cx};
    pthread_mutex_init(&w.lock, NULL);
    w.layer = qs_xcalloc((size_t)st->layers->n, sizeof(*w.layer));
    out->weight = qs_xcalloc((size_t)st->layers->n, sizeof(*out->weight));
    for (int i = 0; i < st->layers->n; i++) {
        const struct qs_decision *d = &st->decisions->layer[i];
        st->outcome[i] = (struct qs_outcome){.sqnr_db = NAN};
        if (d->action != QS_ACTION_INTEGER)
            continue;
        w.layer[out->n_weight] = i;
        out->weight[out->n_weight++] = (struct qs_quant_weight){
            .var = st->layers->layer[i].var, .bits = d->bits, .axis = d->axis};
    }
    const enum qs_err err = qs_parallel_for(cx, out->n_weight, quantize_one, &w);
    free(w.layer);
    pthread_mutex_destroy(&w.lock);
    return err;
}

/* Activations and nodes */

struct noting {
    struct qs_ctx *cx;
    const struct qs_pass_state *st;
    struct qs_static_notes *out;
    int *act_of; /* [n_var] -1: no entry yet */
};

static enum qs_err
note_act(struct noting *g, int32_t var, bool observed, int *index)
{
    const double t = g->st->threshold[var];
    *index = g->act_of[var];
    if (*index >= 0)
        return QS_OK;
    if (!isfinite(t) && observed)
        return QS_OK;
    if (!isfinite(t))
        return qs_fail(g->cx, QS_ERR_FORMAT,
                       _("activation '%s' has no range: calibration never saw it"),
                       g->st->model->var[var].name);
    *index = g->act_of[var] = g->out->n_act;
    g->out->act[g->out->n_act++] =
        (struct qs_quant_act){.var = var,
                              .bits = g->st->plan->activation_bits,
                              .threshold = t > 0 ? t : 0,
                              .half_away = qs_plan_format(g->st->plan) == QS_FORMAT_FAKEQUANT,
                              .observed = observed};
    return QS_OK;
}

static enum qs_err
note_node(struct noting *g, int32_t i)
{
    const struct qs_node *node = &g->st->model->block[0].node[i];
    const int32_t weight =
        node->op && node->op->weight_slot ? qs_node_input(node, node->op->weight_slot, 0) : -1;
    struct qs_quant_node *q = &g->out->node[g->out->n_node++];
    int32_t var[VARS_MOST];
    const int n = qs_rounded_inputs(g->st->model, node, var, VARS_MOST);
    enum qs_err err = QS_OK;
    *q = (struct qs_quant_node){.node = i, .act = -1, .act2 = -1};
    q->weight = weight < 0 ? -1 : qs_static_find_weight(g->out, weight);
    q->all = qs_xcalloc(VARS_MOST, sizeof(*q->all));
    for (; q->n_all < n && q->n_all < VARS_MOST && !err; q->n_all++)
        err = note_act(g, var[q->n_all], false, &q->all[q->n_all]);
    q->act = n > 0 ? q->all[0] : -1;
    q->act2 = n > 1 ? q->all[1] : -1;
    return err;
}

static enum qs_err
note_observed(struct noting *g)
{
    const struct qs_model *m = g->st->model;
    enum qs_err err = QS_OK;
    for (int i = 0; i < m->block[0].n_node && !err && qs_plan_observes(g->st->plan); i++) {
        int32_t var[VARS_MOST];
        int index;
        const int n = outputs_of(m, &m->block[0].node[i], var);
        for (int k = 0; k < n && !err; k++)
            err = note_act(g, var[k], true, &index);
    }
    return err;
}

enum qs_err
qs_plan_notes(struct qs_ctx *cx, struct qs_pass_state *st, struct qs_static_notes *out)
{
    const struct qs_decisions *d = st->decisions;
    const int n_var = st->model->n_var;
    struct noting g = {.cx = cx, .st = st, .out = out};
    *out = (struct qs_static_notes){0};
    enum qs_err err = quantize_weights(cx, st, out);
    g.act_of = qs_xmalloc(((size_t)n_var + 1) * sizeof(*g.act_of));
    for (int v = 0; v < n_var; v++)
        g.act_of[v] = -1;
    out->act = qs_xcalloc((size_t)n_var + 1, sizeof(*out->act));
    out->node = qs_xcalloc((size_t)d->n_node + 1, sizeof(*out->node));
    for (int i = 0; i < d->n_node && !err; i++)
        err = note_node(&g, d->node[i]);
    if (!err)
        err = note_observed(&g);
    free(g.act_of);
    return err;
}
