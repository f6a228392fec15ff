/* SPDX-License-Identifier: Apache-2.0 */
#include "app/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/crew.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "data/eval.h"

static const double most_difference = 1e-3;

struct verification {
    const struct qs_opened *o;
    struct qs_opened *written;
    struct qs_verified *out;
    struct qs_dataset *data;
    bool labels; /* metrics of labels are wanted */
    bool unfit;  /* a metric could not be had from what the model computes */
    struct qs_crew *crew[QS_N_VERIFY_WAY];
    struct qs_eval eval[QS_N_VERIFY_WAY]; /* against FP32 */
    struct qs_eval apart;                 /* integers against simulated */
    struct qs_sample *pending[QS_CREW_SAMPLES_MOST];
    int n_pending;
    double worst; /* cosine of a sample; which one */
    int64_t worst_sample;
};

/* ---- which metrics ---- */

static bool
compares(const struct qs_eval *e, int i)
{
    return qs_metrics[e->id[i]].when >= QS_WHEN_REFERENCE;
}

/* Of all metrics that the data allow: the first of the labels, cosine, top1_agreement. */
static void
drop_metrics(struct qs_eval *e, bool labels)
{
    int n = 0;
    for (int i = 0; i < e->n_metric; i++) {
        const int id = e->id[i];
        const bool first = n == 0 && labels && !compares(e, i);
        if (first || id == QS_METRIC_cosine || id == QS_METRIC_top1_agreement)
            e->id[n++] = id;
    }
    e->n_metric = n;
}

static enum qs_err
init_eval(struct qs_ctx *cx, struct qs_eval *e, struct qs_dataset *data, bool labels)
{
    const enum qs_err err = qs_eval_init(cx, e, data, NULL, true);
    if (!err)
        drop_metrics(e, labels);
    return err;
}

static enum qs_err
init_evals(struct qs_ctx *cx, struct verification *v)
{
    enum qs_err err = QS_OK;
    for (int i = 0; i < QS_N_VERIFY_WAY && !err; i++)
        err = init_eval(cx, &v->eval[i], v->data, v->labels);
    return err ? err : init_eval(cx, &v->apart, v->data, false);
}

/* ---- samples ---- */

static void
note_worst(struct verification *v, const struct qs_sample *s, const struct qs_eval *apart)
{
    const struct qs_sum *last = &apart->sum[(apart->n - 1) * apart->n_metric];
    const double cosine = qs_metric_value(&qs_metrics[apart->id[0]], *last);
    if (v->worst_sample >= 0 && !(cosine < v->worst) && !isnan(cosine))
        return;
    v->worst = cosine;
    v->worst_sample = s->i;
}

static enum qs_err
add_sample(struct qs_ctx *cx, struct verification *v, int i)
{
    const struct qs_sample *s = v->pending[i];
    const struct qs_value *fp32 = qs_crew_out(v->crew[QS_VERIFY_FP32], i);
    enum qs_err err = QS_OK;
    for (int k = 0; k < QS_N_VERIFY_WAY && !err; k++)
        err = qs_eval_add(cx, &v->eval[k], s, qs_crew_out(v->crew[k], i), fp32);
    if (!err)
        err = qs_eval_add(cx, &v->apart, s, qs_crew_out(v->crew[QS_VERIFY_INTEGER], i),
                          qs_crew_out(v->crew[QS_VERIFY_SIMULATED], i));
    v->unfit = err == QS_ERR_FORMAT;
    if (!err)
        note_worst(v, s, &v->apart);
    return err;
}

static enum qs_err
run_pending(struct qs_ctx *cx, struct verification *v)
{
    enum qs_err err = QS_OK;
    for (int k = 0; k < QS_N_VERIFY_WAY && !err && v->n_pending > 0; k++)
        err = qs_crew_run(cx, v->crew[k], v->pending, v->n_pending, v->data->name);
    for (int i = 0; i < v->n_pending && !err; i++) {
        err = add_sample(cx, v, i);
        qs_progress(cx, _("verify"), v->pending[i]->i + 1, v->data->n);
    }
    while (v->n_pending > 0)
        qs_sample_free(v->pending[--v->n_pending]);
    return err;
}

/* Calibration has told of pictures that cannot be read. */
static enum qs_err
next_sample(struct qs_ctx *cx, struct verification *v, struct qs_sample **out)
{
    struct qs_ctx quiet;
    qs_ctx_init_child(&quiet, cx);
    const enum qs_err err = qs_dataset_next(&quiet, v->data, out);
    return err ? qs_fail(cx, err, "%s", qs_message(&quiet)) : qs_check_cancel(cx);
}

static enum qs_err
run_all(struct qs_ctx *cx, struct verification *v)
{
    struct qs_sample *s = NULL;
    enum qs_err err;
    while (!(err = next_sample(cx, v, &s)) && s) {
        v->pending[v->n_pending++] = s;
        if (v->n_pending >= qs_crew_samples(v->crew[QS_VERIFY_FP32], s))
            err = run_pending(cx, v);
        if (err)
            return err;
    }
    return err ? err : run_pending(cx, v);
}

/* ---- what came out ---- */

void
qs_verified_judge(struct qs_verified *v)
{
    const struct qs_verified_metric *m = &v->metric[0];
    v->difference =
        v->labelled ? m->value[QS_VERIFY_SIMULATED] - m->value[QS_VERIFY_INTEGER] : 1 - v->cosine;
    /* Written so that NaN is not ok. */
    v->ok = fabs(v->difference) <= most_difference + 1e-9;
}

static void
collect(struct verification *v)
{
    struct qs_verified *out = v->out;
    const struct qs_eval *e = v->eval;
    out->samples = e->n;
    out->n_metric = e->n_metric;
    out->labelled = !compares(e, 0);
    out->cosine = qs_eval_value(&v->apart, 0);
    for (int i = 0; i < e->n_metric; i++) {
        struct qs_verified_metric *m = &out->metric[i];
        m->name = qs_metrics[e->id[i]].name;
        for (int k = 0; k < QS_N_VERIFY_WAY; k++)
            m->value[k] = k == QS_VERIFY_FP32 && compares(e, i) ? NAN : qs_eval_value(&e[k], i);
    }
    qs_verified_judge(out);
}

static enum qs_err
find_layers(struct qs_ctx *cx, struct verification *v)
{
    struct qs_sample *s = NULL;
    qs_dataset_seek(v->data, v->worst_sample);
    enum qs_err err = next_sample(cx, v, &s);
    if (!err && s)
        err = qs_verify_layers(cx, v->written, s, v->out);
    qs_sample_free(s);
    return err;
}

void
qs_verified_record(const struct qs_verified *v, struct qs_run *run)
{
    static const char *const way[] = {"fp32", "simulated", "int8"};
    run->metric = qs_xcalloc((size_t)v->n_metric * QS_N_VERIFY_WAY + 1, sizeof(*run->metric));
    for (int k = QS_N_VERIFY_WAY - 1; k >= 0; k--) /* the first is shown in lists of runs */
        for (int i = 0; i < v->n_metric; i++)
            if (!isnan(v->metric[i].value[k]))
                run->metric[run->n_metric++] = (struct qs_run_metric){
                    .name = qs_xasprintf("verify_%s_%s", way[k], v->metric[i].name),
                    .value = v->metric[i].value[k],
                    .low = NAN,
                    .high = NAN};
}

void
qs_verified_release(struct qs_verified *v)
{
    for (int i = 0; i < v->n_layer; i++) {
        free(v->layer[i].name);
        free(v->layer[i].op_type);
    }
    free(v->layer);
    free(v->reason);
    *v = (struct qs_verified){0};
}

/* ---- entry ---- */

static enum qs_err
make_crews(struct qs_ctx *cx, struct verification *v)
{
    struct qs_runner_options run = {.precision = QS_PRECISION_INT8};
    enum qs_err err = qs_crew_new(cx, v->written, &run, &v->crew[QS_VERIFY_INTEGER]);
    run.precision = QS_PRECISION_FP32;
    if (!err)
        err = qs_crew_new(cx, v->written, &run, &v->crew[QS_VERIFY_SIMULATED]);
    return err ? err : qs_crew_new(cx, v->o, &run, &v->crew[QS_VERIFY_FP32]);
}

static void
release(struct verification *v)
{
    while (v->n_pending > 0)
        qs_sample_free(v->pending[--v->n_pending]);
    for (int i = 0; i < QS_N_VERIFY_WAY; i++) {
        qs_crew_free(v->crew[i]);
        qs_eval_release(&v->eval[i]);
    }
    qs_eval_release(&v->apart);
    qs_dataset_close(v->data);
}

static enum qs_err
verify(struct qs_ctx *cx, struct verification *v, const char *data, int samples)
{
    const struct qs_dataset_options how = {.samples = samples};
    enum qs_err err = qs_dataset_open(cx, data, &how, &v->data);
    if (!err)
        err = make_crews(cx, v);
    if (!err)
        err = init_evals(cx, v);
    if (!err)
        err = run_all(cx, v);
    if (err)
        return err;
    collect(v);
    return v->out->ok ? QS_OK : find_layers(cx, v);
}

enum qs_err
qs_app_verify(struct qs_ctx *cx, const struct qs_opened *o, const char *written, const char *data,
              int samples, struct qs_verified *out)
{
    struct verification v = {.o = o, .out = out, .labels = true, .worst_sample = -1};
    *out = (struct qs_verified){0};
    enum qs_err err = qs_app_open(cx, written, NULL, NULL, &v.written);
    if (!err)
        err = verify(cx, &v, data, samples);
    if (v.unfit) { /* calibration does without labels, so they need not be those of the model */
        qs_clear(cx);
        release(&v);
        v = (struct verification){.o = o, .out = out, .written = v.written, .worst_sample = -1};
        err = verify(cx, &v, data, samples);
    }
    release(&v);
    qs_app_close(v.written);
    if (err != QS_ERR_UNSUPPORTED && !v.unfit)
        return err;
    out->reason = qs_xstrdup(qs_message(cx));
    qs_clear(cx);
    return QS_OK;
}
