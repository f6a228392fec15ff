/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounds the weights that were decided on. Integers get the four attributes that Paddle-Lite
 * looks for (ptq of Paddle: WeightQuantization); a weight that several operators read is rounded
 * once and every one of them gets the same scales. The declared type stays float32: Paddle-Lite's
 * opt aborts on a truthful one.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "model/quant.h"
#include "passes/pass.h"

struct work {
    struct qs_pass_state *st;
    int *order; /* layers to round, largest first */
    int n;
    struct qs_quantized *q;    /* [n] */
    struct qs_buf **simulated; /* [n] rounded FP32, where wanted */
    atomic_int n_done;
    struct qs_ctx *cx; /* for progress; its sink is called by one thread at a time */
    pthread_mutex_t lock;
};

static enum qs_err
round_one(struct qs_ctx *cx, void *arg, int64_t i)
{
    struct work *w = arg;
    const struct qs_layer *l = &w->st->layers->layer[w->order[i]];
    const struct qs_decision *d = &w->st->decisions->layer[w->order[i]];
    const struct qs_tensor *t = w->st->model->var[l->var].data;
    const double rate = d->axis < 0 ? w->st->plan->threshold_rate : 0;
    const bool want_float = d->action == QS_ACTION_SIMULATE || w->st->test;
    enum qs_err err = qs_quantize(cx, t, d->axis, d->bits, rate, &w->q[i]);
    if (!err && want_float)
        err = qs_dequantize(cx, t, d->axis, &w->q[i], &w->simulated[i]);
    qs_buf_advise(t->buf, t->offset, t->bytes, 0);
    if (err)
        return qs_prefix(cx, _("cannot quantize weight '%s'"), w->st->model->var[l->var].name);
    pthread_mutex_lock(&w->lock);
    qs_progress(w->cx, _("quantize"), atomic_fetch_add(&w->n_done, 1) + 1, w->n);
    pthread_mutex_unlock(&w->lock);
    return QS_OK;
}

static void
mark_node(struct qs_model *m, struct qs_node *node, const char *weight, int bits, int axis,
          const struct qs_quantized *q)
{
    char *name = qs_xasprintf("%s_quant_scale", weight);
    qs_node_set_str(m, node, "quantization_type",
                    axis < 0 ? "post_weight_abs_max" : "post_weight_channel_wise_abs_max");
    qs_node_set_int(m, node, "quantize_weight_bits", bits <= 8 ? 8 : 16);
    qs_node_set_floats(m, node, name, q->scale, q->n_scales);
    qs_node_set_bool(m, node, "with_quant_attr", true);
    free(name);
}

static void
put_float(struct qs_model *m, int32_t var, struct qs_buf *b)
{
    const struct qs_tensor *t = m->var[var].data;
    qs_model_set_data(m, var, QS_DTYPE_float32, t->n_dims, t->dims, qs_buf_ref(b), 0);
}

static void
put_integers(struct work *w, int i)
{
    struct qs_model *m = w->st->model;
    const struct qs_layer *l = &w->st->layers->layer[w->order[i]];
    const struct qs_decision *d = &w->st->decisions->layer[w->order[i]];
    const struct qs_tensor *t = m->var[l->var].data;
    for (int k = 0; k < w->st->edges->n_reader[l->var]; k++) {
        const struct qs_ref r = w->st->edges->reader[l->var][k];
        mark_node(m, &m->block[r.block].node[r.node], m->var[l->var].name, d->bits, d->axis,
                  &w->q[i]);
    }
    qs_model_set_data(m, l->var, w->q[i].dtype, t->n_dims, t->dims, qs_buf_ref(w->q[i].q), 0);
}

static void
put_results(struct work *w)
{
    for (int i = 0; i < w->n; i++) {
        const int32_t var = w->st->layers->layer[w->order[i]].var;
        struct qs_outcome *out = &w->st->outcome[w->order[i]];
        out->sqnr_db = w->q[i].sqnr_db;
        out->n_scales = w->q[i].n_scales;
        if (w->st->decisions->layer[w->order[i]].action == QS_ACTION_INTEGER)
            put_integers(w, i);
        else
            put_float(w->st->model, var, w->simulated[i]);
        if (w->st->test)
            put_float(w->st->test, var, w->simulated[i]);
    }
}

static int
compare_size(const void *a, const void *b, void *arg)
{
    const struct qs_pass_state *st = arg;
    const int i = *(const int *)a, k = *(const int *)b;
    const int64_t x = st->model->var[st->layers->layer[i].var].data->n;
    const int64_t y = st->model->var[st->layers->layer[k].var].data->n;
    return x != y ? (x < y ? 1 : -1) : (i > k) - (i < k);
}

static void
choose(struct work *w)
{
    struct qs_pass_state *st = w->st;
    for (int i = 0; i < st->layers->n; i++) {
        st->outcome[i] = (struct qs_outcome){.sqnr_db = NAN};
        const enum qs_action a = st->decisions->layer[i].action;
        if (a == QS_ACTION_INTEGER || a == QS_ACTION_SIMULATE)
            w->order[w->n++] = i;
    }
    qsort_r(w->order, (size_t)w->n, sizeof(*w->order), compare_size, st);
}

static enum qs_err
run(struct qs_ctx *cx, struct qs_pass_state *st)
{
    const size_t most = (size_t)st->layers->n;
    struct work w = {.st = st, .cx = cx};
    pthread_mutex_init(&w.lock, NULL);
    w.order = qs_xmalloc(most * sizeof(*w.order));
    w.q = qs_xcalloc(most, sizeof(*w.q));
    w.simulated = qs_xcalloc(most, sizeof(*w.simulated));
    choose(&w);
    const enum qs_err err = qs_parallel_for(cx, w.n, round_one, &w);
    if (!err)
        put_results(&w);
    for (int i = 0; i < w.n; i++) {
        qs_quantized_release(&w.q[i]);
        qs_buf_unref(w.simulated[i]);
    }
    free(w.simulated);
    free(w.q);
    free(w.order);
    pthread_mutex_destroy(&w.lock);
    return err;
}

const struct qs_pass qs_pass_quant_weights = {
    .name = "quant_weights",
    .summary = N_("round the chosen weights to integers, or to FP32 values on an integer grid"),
    .run = run,
};
