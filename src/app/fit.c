/* SPDX-License-Identifier: Apache-2.0 */
#include "app/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/runner.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "data/dataset.h"
#include "fit/rounding.h"
#include "kernels/conv.h"
#include "model/quant.h"
#include "passes/float_passes.h"

enum { ITERATIONS = 200 }; /* of adaptive rounding */

/* A layer that is fitted. */
struct part {
    const struct qs_layer *layer;
    const struct qs_decision *decision;
    int32_t node, input;
    struct qs_moments *rounded; /* of the input as the layer will read it */
    struct qs_moments *raw;     /* as it was; NULL: biases are not corrected */
    struct qs_quant_weight *out;
};

struct fit {
    const struct qs_opened *o;
    const struct qs_plan *plan;
    const double *threshold;
    struct qs_model *m;
    struct part *part;
    int n_part, from, to; /* from .. to - 1: in this pass over the data */
    struct qs_dataset *data;
    struct qs_runner *runner;
    bool *keep;  /* [n_var] */
    float *room; /* of a rounded input */
    int64_t room_floats;
    int n_better, n_corrected;
    double before, after; /* sums of squared errors over the fitted layers, relative to nearest */
};

bool
qs_fit_wanted(const struct qs_plan *plan)
{
    return plan->method == QS_METHOD_STATIC &&
           (qs_plan_round(plan) != QS_ROUND_NEAREST || plan->weight_clip != QS_CLIP_NONE ||
            plan->bias_correction);
}

/* ---- layers ---- */

/* A weight that one operator of the main block reads, quantized along its outputs. */
static void
add_part(struct qs_ctx *cx, struct fit *f, const struct qs_layer *l, const struct qs_decision *d)
{
    struct part p = {.layer = l, .decision = d, .node = l->user.node};
    const struct qs_node *node = l->user.block == 0 ? &f->o->model->block[0].node[p.node] : NULL;
    if (!node || l->n_users != 1 || d->action != QS_ACTION_INTEGER ||
        qs_moments_new(cx, f->o->model, node, qs_plan_round(f->plan) != QS_ROUND_NEAREST,
                       &p.rounded)) {
        qs_clear(cx); /* rounded to nearest like all others */
        return;
    }
    const bool fits =
        qs_moments_weight_var(node) == l->var && (d->axis < 0 || p.rounded->rows == l->n_channels);
    if (!fits ||
        (f->plan->bias_correction && qs_moments_new(cx, f->o->model, node, false, &p.raw))) {
        qs_clear(cx);
        qs_moments_free(p.rounded);
        return;
    }
    p.input = qs_moments_input(node);
    f->part[f->n_part++] = p;
}

static void
free_moments(struct part *p)
{
    qs_moments_free(p->rounded);
    qs_moments_free(p->raw);
    p->rounded = p->raw = NULL;
}

/* ---- the data ---- */

/* x as the layer will read it. */
static enum qs_err
round_input(struct qs_ctx *cx, struct fit *f, int32_t var, const struct qs_value *x,
            struct qs_value *out)
{
    const double t = f->threshold[var];
    *out = *x;
    if (!(t > 0) || x->dtype != QS_DTYPE_float32)
        return QS_OK;
    if (x->count > f->room_floats) {
        free(f->room);
        f->room = malloc((size_t)x->count * sizeof(*f->room));
        f->room_floats = f->room ? x->count : 0;
    }
    if (!f->room)
        return qs_fail(cx, QS_ERR_MEMORY, "%s", _("out of memory"));
    const struct qk_round r = qk_round_of((float)t, f->plan->activation_bits);
    qk_conv()->round(&r, x->count, x->f32, f->room);
    out->f32 = f->room;
    return QS_OK;
}

/* qs_watch.made */
static enum qs_err
gather(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    struct fit *f = arg;
    struct qs_value rounded;
    enum qs_err err = QS_OK;
    bool ready = false;
    (void)node;
    for (int i = f->from; i < f->to && !err; i++) {
        const struct part *p = &f->part[i];
        if (p->input != var)
            continue;
        if (!ready)
            err = round_input(cx, f, var, v, &rounded);
        ready = true;
        if (!err)
            err = qs_moments_add(cx, p->rounded, &rounded);
        if (!err && p->raw)
            err = qs_moments_add(cx, p->raw, v);
    }
    return err;
}

static enum qs_err
run_data(struct qs_ctx *cx, struct fit *f)
{
    const struct qs_watch watch = {gather, f};
    struct qs_sample *s = NULL;
    enum qs_err err;
    qs_dataset_rewind(f->data);
    while (!(err = qs_dataset_next(cx, f->data, &s)) && s) {
        err = qs_runner_run(cx, f->runner, &s, 1, &watch);
        qs_progress(cx, _("gather moments"), s->i + 1, f->data->n);
        qs_sample_free(s);
        if (err)
            break;
    }
    return err;
}

/* ---- one layer ---- */

static double
absmax(const float *w, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)w[i]));
    return most;
}

static void
choose_thresholds(const struct fit *f, const struct part *p, const float *w)
{
    const int64_t rows = p->rounded->rows, k = p->rounded->k;
    struct qs_quant_weight *q = p->out;
    q->n_scales = q->axis < 0 ? 1 : rows;
    q->threshold = qs_xcalloc((size_t)q->n_scales, sizeof(*q->threshold));
    const int64_t n = rows * k / q->n_scales;
    for (int64_t i = 0; i < q->n_scales; i++)
        q->threshold[i] = f->plan->weight_clip == QS_CLIP_MSE
                              ? qs_least_error_threshold(w + i * n, n, q->bits)
                              : absmax(w + i * n, n);
}

static enum qs_err
store(struct qs_ctx *cx, const struct part *p, const int32_t *q)
{
    const struct qs_moments *mo = p->rounded;
    const struct qs_tensor *t = mo->m->var[p->layer->var].data;
    struct qs_quant_weight *out = p->out;
    const bool wide = out->bits > 8;
    const enum qs_err err = qs_buf_new(cx, (size_t)t->n * (wide ? 2 : 1), &out->q);
    for (int64_t i = 0; !err && i < t->n; i++) {
        const int64_t at = qs_moments_at(mo, t, i / mo->k, i % mo->k);
        if (wide)
            ((int16_t *)(void *)out->q->data)[at] = (int16_t)q[i];
        else
            ((int8_t *)out->q->data)[at] = (int8_t)q[i];
    }
    return err;
}

/* Takes off the mean of V x' - W x: x' is what the layer reads, V what it multiplies with. */
static enum qs_err
correct(struct qs_ctx *cx, struct fit *f, const struct part *p, const struct qs_rounding *r)
{
    const struct qs_moments *a = p->rounded, *b = p->raw;
    const int64_t per_group = a->rows / a->groups, k = a->k;
    double *shift = qs_xcalloc((size_t)a->rows, sizeof(*shift));
    bool done = false;
    for (int64_t row = 0; row < a->rows && a->n > 0; row++) {
        const double *x = a->sum + row / per_group * k, *y = b->sum + row / per_group * k;
        for (int64_t i = 0; i < k; i++)
            shift[row] +=
                (r->step[row] * r->q[row * k + i] * x[i] - (double)r->w[row * k + i] * y[i]) /
                (double)a->n;
    }
    const enum qs_err err = qs_correct_bias(cx, f->m, f->o->edges, p->node, shift, a->rows, &done);
    f->n_corrected += done;
    free(shift);
    return err;
}

static enum qs_err
fit_part(struct qs_ctx *cx, struct fit *f, const struct part *p)
{
    const struct qs_moments *mo = p->rounded;
    const int range = (int)qs_quant_range(p->out->bits);
    struct qs_rounding r = {.moments = mo,
                            .lo = -range,
                            .hi = range,
                            .iterations =
                                qs_plan_round(f->plan) == QS_ROUND_ADAPTIVE ? ITERATIONS : 0};
    float *w = NULL;
    enum qs_err err = qs_moments_weight(cx, mo, mo->m->var[p->layer->var].data, &w);
    if (err)
        return err;
    choose_thresholds(f, p, w);
    double *step = qs_xcalloc((size_t)mo->rows, sizeof(*step));
    for (int64_t i = 0; i < mo->rows; i++)
        step[i] = fmax(p->out->threshold[p->out->axis < 0 ? 0 : i], 1e-8) / range;
    r.w = w;
    r.step = step;
    r.q = qs_xcalloc((size_t)(mo->rows * mo->k), sizeof(*r.q));
    qs_round_nearest(&r);
    if (qs_plan_round(f->plan) != QS_ROUND_NEAREST && f->plan->bias_correction)
        qs_moments_center(p->rounded);
    if (qs_plan_round(f->plan) != QS_ROUND_NEAREST)
        err = qs_round_adaptive(cx, &r);
    if (!err && qs_plan_round(f->plan) != QS_ROUND_NEAREST && r.error_before > 0) {
        f->before += 1;
        f->after += r.error / r.error_before;
    }
    if (!err)
        err = store(cx, p, r.q);
    if (!err && f->plan->bias_correction)
        err = correct(cx, f, p, &r);
    free(r.q);
    free(step);
    free(w);
    return err;
}

/* ---- all ---- */

/* As many layers as fit, at least one. */
static void
next_group(struct fit *f)
{
    int64_t bytes = 0;
    f->from = f->to;
    memset(f->keep, 0, (size_t)f->o->model->n_var * sizeof(*f->keep));
    while (f->to < f->n_part) {
        bytes += qs_moments_bytes(f->part[f->to].rounded);
        if (f->to > f->from && bytes > QS_FIT_MEMORY)
            break;
        f->keep[f->part[f->to++].input] = true;
    }
}

static enum qs_err
fit_group(struct qs_ctx *cx, struct fit *f)
{
    const struct qs_runner_options opt = {.engine = {.keep = f->keep}, .batch = 1};
    enum qs_err err = qs_runner_new(cx, f->o, &opt, &f->runner);
    if (!err)
        err = run_data(cx, f);
    for (int i = f->from; i < f->to && !err; i++) {
        err = fit_part(cx, f, &f->part[i]);
        free_moments(&f->part[i]);
        qs_progress(cx, _("fit weights"), i + 1, f->n_part);
    }
    qs_runner_free(f->runner);
    f->runner = NULL;
    return err;
}

static void
say(struct qs_ctx *cx, const struct fit *f)
{
    if (f->before > 0)
        qs_note(cx,
                _("adaptive rounding: %d layers, squared error of their outputs %.0f %% of that "
                  "of rounding to nearest"),
                (int)f->before, 100 * f->after / f->before);
    if (f->plan->bias_correction)
        qs_note(cx, _("biases corrected behind %d of %d layers"), f->n_corrected, f->n_part);
}

static enum qs_err
fit_all(struct qs_ctx *cx, struct fit *f)
{
    const struct qs_dataset_options how = {.samples = f->plan->samples};
    enum qs_err err = qs_dataset_open(cx, f->plan->data, &how, &f->data);
    while (!err && f->to < f->n_part) {
        next_group(f);
        err = fit_group(cx, f);
    }
    qs_dataset_close(f->data);
    if (!err)
        say(cx, f);
    return err;
}

enum qs_err
qs_fit_weights(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_plan *plan,
               const struct qs_decisions *d, const double *threshold, struct qs_model *m,
               struct qs_quant_weight **weight, int *n)
{
    struct fit f = {.o = o, .plan = plan, .threshold = threshold, .m = m};
    f.part = qs_xcalloc((size_t)o->layers->n + 1, sizeof(*f.part));
    f.keep = qs_xcalloc((size_t)o->model->n_var + 1, sizeof(*f.keep));
    for (int i = 0; i < o->layers->n; i++)
        add_part(cx, &f, &o->layers->layer[i], &d->layer[i]);
    *weight = qs_xcalloc((size_t)f.n_part + 1, sizeof(**weight));
    *n = f.n_part;
    for (int i = 0; i < f.n_part; i++) {
        f.part[i].out = &(*weight)[i];
        *f.part[i].out = (struct qs_quant_weight){.var = f.part[i].layer->var,
                                                  .bits = f.part[i].decision->bits,
                                                  .axis = f.part[i].decision->axis};
    }
    const enum qs_err err = fit_all(cx, &f);
    for (int i = 0; i < f.n_part; i++)
        free_moments(&f.part[i]);
    free(f.part);
    free(f.keep);
    free(f.room);
    return err;
}

void
qs_fit_release(struct qs_quant_weight *weight, int n)
{
    for (int i = 0; i < n; i++) {
        free(weight[i].threshold);
        qs_buf_unref(weight[i].q);
    }
    free(weight);
}
