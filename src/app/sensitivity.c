/* SPDX-License-Identifier: Apache-2.0 */
/* `qslim sensitivity`: which layer costs how much. See sense.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/sense.h"
#include "base/clock.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- beginning ---- */

static enum qs_err
stored_choices(struct qs_ctx *cx, const struct qs_sensitivity_options *opt,
               struct sense_choices *out)
{
    struct qs_run run;
    enum qs_err err = qs_app_run(cx, opt->db, opt->resume, &run);
    if (err)
        return err;
    if (strcmp(run.kind, "sensitivity") != 0)
        err = qs_fail(cx, QS_ERR_USAGE, _("run %lld is of kind %s, not %s"), (long long)run.id,
                      run.kind, "sensitivity");
    if (!err)
        err = qs_sense_choices_parse(cx, run.plan, out);
    qs_run_release(&run);
    return err ? err : qs_sense_choices_agree(cx, opt, out);
}

static enum qs_err
choose(struct qs_ctx *cx, struct scan *s)
{
    enum qs_err err = QS_OK;
    if (s->opt->resume)
        err = stored_choices(cx, s->opt, &s->choices);
    else
        qs_sense_choices_from(s->opt, &s->choices);
    if (!err && !s->choices.data)
        err = qs_fail(cx, QS_ERR_USAGE, _("a scan needs data: --data FILE"));
    return err;
}

static int64_t
quarter_of_machine(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (int64_t)pages / 4 * page : (int64_t)1 << 30;
}

int64_t
qs_sense_resident(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? (int64_t)u.ru_maxrss * 1024 : 0;
}

enum qs_err
qs_sense_too_little(struct qs_ctx *cx, const struct scan *s, int64_t need)
{
    char a[16], b[16];
    return qs_fail(cx, QS_ERR_MEMORY, _("the scan needs at least %s of memory, %s are allowed"),
                   qs_format_bytes(a, sizeof(a), need), qs_format_bytes(b, sizeof(b), s->memory));
}

/* Before the work: weights are there rounded, and packed as they are and rounded. */
static enum qs_err
foresee(struct qs_ctx *cx, const struct scan *s)
{
    int64_t weights = 0;
    for (int i = 0; i < s->n_layer; i++)
        weights += (int64_t)s->o->model->var[s->layer[i].layer->var].data->bytes;
    const int64_t need = qs_sense_resident() + weights * (1 + 2 * s->n_bits);
    return need > s->memory ? qs_sense_too_little(cx, s, need) : QS_OK;
}

/* Everything that follows from the choices. */
static enum qs_err
prepare(struct qs_ctx *cx, struct scan *s)
{
    enum qs_err err = qs_sense_variants(cx, s);
    if (!err)
        err = qs_sense_layers(cx, s);
    const struct qs_dataset_options how = {err ? 0 : s->choices.samples, s->opt->max_pixels};
    if (!err)
        err = qs_dataset_open(cx, s->choices.data, &how, &s->data);
    if (!err)
        err = qs_sense_metric(cx, s);
    s->memory = s->opt->memory > 0 ? s->opt->memory : quarter_of_machine();
    if (!err)
        err = foresee(cx, s);
    if (!err)
        err = qs_sense_round_weights(cx, s);
    if (err)
        return err;
    s->n_sum = qs_sense_n_sums(s);
    s->sum = qs_xcalloc((size_t)s->n_sum, sizeof(*s->sum));
    return QS_OK;
}

static enum qs_err
begin_new(struct qs_ctx *cx, struct scan *s)
{
    struct qs_run *run = &s->out->run;
    const enum qs_err err = qs_record_begin(cx, &s->record, run, "sensitivity", s->o);
    if (err)
        return err;
    free(run->plan);
    run->plan = qs_sense_choices_text(&s->choices);
    run->bits = s->bits[0];
    if (!s->opt->no_store)
        qs_record_store(cx, &s->record, s->opt->db);
    return QS_OK;
}

static enum qs_err
begin_again(struct qs_ctx *cx, struct scan *s)
{
    uint8_t *data = NULL;
    size_t n = 0;
    enum qs_err err = qs_record_resume(cx, &s->record, &s->out->run, "sensitivity", s->o,
                                       s->opt->db, s->opt->resume);
    if (err)
        return err;
    err = qs_record_last_checkpoint(cx, &s->record, &data, &n);
    if (!err && data)
        err = qs_sense_restore(cx, s, data, n);
    free(data);
    s->record.begun -= s->elapsed;
    return err ? qs_record_end(cx, &s->record, err) : QS_OK;
}

/* ---- phases ---- */

static void
enter(struct qs_ctx *cx, struct scan *s, enum sense_phase phase)
{
    s->at = (struct sense_cursor){.phase = phase};
    qs_sense_checkpoint(cx, s);
}

const char *
qs_sense_phase_text(const struct scan *s)
{
    return s->at.phase == SENSE_RANK       ? _("rank layers")
           : s->at.phase == SENSE_EVALUATE ? _("evaluate layers")
                                           : _("measure a plan");
}

/* The engine is chosen by the first sample. */
static enum qs_err
run_phase(struct qs_ctx *cx, struct scan *s)
{
    const bool first = s->at.phase != SENSE_EVALUATE && s->at.sample == 0 && !s->exact;
    enum qs_err err = s->exact ? QS_OK : qs_sense_fast(cx, s);
    const bool floats = s->choices.precision == QS_PRECISION_FP32;
    if (first && floats && err == QS_ERR_UNSUPPORTED && s->at.sample == 0) {
        qs_note(cx, _("whole models are run for each layer, which is slow: %s"), qs_message(cx));
        qs_clear(cx);
        s->exact = true;
        err = QS_OK;
    }
    if (!err && s->exact)
        err = qs_sense_exact(cx, s);
    s->told = s->told || !err;
    return err;
}

static enum qs_err
calibrate_and_run(struct qs_ctx *cx, struct scan *s)
{
    enum qs_err err = s->rounds && !s->calibrated ? qs_sense_calibrate(cx, s) : QS_OK;
    s->told = s->told || (s->rounds && !err);
    s->calibrated = s->calibrated || !err;
    return err ? err : run_phase(cx, s);
}

static enum qs_err
run_phases(struct qs_ctx *cx, struct scan *s)
{
    enum qs_err err = QS_OK;
    if (s->at.phase == SENSE_RANK) {
        err = calibrate_and_run(cx, s);
        if (err)
            return err;
        qs_sense_choose(s);
        enter(cx, s, SENSE_EVALUATE);
    }
    if (s->at.phase == SENSE_EVALUATE) {
        err = run_phase(cx, s);
        if (err)
            return err;
        enter(cx, s, SENSE_DONE);
    }
    return QS_OK;
}

/* ---- the end ---- */

static void
report(struct scan *s)
{
    qs_sense_rows(s, &s->out->run);
    qs_sense_sort(&s->out->run);
    qs_sense_totals(s, s->out);
    s->out->peak_rss_bytes = qs_sense_resident();
}

static void
release(struct scan *s)
{
    for (int i = 0; i < s->n_layer; i++) {
        for (int b = 0; b < s->n_bits && s->layer[i].rounded; b++)
            qs_buf_unref(s->layer[i].rounded[b]);
        for (int b = 0; b < s->n_bits && s->layer[i].integers; b++) {
            qs_buf_unref(s->layer[i].integers[b].q);
            free(s->layer[i].integers[b].threshold);
        }
        free(s->layer[i].integers);
        free(s->layer[i].rounded);
        free(s->layer[i].weight_db);
    }
    for (int i = 0; i < s->n_node; i++)
        free(s->node[i].threshold);
    free(s->layer);
    free(s->node);
    free(s->bits);
    free(s->variant);
    free(s->sum);
    free(s->config);
    qs_dataset_close(s->data);
    qs_sense_choices_release(&s->choices);
}

enum qs_err
qs_app_sensitivity(struct qs_ctx *cx, const struct qs_opened *o,
                   const struct qs_sensitivity_options *opt,
                   void (*partial)(void *arg, const struct qs_run_sensitivity *row, int n,
                                   int64_t done, int64_t of),
                   void *arg, struct qs_sensed *out)
{
    struct scan s = {.o = o,
                     .opt = opt,
                     .out = out,
                     .exact = opt->exact,
                     .partial = partial,
                     .partial_arg = arg,
                     .begun = qs_seconds_now()};
    *out = (struct qs_sensed){.baseline = NAN, .quantized = NAN};
    enum qs_err err = qs_app_need_params(cx, o);
    if (!err)
        err = choose(cx, &s);
    if (!err)
        err = prepare(cx, &s);
    if (!err)
        err = opt->resume ? begin_again(cx, &s) : begin_new(cx, &s);
    if (!err) {
        err = run_phases(cx, &s);
        if (err)
            qs_sense_checkpoint(cx, &s);
        report(&s);
        err = qs_record_end(cx, &s.record, err);
        out->seconds = out->run.seconds;
    }
    release(&s);
    return err;
}

/* ---- trials ---- */

enum qs_err
qs_sense_trial_open(struct qs_ctx *cx, const struct qs_opened *o, const struct sense_choices *c,
                    const char *mode, struct sense_trial **out)
{
    struct sense_trial *t = qs_xcalloc(1, sizeof(*t));
    t->scan = (struct scan){.o = o, .opt = &t->opt, .out = &t->sensed, .begun = qs_seconds_now()};
    qs_sense_choices_copy(&t->scan.choices, c);
    free(t->scan.choices.mode);
    t->scan.choices.mode = qs_xstrdup(mode);
    t->scan.choices.others = false;
    if (strcmp(mode, qs_sense_mode_name(QS_SENSE_BOTH)) != 0)
        t->scan.choices.precision = QS_PRECISION_FP32;
    const enum qs_err err = prepare(cx, &t->scan);
    if (err) {
        qs_sense_trial_close(t);
        return err;
    }
    t->scan.config = qs_xcalloc((size_t)t->scan.n_layer, sizeof(*t->scan.config));
    *out = t;
    return QS_OK;
}

void
qs_sense_trial_close(struct sense_trial *t)
{
    if (t)
        release(&t->scan);
    free(t);
}

bool
qs_sense_trial_set(struct sense_trial *t, const char *weight, int bits)
{
    struct scan *s = &t->scan;
    int layer = 0, v = bits ? 0 : -1;
    while (layer < s->n_layer &&
           strcmp(s->o->model->var[s->layer[layer].layer->var].name, weight) != 0)
        layer++;
    while (bits && v < s->n_variant && s->variant[v].bits != bits)
        v++;
    if (layer == s->n_layer || v == s->n_variant)
        return false;
    s->config[layer] = v + 1;
    return true;
}

enum qs_err
qs_sense_trial_run(struct qs_ctx *cx, struct sense_trial *t, double *drop)
{
    struct scan *s = &t->scan;
    s->at = (struct sense_cursor){.phase = SENSE_TRY};
    memset(s->sum, 0, (size_t)s->n_sum * sizeof(*s->sum));
    const enum qs_err err = calibrate_and_run(cx, s);
    if (!err)
        *drop = qs_sense_total_drop(s);
    return err;
}

void
qs_sensed_release(struct qs_sensed *s)
{
    qs_run_release(&s->run);
}
