/* SPDX-License-Identifier: Apache-2.0 */
/* `qslim eval`: a model on labelled data, or beside another model. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/app.h"
#include "app/record.h"
#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "data/eval.h"
#include "data/preprocess.h"
#include "engine/exec.h"

/* A model that runs on samples. */
struct runner {
    const struct qs_opened *o;
    struct qs_model *model; /* runnable form */
    struct qs_exec *exec;
    int n;               /* inputs */
    int32_t *var;        /* [n] */
    struct qs_value *in; /* [n] borrowed, or owned where converted */
    bool *converted;
};

struct evaluation {
    const struct qs_evaluate_options *opt;
    struct qs_dataset *data;
    struct qs_eval eval;
    struct runner model, reference; /* exec NULL: not there */
    struct qs_str predictions;
    double seconds; /* of running models and reading samples */
};

static double
seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- one model -------------------------------------------------------------------------------- */

static enum qs_err
runner_start(struct qs_ctx *cx, struct runner *r, const struct qs_opened *o)
{
    enum qs_err err = qs_app_runnable(cx, o, &r->model);
    r->o = o;
    r->n = qs_model_inputs(o->model, NULL, 0);
    r->var = qs_xcalloc((size_t)r->n + 1, sizeof(*r->var));
    r->in = qs_xcalloc((size_t)r->n + 1, sizeof(*r->in));
    r->converted = qs_xcalloc((size_t)r->n + 1, sizeof(*r->converted));
    qs_model_inputs(o->model, r->var, r->n);
    if (!err)
        err = qs_exec_new(cx, r->model, &r->exec);
    return err;
}

static void
drop_inputs(struct runner *r)
{
    for (int i = 0; i < r->n; i++) {
        if (r->converted[i])
            qs_data_tensor_release(&r->in[i]);
        r->in[i] = (struct qs_value){0};
        r->converted[i] = false;
    }
}

static void
runner_release(struct runner *r)
{
    if (r->in)
        drop_inputs(r);
    qs_exec_free(r->exec);
    qs_model_unref(r->model);
    free(r->var);
    free(r->in);
    free(r->converted);
    *r = (struct runner){0};
}

/* NumPy's default types are the wide ones: numbers of the other width become those of the model. */
static enum qs_err
convert(struct qs_ctx *cx, struct runner *r, int i, const struct qs_value *v)
{
    const int32_t want = r->o->model->var[r->var[i]].dtype;
    const bool to_float = want == QS_DTYPE_float32 && v->dtype == QS_DTYPE_float64;
    const bool to_wide = want == QS_DTYPE_int64 && v->dtype == QS_DTYPE_int32;
    const bool to_narrow = want == QS_DTYPE_int32 && v->dtype == QS_DTYPE_int64;
    r->in[i] = *v;
    if (!to_float && !to_wide && !to_narrow)
        return QS_OK;
    const enum qs_err err = qs_data_tensor(cx, want, v->n, v->d, &r->in[i]);
    if (err)
        return err;
    r->converted[i] = true;
    for (int64_t k = 0; k < v->count; k++)
        if (to_float)
            r->in[i].f32[k] = (float)v->f64[k];
        else if (to_wide)
            r->in[i].i64[k] = v->i32[k];
        else
            r->in[i].i32[k] = (int32_t)v->i64[k];
    return QS_OK;
}

/* Which input of the model a sample's input is for. */
static int
find_input(const struct runner *r, const char *name)
{
    for (int i = 0; i < r->n && name; i++)
        if (strcmp(r->o->model->var[r->var[i]].name, name) == 0)
            return i;
    return !name && r->n == 1 ? 0 : -1;
}

static enum qs_err
bind_inputs(struct qs_ctx *cx, struct runner *r, const struct qs_sample *s)
{
    if (s->n_input != r->n)
        return qs_fail(cx, QS_ERR_FORMAT, _("'%s' has %d inputs, but the data give %d"), r->o->path,
                       r->n, s->n_input);
    for (int k = 0; k < s->n_input; k++) {
        const int i = find_input(r, s->input_name[k]);
        if (i < 0 || r->in[i].data)
            return qs_fail(cx, QS_ERR_FORMAT, _("'%s' has no input '%s'"), r->o->path,
                           s->input_name[k] ? s->input_name[k] : "?");
        const enum qs_err err = convert(cx, r, i, &s->input[k]);
        if (err)
            return err;
    }
    return QS_OK;
}

/* The last output is the one that counts. */
static enum qs_err
run_on(struct qs_ctx *cx, struct runner *r, const struct qs_sample *s, const struct qs_value **out)
{
    enum qs_err err = bind_inputs(cx, r, s);
    if (!err)
        err = qs_exec_run(cx, r->exec, r->in, r->n, NULL);
    drop_inputs(r);
    if (err)
        return err;
    const int n = qs_exec_n_out(r->exec);
    *out = n > 0 ? qs_exec_out(r->exec, n - 1) : NULL;
    if (!*out || !(*out)->data)
        return qs_fail(cx, QS_ERR_FORMAT, _("'%s' computes no output"), r->o->path);
    return QS_OK;
}

/* --- all samples ------------------------------------------------------------------------------ */

static enum qs_err
evaluate_one(struct qs_ctx *cx, struct evaluation *ev, const struct qs_sample *s)
{
    const struct qs_value *out = NULL, *ref = NULL;
    enum qs_err err = run_on(cx, &ev->model, s, &out);
    if (!err && ev->reference.exec)
        err = run_on(cx, &ev->reference, s, &ref);
    if (err)
        return qs_prefix(cx, _("cannot run on sample '%s'"), ev->data->name[s->i]);
    return qs_eval_add(cx, &ev->eval, s, out, ref);
}

static void
report(struct qs_ctx *cx, const struct evaluation *ev, int64_t done)
{
    for (int i = 0; i < ev->eval.n_metric; i++)
        qs_report_metric(cx, qs_metrics[ev->eval.id[i]].name, qs_eval_value(&ev->eval, i));
    qs_progress(cx, _("evaluate"), done, ev->data->n);
}

static enum qs_err
evaluate_all(struct qs_ctx *cx, struct evaluation *ev)
{
    const double start = seconds_now();
    struct qs_sample *s = NULL;
    enum qs_err err;
    while (!(err = qs_dataset_next(cx, ev->data, &s)) && s) {
        err = evaluate_one(cx, ev, s);
        if (!err)
            report(cx, ev, s->i + 1);
        qs_sample_free(s);
        if (err)
            break;
    }
    ev->seconds = seconds_now() - start;
    return err;
}

static enum qs_err
set_metrics(struct qs_ctx *cx, struct evaluation *ev, struct qs_run *run)
{
    run->metric = qs_xcalloc((size_t)ev->eval.n_metric, sizeof(*run->metric));
    const enum qs_err err = qs_eval_result(cx, &ev->eval, run->metric);
    run->n_metric = err ? 0 : ev->eval.n_metric;
    return err;
}

/* The choices of the run, as comments of a plan file. */
static void
note_choices(const struct evaluation *ev, const struct qs_opened *reference, struct qs_run *run)
{
    struct qs_str text;
    char *data = realpath(ev->opt->data, NULL);
    qs_str_init(&text);
    qs_str_printf(&text, "# data = %s\n# samples = %lld\n", data ? data : ev->opt->data,
                  (long long)ev->data->n);
    if (reference)
        qs_str_printf(&text, "# reference = %s\n", reference->path);
    if (ev->opt->metrics)
        qs_str_printf(&text, "# metric = %s\n", ev->opt->metrics);
    free(data);
    free(run->plan);
    run->plan = qs_str_take(&text);
}

static enum qs_err
write_predictions(struct qs_ctx *cx, const struct evaluation *ev)
{
    struct qs_writer *w = NULL;
    enum qs_err err = qs_writer_open(cx, ev->opt->predictions, ev->opt->force, &w);
    if (!err)
        err = qs_writer_put(cx, w, ev->predictions.s, ev->predictions.n);
    if (!err)
        err = qs_writer_finish(cx, w);
    if (!err)
        err = qs_writer_commit(cx, w, NULL);
    qs_writer_free(w);
    return err;
}

static enum qs_err
prepare(struct qs_ctx *cx, struct evaluation *ev, const struct qs_opened *o,
        const struct qs_opened *reference)
{
    const struct qs_dataset_options how = {ev->opt->samples, ev->opt->max_pixels};
    enum qs_err err = qs_dataset_open(cx, ev->opt->data, &how, &ev->data);
    if (!err)
        err = qs_eval_init(cx, &ev->eval, ev->data, ev->opt->metrics, reference != NULL);
    if (!err)
        err = runner_start(cx, &ev->model, o);
    if (!err && reference && qs_eval_needs_reference(&ev->eval))
        err = runner_start(cx, &ev->reference, reference);
    if (!err && ev->opt->predictions)
        ev->eval.predictions = &ev->predictions;
    return err;
}

static void
release(struct evaluation *ev)
{
    runner_release(&ev->model);
    runner_release(&ev->reference);
    qs_eval_release(&ev->eval);
    qs_dataset_close(ev->data);
    qs_str_release(&ev->predictions);
}

enum qs_err
qs_app_evaluate(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_opened *reference,
                const struct qs_evaluate_options *opt, struct qs_evaluated *out)
{
    struct evaluation ev = {.opt = opt};
    struct qs_record record;
    *out = (struct qs_evaluated){0};
    qs_str_init(&ev.predictions);
    enum qs_err err = prepare(cx, &ev, o, reference);
    if (!err)
        err = qs_record_begin(cx, &record, &out->run, "eval", o);
    if (!err) {
        note_choices(&ev, reference, &out->run);
        if (!opt->no_store)
            qs_record_store(cx, &record, opt->db);
        err = evaluate_all(cx, &ev);
        if (!err)
            err = set_metrics(cx, &ev, &out->run);
        if (!err && opt->predictions)
            err = write_predictions(cx, &ev);
        out->samples = ev.eval.n;
        out->broken = ev.data->n_broken;
        out->images_per_second = ev.seconds > 0 ? (double)ev.eval.n / ev.seconds : 0;
        err = qs_record_end(cx, &record, err);
    }
    release(&ev);
    return err;
}

void
qs_evaluated_release(struct qs_evaluated *e)
{
    qs_run_release(&e->run);
}

bool
qs_app_metric_look(const char *name, struct qs_metric_look *out)
{
    const struct qs_metric *m = qs_metric_by_name(name);
    if (m)
        *out = (struct qs_metric_look){m->unit, m->format, m->higher_is_better};
    return m != NULL;
}
