/* SPDX-License-Identifier: Apache-2.0 */
#include "app/choose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/inputs.h"
#include "app/ranges.h"
#include "app/runner.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "data/dataset.h"
#include "data/preprocess.h"
#include "engine/engine.h"
#include "model/shape.h"

static const double clearly = 0.99;

struct qs_trial {
    const struct qs_opened *o;
    struct qs_model *model; /* the float graph beside the notes */
    struct qs_static_notes notes;
    struct qs_inputs in;
    struct qs_dataset *data; /* names of inputs are in it */
    struct qs_sample *sample[QS_CHOOSE_SAMPLES];
    struct qs_value *want[QS_CHOOSE_SAMPLES]; /* [n_out] what FP32 makes of each */
    int n_sample, n_out;
    int64_t macs; /* of the first sample; -1: unknown */
    struct qs_engine *engine;
};

/* ---- samples ---- */

static int64_t
bytes_of(const struct qs_sample *s)
{
    int64_t bytes = 0;
    for (int i = 0; i < s->n_input; i++)
        bytes += s->input[i].count * qs_dtype_bytes(s->input[i].dtype);
    return bytes;
}

/* How many samples like the first fit. */
static int64_t
how_many(const struct qs_sample *first, int64_t n)
{
    const int64_t bytes = bytes_of(first), fit = bytes > 0 ? QS_CHOOSE_BYTES / bytes : n;
    const int64_t most = fit < 1 ? 1 : fit < QS_CHOOSE_SAMPLES ? fit : QS_CHOOSE_SAMPLES;
    return n < most ? n : most;
}

static enum qs_err
read_from(struct qs_ctx *cx, struct qs_trial *t, struct qs_dataset *data)
{
    int64_t want = 1;
    for (int64_t i = 0; i < want; i++) {
        struct qs_sample *s = NULL;
        if (i > 0 && want < data->n)
            qs_dataset_seek(data, i * data->n / want);
        const enum qs_err err = qs_dataset_next(cx, data, &s);
        if (err || !s)
            return err;
        t->sample[t->n_sample++] = s;
        if (i == 0)
            want = how_many(s, data->n);
    }
    return QS_OK;
}

/* What cannot be read was told when calibration read it. */
static enum qs_err
read_samples(struct qs_ctx *cx, struct qs_trial *t, const struct qs_plan *plan)
{
    const struct qs_dataset_options how = {.samples = plan->samples};
    struct qs_ctx quiet;
    qs_ctx_init_child(&quiet, cx);
    enum qs_err err = qs_dataset_open(&quiet, plan->data, &how, &t->data);
    if (!err)
        err = read_from(&quiet, t, t->data);
    return err ? qs_fail(cx, err, "%s", qs_message(&quiet)) : QS_OK;
}

/* ---- FP32 ---- */

static enum qs_err
keep_outputs(struct qs_ctx *cx, struct qs_trial *t, const struct qs_engine *e, int i)
{
    t->n_out = qs_engine_n_out(e);
    t->want[i] = qs_xcalloc((size_t)t->n_out + 1, sizeof(**t->want));
    for (int k = 0; k < t->n_out; k++) {
        const struct qs_value *v = qs_engine_out(e, k);
        const enum qs_err err = qs_data_tensor(cx, v->dtype, v->n, v->d, &t->want[i][k]);
        if (err)
            return err;
        if (v->data)
            memcpy(t->want[i][k].data, v->data,
                   (size_t)v->count * (size_t)qs_dtype_bytes(v->dtype));
    }
    return QS_OK;
}

static enum qs_err
run_fp32(struct qs_ctx *cx, struct qs_trial *t)
{
    const struct qs_runner_options how = {.batch = 1};
    struct qs_runner *runner = NULL;
    enum qs_err err = qs_runner_new(cx, t->o, &how, &runner);
    for (int i = 0; i < t->n_sample && !err; i++) {
        err = qs_runner_run(cx, runner, &t->sample[i], 1, NULL);
        if (!err)
            err = keep_outputs(cx, t, qs_runner_engine(runner), i);
    }
    qs_runner_free(runner);
    return err;
}

/* ---- a choice ---- */

/* Squared difference relative to the square of `want`, at most 1; also 1 for NaN. */
static double
error_of(const struct qs_value *want, const struct qs_value *got)
{
    double diff = 0, energy = 0;
    if (got->dtype != want->dtype || got->count != want->count || !got->data)
        return 1;
    if (want->dtype != QS_DTYPE_float32)
        return memcmp(want->data, got->data,
                      (size_t)want->count * (size_t)qs_dtype_bytes(want->dtype)) != 0;
    for (int64_t i = 0; i < want->count; i++) {
        const double x = (double)want->f32[i], d = x - (double)got->f32[i];
        diff += d * d;
        energy += x * x;
    }
    return diff < energy ? diff / energy : diff > 0 || isnan(diff);
}

static double
error_of_sample(const struct qs_trial *t, const struct qs_engine *e, int i)
{
    double sum = 0;
    for (int k = 0; k < t->n_out; k++)
        sum += k < qs_engine_n_out(e) ? error_of(&t->want[i][k], qs_engine_out(e, k)) : 1;
    return t->n_out > 0 ? sum / t->n_out : 0;
}

enum qs_err
qs_trial_run(struct qs_ctx *cx, struct qs_trial *t, const double *threshold, const int *sample,
             int n, double *error)
{
    enum qs_err err = QS_OK;
    for (int i = 0; i < t->notes.n_act; i++)
        t->notes.act[i].threshold = fmax(threshold[t->notes.act[i].var], 0);
    qs_engine_retune(t->engine);
    for (int i = 0; i < n && !err; i++) {
        err = qs_inputs_bind(cx, &t->in, &t->sample[sample[i]], 1);
        if (!err)
            err = qs_engine_run(cx, t->engine, t->in.value, t->in.n, NULL);
        if (!err)
            error[sample[i]] = error_of_sample(t, t->engine, sample[i]);
        qs_inputs_drop(&t->in);
    }
    return err;
}

/* ---- entry ---- */

/* Multiply-accumulates of a run; -1: unknown. */
static int64_t
count_macs(struct qs_ctx *cx, const struct qs_trial *t)
{
    struct qs_input_shape *in = qs_xcalloc((size_t)t->in.n + 1, sizeof(*in));
    struct qs_shapes *shapes = NULL;
    struct qs_ctx quiet;
    qs_ctx_init_child(&quiet, cx);
    for (int i = 0; i < t->in.n; i++) {
        in[i] = (struct qs_input_shape){t->o->model->var[t->in.var[i]].name, t->in.value[i].n, {0}};
        memcpy(in[i].d, t->in.value[i].d, sizeof(in[i].d));
    }
    const enum qs_err err = qs_infer_shapes(&quiet, t->o->model, in, t->in.n, &shapes);
    const int64_t macs = err ? -1 : shapes->macs;
    qs_shapes_free(shapes);
    free(in);
    return macs;
}

static enum qs_err
measure_macs(struct qs_ctx *cx, struct qs_trial *t)
{
    t->macs = -1;
    const enum qs_err err = t->n_sample > 0 ? qs_inputs_bind(cx, &t->in, &t->sample[0], 1) : QS_OK;
    if (!err && t->n_sample > 0)
        t->macs = count_macs(cx, t);
    qs_inputs_drop(&t->in);
    return err;
}

enum qs_err
qs_trial_new(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_plan *plan,
             const struct qs_decisions *d, struct qs_trial **out)
{
    struct qs_trial *t = qs_xcalloc(1, sizeof(*t));
    const struct qs_engine_options how = {.notes = &t->notes};
    t->o = o;
    t->model = qs_model_clone(o->model);
    qs_inputs_init(&t->in, o);
    enum qs_err err = qs_ranges_pretend_notes(cx, o, t->model, plan, d, &t->notes);
    if (!err)
        err = read_samples(cx, t, plan);
    if (!err)
        err = run_fp32(cx, t);
    if (!err)
        err = measure_macs(cx, t);
    if (!err)
        err = qs_engine_new(cx, t->model, &how, &t->engine);
    if (err)
        qs_trial_free(t);
    else
        *out = t;
    return err;
}

void
qs_trial_free(struct qs_trial *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->n_sample; i++) {
        for (int k = 0; k < t->n_out && t->want[i]; k++)
            qs_data_tensor_release(&t->want[i][k]);
        free(t->want[i]);
        qs_sample_free(t->sample[i]);
    }
    qs_dataset_close(t->data);
    qs_engine_free(t->engine);
    qs_inputs_release(&t->in);
    qs_static_notes_release(&t->notes);
    qs_model_unref(t->model);
    free(t);
}

int
qs_trial_samples(const struct qs_trial *t)
{
    return t->n_sample;
}

int64_t
qs_trial_macs(const struct qs_trial *t)
{
    return t->macs;
}

enum qs_err
qs_choices_measure(struct qs_ctx *cx, struct qs_trial *t, struct qs_choice *choice, int n)
{
    int all[QS_CHOOSE_SAMPLES];
    double error[QS_CHOOSE_SAMPLES];
    enum qs_err err = QS_OK;
    for (int i = 0; i < t->n_sample; i++)
        all[i] = i;
    for (int i = 0; i < n && !err; i++) {
        err = qs_trial_run(cx, t, choice[i].threshold, all, t->n_sample, error);
        choice[i].error = 0;
        for (int k = 0; k < t->n_sample && !err; k++)
            choice[i].error += error[k] / t->n_sample;
        qs_progress(cx, _("choose calibrators"), i + 1, n);
    }
    return err;
}

int
qs_choices_best(const struct qs_choice *choice, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (choice[i].error < clearly * choice[best].error)
            best = i;
    return best;
}
