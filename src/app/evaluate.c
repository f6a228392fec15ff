/* SPDX-License-Identifier: Apache-2.0 */
/* `qslim eval`: a model on labelled data, or beside another model. */
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/crew.h"
#include "app/record.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "data/eval.h"

struct evaluation {
    const struct qs_evaluate_options *opt;
    struct qs_dataset *data;
    struct qs_eval eval;
    struct qs_crew *model, *reference; /* reference NULL: not needed */
    struct qs_sample *pending[QS_CREW_SAMPLES_MOST];
    int n_pending;
    struct qs_str predictions;
    double seconds; /* of running models and reading samples */
};

/* --- all samples ------------------------------------------------------------------------------ */

static void
report(struct qs_ctx *cx, const struct evaluation *ev, int64_t done)
{
    for (int m = 0; m < ev->eval.n_metric; m++)
        qs_report_metric(cx, qs_metrics[ev->eval.id[m]].name, qs_eval_value(&ev->eval, m));
    qs_progress(cx, _("evaluate"), done, ev->data->n);
}

static enum qs_err
run_pending(struct qs_ctx *cx, struct evaluation *ev)
{
    enum qs_err err = qs_crew_run(cx, ev->model, ev->pending, ev->n_pending, ev->data->name);
    if (!err && ev->reference)
        err = qs_crew_run(cx, ev->reference, ev->pending, ev->n_pending, ev->data->name);
    return err;
}

static void
drop_pending(struct evaluation *ev)
{
    while (ev->n_pending > 0)
        qs_sample_free(ev->pending[--ev->n_pending]);
}

static enum qs_err
evaluate_pending(struct qs_ctx *cx, struct evaluation *ev)
{
    enum qs_err err = ev->n_pending > 0 ? run_pending(cx, ev) : QS_OK;
    for (int i = 0; i < ev->n_pending && !err; i++) {
        const struct qs_value *ref = ev->reference ? qs_crew_out(ev->reference, i) : NULL;
        err = qs_eval_add(cx, &ev->eval, ev->pending[i], qs_crew_out(ev->model, i), ref);
        if (!err)
            report(cx, ev, ev->pending[i]->i + 1);
    }
    drop_pending(ev);
    return err;
}

/* Takes the sample over. */
static enum qs_err
evaluate_sample(struct qs_ctx *cx, struct evaluation *ev, struct qs_sample *s)
{
    ev->pending[ev->n_pending++] = s;
    return ev->n_pending >= qs_crew_samples(ev->model, s) ? evaluate_pending(cx, ev) : QS_OK;
}

static enum qs_err
evaluate_all(struct qs_ctx *cx, struct evaluation *ev)
{
    const double start = qs_seconds_now();
    struct qs_sample *s = NULL;
    enum qs_err err;
    while (!(err = qs_dataset_next(cx, ev->data, &s)) && s) {
        err = evaluate_sample(cx, ev, s);
        if (err)
            break;
    }
    if (!err)
        err = evaluate_pending(cx, ev);
    drop_pending(ev);
    ev->seconds = qs_seconds_now() - start;
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

/* What a cancelled run keeps: the metrics of the samples it saw. */
static void
set_partial(const struct qs_ctx *cx, struct evaluation *ev, struct qs_run *run)
{
    struct qs_ctx own;
    qs_ctx_init_child(&own, cx);
    if (ev->eval.n > 0)
        (void)set_metrics(&own, ev, run);
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
    if (ev->opt->precision != QS_PRECISION_FP32)
        qs_str_printf(&text, "# precision = %s\n", qs_precision_names[ev->opt->precision]);
    if (ev->opt->metrics)
        qs_str_printf(&text, "# metric = %s\n", ev->opt->metrics);
    free(data);
    free(run->plan);
    run->plan = qs_str_take(&text);
}

static enum qs_err
prepare(struct qs_ctx *cx, struct evaluation *ev, const struct qs_opened *o,
        const struct qs_opened *reference)
{
    const struct qs_dataset_options how = {ev->opt->samples, ev->opt->max_pixels};
    struct qs_runner_options run = {
        .engine.exact = ev->opt->exact, .precision = ev->opt->precision, .batch = ev->opt->batch};
    enum qs_err err = qs_dataset_open(cx, ev->opt->data, &how, &ev->data);
    if (!err)
        err = qs_eval_init(cx, &ev->eval, ev->data, ev->opt->metrics, reference != NULL);
    if (!err)
        err = qs_crew_new(cx, o, &run, &ev->model);
    run.precision = QS_PRECISION_FP32;
    if (!err && reference && qs_eval_needs_reference(&ev->eval))
        err = qs_crew_new(cx, reference, &run, &ev->reference);
    if (!err && ev->opt->predictions)
        ev->eval.predictions = &ev->predictions;
    return err;
}

static void
release(struct evaluation *ev)
{
    qs_crew_free(ev->model);
    qs_crew_free(ev->reference);
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
    *out = (struct qs_evaluated){.engine = ""};
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
        else if (err == QS_ERR_CANCELLED)
            set_partial(cx, &ev, &out->run);
        if (!err && opt->predictions)
            err = qs_write_file(cx, ev.opt->predictions, ev.opt->force, ev.predictions.s,
                                ev.predictions.n);
        out->samples = ev.eval.n;
        out->broken = ev.data->n_broken;
        out->engine = qs_crew_engine(ev.model);
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
