/* SPDX-License-Identifier: Apache-2.0 */
/* What rounding needs: rounded weights, and thresholds of the activations that layers read. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static void
keep_integers(struct sense_layer *l, int axis, int bits, const struct qs_quantized *q,
              struct qs_quant_weight *out)
{
    *out = (struct qs_quant_weight){
        .var = l->layer->var, .bits = bits, .axis = axis, .n_scales = q->n_scales};
    out->threshold = qs_xcalloc((size_t)q->n_scales, sizeof(*out->threshold));
    for (int i = 0; i < q->n_scales; i++)
        out->threshold[i] = q->exact[i] * (double)((1 << (bits - 1)) - 1);
    out->q = qs_buf_ref(q->q);
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
    if (!err && l->integers)
        keep_integers(l, axis, s->bits[b], &q, &l->integers[b]);
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
        if (s->choices.precision == QS_PRECISION_INT8)
            s->layer[i].integers = qs_xcalloc((size_t)s->n_bits, sizeof(*s->layer[i].integers));
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

/* Calibrators that look for the least error look at the grid of a width. */
static bool
depends_on_bits(int algo)
{
    return algo == QS_ALGO_kl || algo == QS_ALGO_mse || algo == QS_ALGO_emd ||
           algo == QS_ALGO_ptf || algo == QS_ALGO_auto;
}

static enum qs_err
set_threshold(struct qs_ctx *cx, const struct scan *s, struct sense_node *node,
              const struct qs_observed *seen, int b)
{
    const int algo = s->choices.algo == QS_ALGO_auto && seen ? seen->best : s->choices.algo;
    const double t = seen && seen->n_values ? seen->threshold[algo] : NAN;
    if (isnan(t))
        return qs_fail(cx, QS_ERR_UNSUPPORTED,
                       _("no sample reaches layer '%s' with finite numbers"),
                       s->o->model->var[s->layer[node->layer].layer->var].name);
    node->threshold[b] = t > 1e-8 ? (float)t : 1e-8F;
    return QS_OK;
}

/* One pass over the data; sets the thresholds for widths from .. to - 1. */
static enum qs_err
calibrate(struct qs_ctx *cx, struct scan *s, const bool *want, int from, int to)
{
    const struct qs_calibrate_options how = {
        .data = s->choices.data,
        .samples = s->choices.samples,
        .max_pixels = s->opt->max_pixels,
        .exact = s->exact,
        .calib = {.bits = s->bits[from], .hist_percent = 0.9999},
        .want = want,
    };
    struct qs_calibrated seen;
    enum qs_err err = qs_app_calibrate(cx, s->o, &how, &seen);
    if (err)
        return err;
    for (int i = 0; i < s->n_node && !err; i++)
        for (int b = from; b < to && !err; b++)
            err = set_threshold(cx, s, &s->node[i], qs_calibrated_of(&seen, s->node[i].input), b);
    qs_calibrated_release(&seen);
    return err;
}

enum qs_err
qs_sense_calibrate(struct qs_ctx *cx, struct scan *s)
{
    bool *want = qs_xcalloc((size_t)s->o->model->n_var + 1, sizeof(*want));
    const int step = depends_on_bits(s->choices.algo) ? 1 : s->n_bits;
    enum qs_err err = QS_OK;
    for (int i = 0; i < s->n_node; i++)
        want[s->node[i].input] = true;
    for (int b = 0; b < s->n_bits && !err; b += step)
        err = calibrate(cx, s, want, b, b + step);
    free(want);
    return err;
}
