/* SPDX-License-Identifier: Apache-2.0 */
/* What rounding needs: rounded weights, and thresholds of the activations that layers read. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/runner.h"
#include "app/sense.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "model/quant.h"

/* ---- weights ---- */

static int
axis_of(const struct scan *s, const struct sense_layer *l)
{
    return s->choices.weight_type == QS_ABS_MAX ? -1 : l->layer->axis;
}

static enum qs_err
round_one(struct qs_ctx *cx, const struct scan *s, struct sense_layer *l, int b)
{
    const struct qs_tensor *t = s->o->model->var[l->layer->var].data;
    const int axis = axis_of(s, l);
    struct qs_quantized q = {0};
    enum qs_err err = qs_quantize(cx, t, axis, s->bits[b], 0, &q);
    if (!err)
        err = qs_dequantize(cx, t, axis, &q, &l->rounded[b]);
    l->weight_db[b] = q.sqnr_db;
    qs_quantized_release(&q);
    return err;
}

static enum qs_err
round_layer(struct qs_ctx *cx, void *arg, int64_t i)
{
    struct scan *s = arg;
    struct sense_layer *l = &s->layer[i];
    enum qs_err err = QS_OK;
    for (int b = 0; b < s->n_bits && !err; b++)
        err = round_one(cx, s, l, b);
    return err ? qs_prefix(cx, _("weight '%s'"), s->o->model->var[l->layer->var].name) : QS_OK;
}

enum qs_err
qs_sense_round_weights(struct qs_ctx *cx, struct scan *s)
{
    for (int i = 0; i < s->n_layer; i++) {
        s->layer[i].rounded = qs_xcalloc((size_t)s->n_bits, sizeof(*s->layer[i].rounded));
        s->layer[i].weight_db = qs_xcalloc((size_t)s->n_bits, sizeof(*s->layer[i].weight_db));
    }
    return qs_parallel_for(cx, s->n_layer, round_layer, s);
}

int64_t
qs_sense_bytes(const struct scan *s, const struct sense_layer *l, const struct sense_variant *v)
{
    const struct qs_tensor *t = s->o->model->var[l->layer->var].data;
    const int64_t scales = axis_of(s, l) < 0 ? 1 : l->layer->n_channels;
    return v->mode == QS_SENSE_ACTIVATIONS
               ? (int64_t)t->bytes
               : t->n * (v->bits > 8 ? 2 : 1) + scales * (int64_t)sizeof(float);
}

/* ---- thresholds ---- */

/* What was seen of each variable. */
struct seen {
    const struct scan *s;
    bool *keep; /* [n_var] */
    double *sum, *most;
    int64_t *n;
};

static enum qs_err
look_at(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    struct seen *seen = arg;
    float most = 0;
    (void)cx;
    (void)node;
    if (!seen->keep[var] || v->dtype != QS_DTYPE_float32)
        return QS_OK;
    for (int64_t i = 0; i < v->count; i++) {
        const float a = fabsf(v->f32[i]);
        most = a > most || isnan(a) ? a : most;
    }
    if (!isfinite(most))
        return QS_OK;
    seen->sum[var] += (double)most;
    seen->most[var] = fmax(seen->most[var], (double)most);
    seen->n[var]++;
    return QS_OK;
}

static enum qs_err
look_at_all(struct qs_ctx *cx, struct scan *s, struct seen *seen)
{
    const struct qs_runner_options how = {.engine.keep = seen->keep, .batch = 1};
    const struct qs_watch watch = {look_at, seen};
    struct qs_runner *r = NULL;
    struct qs_sample *sample = NULL;
    enum qs_err err = qs_runner_new(cx, s->o, &how, &r);
    while (!err && !(err = qs_sense_next(cx, s, &sample)) && sample) {
        err = qs_runner_run(cx, r, &sample, 1, &watch);
        if (err)
            (void)qs_prefix(cx, _("cannot run on sample '%s'"), s->data->name[sample->i]);
        qs_progress(cx, _("calibrate"), sample->i + 1, s->data->n);
        qs_sample_free(sample);
    }
    qs_runner_free(r);
    qs_dataset_rewind(s->data);
    s->told = s->told || !err;
    return err;
}

static enum qs_err
set_thresholds(struct qs_ctx *cx, struct scan *s, const struct seen *seen)
{
    for (int i = 0; i < s->n_node; i++) {
        const int32_t var = s->node[i].input;
        if (seen->n[var] == 0)
            return qs_fail(cx, QS_ERR_UNSUPPORTED,
                           _("no sample reaches layer '%s' with finite numbers"),
                           s->o->model->var[s->layer[s->node[i].layer].layer->var].name);
        const double t = s->choices.algo == QS_ALGO_avg ? seen->sum[var] / (double)seen->n[var]
                                                        : seen->most[var];
        for (int b = 0; b < s->n_bits; b++)
            s->node[i].threshold[b] = t > 1e-8 ? (float)t : 1e-8f;
    }
    return QS_OK;
}

enum qs_err
qs_sense_calibrate(struct qs_ctx *cx, struct scan *s)
{
    const size_t n = (size_t)s->o->model->n_var + 1;
    struct seen seen = {.s = s,
                        .keep = qs_xcalloc(n, sizeof(bool)),
                        .sum = qs_xcalloc(n, sizeof(double)),
                        .most = qs_xcalloc(n, sizeof(double)),
                        .n = qs_xcalloc(n, sizeof(int64_t))};
    for (int i = 0; i < s->n_node; i++)
        seen.keep[s->node[i].input] = true;
    enum qs_err err = look_at_all(cx, s, &seen);
    if (!err)
        err = set_thresholds(cx, s, &seen);
    free(seen.keep);
    free(seen.sum);
    free(seen.most);
    free(seen.n);
    return err;
}
