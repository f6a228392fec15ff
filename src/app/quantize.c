/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/fit.h"
#include "app/optimize.h"
#include "app/ranges.h"
#include "app/record.h"
#include "app/verify.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "io/format.h"
#include "passes/float_passes.h"
#include "passes/pass.h"

/* Everything one quantization needs; released as a whole. */
struct quantize {
    const struct qs_opened *o;    /* as it was given */
    const struct qs_opened *work; /* the same, or prepared by prepare_float */
    struct qs_opened *derived;    /* NULL: not needed */
    struct qs_quant_weight *fitted;
    int n_fitted;
    const struct qs_plan *plan;
    const struct qs_quantize_options *opt;
    struct qs_decisions *decisions;
    struct qs_pass_state pass;
    struct qs_ranges ranges; /* method static */
    struct qs_record record;
    struct qs_run *run;
    struct qs_verified *verified;
};

static void
say_decisions(struct qs_ctx *cx, const struct quantize *q)
{
    const struct qs_decisions *d = q->decisions;
    for (int i = 0; i < q->plan->layer.n; i++)
        qs_note(cx, _("rule '%s' matches %d of the weights"), q->plan->layer.v[i],
                d->rule_matches[i]);
    if (d->n_integer + d->n_simulated == 0)
        qs_warn(cx, "%s", _("the plan quantizes no weight of this model (see the reasons)"));
    if (d->n_simulated > 0)
        qs_note(
            cx,
            _("%d of the weights rounded but stored as FP32, no smaller on disk (see the reasons)"),
            d->n_simulated);
}

static void
set_text(char **to, char *text)
{
    free(*to);
    *to = text;
}

/* What of the plan the run notes before the work. */
static void
describe(struct quantize *q)
{
    struct qs_run *run = q->run;
    struct qs_str text;
    struct qs_plan plan;
    qs_str_init(&text);
    qs_plan_copy(&plan, q->plan);
    char *data = plan.data ? realpath(plan.data, NULL) : NULL;
    if (data) { /* so that it can be repeated from another folder */
        free(plan.data);
        plan.data = data;
    }
    qs_plan_print(&plan, &text);
    qs_plan_release(&plan);
    set_text(&run->plan, qs_str_take(&text));
    set_text(&run->method, qs_xstrdup(qs_plan_opts[0].choices[q->plan->method]));
    run->bits = q->plan->weight_bits;
    run->parent = q->opt->parent;
    if (q->opt->dry_run)
        set_text(&run->state, qs_xstrdup("planned"));
    if (q->opt->output)
        set_text(&run->output, qs_xstrdup(q->opt->output));
}

static void
describe_layers(struct quantize *q)
{
    const struct qs_model *m = q->work->model;
    q->run->layer = qs_xcalloc((size_t)q->decisions->n, sizeof(*q->run->layer));
    for (int i = 0; i < q->decisions->n; i++) {
        const struct qs_layer *l = &q->work->layers->layer[i];
        const struct qs_decision *d = &q->decisions->layer[i];
        if (l->secondary && d->action == QS_ACTION_KEEP)
            continue; /* biases and statistics of norms */
        q->run->layer[q->run->n_layer++] = (struct qs_run_layer){
            .weight = qs_xstrdup(m->var[l->var].name),
            .op_type = qs_xstrdup(
                l->user.block < 0 ? "" : m->block[l->user.block].node[l->user.node].type),
            .action = qs_xstrdup(qs_action_name(d->action, d->bits)),
            .reason = qs_xstrdup(d->reason),
            .bits = d->bits,
            .scale_count = (int)d->n_scales,
            .sqnr_db = q->pass.outcome ? q->pass.outcome[i].sqnr_db : NAN,
            .bytes_before = d->bytes_before,
            .bytes_after = d->bytes_after,
            .scale_bytes = d->scale_bytes + d->param_bytes,
        };
    }
}

/* A dry run needs no data: what is written takes the same room whatever the thresholds are. */
static enum qs_err
find_ranges(struct qs_ctx *cx, struct quantize *q)
{
    if (q->plan->method != QS_METHOD_STATIC)
        return QS_OK;
    if (!q->opt->dry_run)
        return qs_ranges_find(cx, q->work, q->plan, q->decisions, &q->ranges);
    qs_ranges_pretend(q->work, &q->ranges);
    return QS_OK;
}

/* Weights that the plan wants fitted to the data; biases are corrected in the model at work. */
static enum qs_err
fit(struct qs_ctx *cx, struct quantize *q)
{
    if (q->opt->dry_run || !qs_fit_wanted(q->plan))
        return QS_OK;
    const enum qs_err err = qs_fit_weights(cx, q->work, q->plan, q->decisions, q->ranges.threshold,
                                           q->pass.model, &q->fitted, &q->n_fitted);
    q->pass.fitted = q->fitted;
    q->pass.n_fitted = q->n_fitted;
    return err;
}

static enum qs_err
transform(struct qs_ctx *cx, struct quantize *q)
{
    struct qs_pass_state *st = &q->pass;
    enum qs_err err = find_ranges(cx, q);
    if (err)
        return err;
    st->threshold = q->ranges.threshold;
    st->model = qs_model_clone(q->work->model);
    st->test = q->plan->generate_test_model ? qs_model_clone(q->work->model) : NULL;
    st->edges = q->work->edges;
    st->layers = q->work->layers;
    st->plan = q->plan;
    st->decisions = q->decisions;
    err = fit(cx, q);
    return err ? err : qs_run_recipe(cx, st);
}

/* A dry run does everything but write. */
static enum qs_err
predict(struct qs_ctx *cx, struct quantize *q)
{
    uint8_t *program = NULL;
    size_t n = 0;
    enum qs_err err = transform(cx, q);
    if (!err)
        err = qs_program_encode(cx, q->pass.model, &program, &n);
    free(program);
    if (err)
        return err;
    q->run->bytes_after = (int64_t)n + qs_params_bytes(q->pass.model);
    describe_layers(q);
    return QS_OK;
}

static enum qs_err
write_one(struct qs_ctx *cx, struct quantize *q, const struct qs_model *m, const char *below)
{
    struct qs_file_info *file = q->run->file;
    char *prefix = qs_xasprintf("%s/%smodel", q->opt->output, below);
    file = q->run->file = qs_xrealloc(file, (size_t)(q->run->n_file + 2) * sizeof(*file));
    memset(file + q->run->n_file, 0, 2 * sizeof(*file));
    const enum qs_err err = qs_model_write(cx, m, prefix, q->opt->force, file + q->run->n_file);
    if (!err)
        q->run->n_file += 2;
    else
        for (int i = 0; i < 2; i++)
            qs_file_info_release(&file[q->run->n_file + i]);
    free(prefix);
    return err;
}

/* Where the files of this plan go, below the output folder. */
static const char *
main_folder(const struct qs_plan *plan)
{
    return plan->method == QS_METHOD_DYNAMIC ? "quantized_model/" : "";
}

/* Existing files are refused before the work, not after. */
static enum qs_err
check_output(struct qs_ctx *cx, const struct quantize *q)
{
    static const char *const suffix[] = {"pdmodel", "pdiparams"};
    const char *below[] = {main_folder(q->plan), "test_model/"};
    const int n = q->plan->generate_test_model ? 2 : 1;
    enum qs_err err = QS_OK;
    for (int i = 0; i < 2 * n && !err && !q->opt->force; i++) {
        char *path = qs_xasprintf("%s/%smodel.%s", q->opt->output, below[i / 2], suffix[i % 2]);
        if (qs_exists(path))
            err = qs_fail(cx, QS_ERR_EXISTS,
                          _("cannot write '%s': it exists (--force replaces it)"), path);
        free(path);
    }
    return err;
}

static enum qs_err
write_files(struct qs_ctx *cx, struct quantize *q)
{
    enum qs_err err = write_one(cx, q, q->pass.model, main_folder(q->plan));
    if (!err && q->pass.test)
        err = write_one(cx, q, q->pass.test, "test_model/");
    if (err)
        return err;
    q->run->bytes_after = q->run->file[0].bytes + q->run->file[1].bytes;
    char hex[QS_DIGEST_HEX];
    err = qs_digest_model(cx, q->pass.model, q->run->file[0].path, hex);
    if (!err)
        set_text(&q->run->output_digest, qs_xstrdup(hex));
    return err;
}

/* ---- verification ---- */

/* Without a layer that is to blame the difference is chance, and grows no larger with samples. */
static void
say_apart(struct qs_ctx *cx, const struct qs_verified *v)
{
    const struct qs_verified_metric *m = &v->metric[0];
    char text[160];
    if (v->labelled)
        snprintf(text, sizeof(text), _("in integers %s is %.4f, simulated %.4f (%lld samples)"),
                 m->name, m->value[QS_VERIFY_INTEGER], m->value[QS_VERIFY_SIMULATED],
                 (long long)v->samples);
    else
        snprintf(text, sizeof(text),
                 _("outputs in integers and simulated have a cosine of %.6f (%lld samples)"),
                 v->cosine, (long long)v->samples);
    if (v->n_layer == 0)
        qs_note(cx, _("%s: no layer differs by itself, roundings to either side add up"), text);
    else
        qs_warn(cx, "%s", text);
}

static void
say_verified(struct qs_ctx *cx, const struct qs_verified *v)
{
    if (v->reason)
        qs_note(cx, _("the model was not verified in integers: %s"), v->reason);
    if (v->samples == 0 || v->ok)
        return;
    say_apart(cx, v);
    for (int i = 0; i < v->n_layer; i++)
        qs_warn(cx,
                i ? _("'%s' (%s) differs too: SQNR %.1f dB")
                  : _("they part in '%s' (%s): SQNR %.1f dB"),
                v->layer[i].name, v->layer[i].op_type, v->layer[i].sqnr_db);
}

static enum qs_err
verify(struct qs_ctx *cx, struct quantize *q)
{
    const int given = q->plan->samples;
    const int samples = given > 0 && given < q->opt->verify ? given : q->opt->verify;
    if (q->plan->method != QS_METHOD_STATIC || samples == 0)
        return QS_OK;
    if (q->decisions->n_integer == 0) {
        q->verified->reason = qs_xstrdup(_("it has no integer weights"));
        return QS_OK;
    }
    const enum qs_err err =
        qs_app_verify(cx, q->o, q->run->file[0].path, q->plan->data, samples, q->verified);
    if (err)
        return err;
    qs_verified_record(q->verified, q->run);
    say_verified(cx, q->verified);
    return QS_OK;
}

/* ---- the run ---- */

static enum qs_err
carry_out(struct qs_ctx *cx, struct quantize *q)
{
    enum qs_err err = transform(cx, q);
    if (!err)
        err = write_files(cx, q);
    if (!err)
        err = verify(cx, q);
    if (err)
        return err;
    describe_layers(q);
    qs_ranges_record(&q->ranges, q->work, q->plan->activation_bits, q->run);
    char *real = realpath(q->opt->output, NULL);
    if (real)
        set_text(&q->run->output, real);
    return QS_OK;
}

static enum qs_err
run_recorded(struct qs_ctx *cx, struct quantize *q)
{
    enum qs_err err = q->opt->dry_run ? QS_OK : check_output(cx, q);
    if (!err && q->plan->method == QS_METHOD_STATIC && !q->opt->dry_run && !q->plan->data)
        err = qs_fail(cx, QS_ERR_USAGE,
                      _("method static needs --data FILE to calibrate with (--dry-run does "
                        "without)"));
    if (!err)
        err = qs_record_begin(cx, &q->record, q->run, "quantize", q->o);
    if (err)
        return err;
    describe(q);
    if (q->opt->dry_run)
        return predict(cx, q);
    if (!q->opt->no_store)
        qs_record_store(cx, &q->record, q->opt->db);
    return qs_record_end(cx, &q->record, carry_out(cx, q));
}

/* $XDG_CONFIG_HOME/qslim/targets; malloc, NULL when there is none. */
static char *
own_targets(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char *path = NULL;
    if (config && config[0] == '/')
        path = qs_xasprintf("%s/qslim/targets", config);
    else if (home && *home)
        path = qs_xasprintf("%s/.config/qslim/targets", home);
    if (path && qs_exists(path))
        return path;
    free(path);
    return NULL;
}

static void
warn_of_target(struct qs_ctx *cx, const struct qs_preflight_target *t)
{
    for (int i = 0; i < t->n_problem; i++)
        qs_warn(cx,
                t->problem[i].verdict == QS_VERDICT_WRONG
                    ? _("%s gets %d quantized %s wrong: %s")
                    : _("%s does not take %d quantized %s: %s"),
                t->name, t->problem[i].n, t->problem[i].op_type, t->problem[i].note);
}

/* What targets will do with it; of the plan's own target what is bad is said. */
static enum qs_err
look_ahead(struct qs_ctx *cx, const struct quantize *q)
{
    struct qs_targets targets;
    struct qs_preflight all;
    char *path = q->opt->targets ? qs_xstrdup(q->opt->targets) : own_targets();
    qs_targets_init(&targets);
    const enum qs_err err = path ? qs_targets_load(cx, path, &targets) : QS_OK;
    free(path);
    qs_preflight_make(q->work->model, q->work->layers, q->plan, q->decisions, &targets, &all);
    qs_targets_release(&targets);
    for (int i = 0; i < all.n && !err; i++)
        if (strcmp(all.target[i].name, qs_plan_target_name(q->plan)) == 0)
            warn_of_target(cx, &all.target[i]);
    if (q->opt->preflight)
        *q->opt->preflight = all;
    else
        qs_preflight_release(&all);
    return err;
}

/* Changes of the float model that the plan wants first. */
static enum qs_err
prepare_float(struct qs_ctx *cx, struct quantize *q)
{
    int n = 0;
    q->work = q->o;
    if (q->plan->method != QS_METHOD_STATIC || !(q->plan->fold_bn || q->plan->equalize))
        return QS_OK;
    struct qs_model *m = qs_model_clone(q->o->model);
    enum qs_err err = qs_fold_bn(cx, m, &n);
    if (!err)
        qs_note(cx, _("batch norms put into filters: %d"), n);
    if (!err && q->plan->equalize)
        err = qs_equalize(cx, m, &n);
    if (!err && q->plan->equalize)
        qs_note(cx, _("pairs of layers evened out: %d"), n);
    if (err) {
        qs_model_unref(m);
        return err;
    }
    err = qs_app_derive(cx, q->o, m, &q->derived);
    q->work = q->derived;
    return err;
}

/* ---- what is faster in float ---- */

static void
say_faster(struct qs_ctx *cx, const struct qs_faster *f)
{
    if (f->n > 0)
        qs_note(cx,
                _("%d of the weights stay in float, which is faster on this CPU: %.3g ms instead "
                  "of %.3g ms with all "
                  "in integers, %.3g ms in FP32"),
                f->n, f->chosen, f->int8_all, f->fp32_all);
    else if (f->int8_all < f->fp32_all)
        qs_note(cx,
                _("no layer is faster in float on this CPU: %.3g ms in integers, %.3g ms in "
                  "FP32"),
                f->int8_all, f->fp32_all);
    else
        qs_warn(cx, _("the model is no faster in integers on this CPU: %.3g ms, %.3g ms in FP32"),
                f->int8_all, f->fp32_all);
}

/* The plan with a rule for each of these layers, which gives the same files on any CPU. */
static void
settle_plan(const struct quantize *q, const struct qs_faster *f, struct qs_plan *plan)
{
    plan->optimize = QS_OPTIMIZE_NONE;
    for (int i = 0; i < q->work->layers->n; i++)
        if (f->layer[i]) {
            char *rule =
                qs_xasprintf("%s=skip", q->work->model->var[q->work->layers->layer[i].var].name);
            qs_strv_add(&plan->layer, rule);
            free(rule);
        }
}

static void
give_reasons(struct quantize *q, const struct qs_faster *f)
{
    for (int i = 0; i < q->decisions->n; i++) {
        struct qs_decision *d = &q->decisions->layer[i];
        if (!f->layer[i])
            continue;
        d->action = QS_ACTION_KEEP;
        snprintf(d->reason, sizeof(d->reason),
                 f->fp32_ms[i] < f->int8_ms[i]
                     ? _("float is faster on this CPU (%.3g ms against %.3g ms)")
                     : _("between layers that are faster in float on this CPU (%.3g ms against "
                         "%.3g ms)"),
                 f->fp32_ms[i], f->int8_ms[i]);
    }
}

static enum qs_err
apply_faster(struct qs_ctx *cx, struct quantize *q, const struct qs_faster *f, struct qs_plan *plan)
{
    struct qs_decisions *d = NULL;
    settle_plan(q, f, plan);
    q->plan = plan;
    const enum qs_err err =
        qs_decide(cx, q->work->model, q->work->edges, q->work->layers, plan, &d);
    if (err)
        return err;
    qs_decisions_free(q->decisions);
    q->decisions = d;
    give_reasons(q, f);
    return QS_OK;
}

/* `plan` is a copy of the plan, to be changed. */
static enum qs_err
optimize(struct qs_ctx *cx, struct quantize *q, struct qs_plan *plan)
{
    struct qs_faster f = {0};
    if (plan->method != QS_METHOD_STATIC || plan->optimize != QS_OPTIMIZE_LATENCY)
        return QS_OK;
    if (!plan->data) {
        qs_note(cx, "%s", _("without --data no layer is measured"));
        return QS_OK;
    }
    enum qs_err err = qs_app_optimize(cx, q->work, plan, q->decisions, &f);
    if (err == QS_ERR_UNSUPPORTED) {
        qs_note(cx, _("layers were not measured: %s"), qs_message(cx));
        qs_clear(cx);
        err = QS_OK;
    } else if (!err) {
        say_faster(cx, &f);
        err = apply_faster(cx, q, &f, plan);
    }
    qs_faster_release(&f);
    return err;
}

/* ---- entry ---- */

static void
release(struct quantize *q)
{
    qs_model_unref(q->pass.model);
    qs_model_unref(q->pass.test);
    free(q->pass.outcome);
    qs_fit_release(q->fitted, q->n_fitted);
    qs_ranges_release(&q->ranges);
    qs_decisions_free(q->decisions);
    qs_app_close(q->derived);
}

enum qs_err
qs_app_quantize(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_plan *plan,
                const struct qs_quantize_options *opt, struct qs_run *run)
{
    struct qs_verified own = {0};
    struct qs_plan settled; /* changed by --optimize */
    struct quantize q = {.o = o,
                         .plan = plan,
                         .opt = opt,
                         .run = run,
                         .verified = opt->verified ? opt->verified : &own};
    *run = (struct qs_run){0};
    *q.verified = own;
    qs_plan_copy(&settled, plan);
    enum qs_err err = qs_app_need_params(cx, o);
    if (!err)
        err = prepare_float(cx, &q);
    if (!err)
        err = qs_decide(cx, q.work->model, q.work->edges, q.work->layers, plan, &q.decisions);
    if (!err)
        err = optimize(cx, &q, &settled);
    if (!err) {
        say_decisions(cx, &q);
        q.pass.outcome = qs_xcalloc((size_t)q.work->layers->n + 1, sizeof(*q.pass.outcome));
        err = look_ahead(cx, &q);
        if (!err)
            err = run_recorded(cx, &q);
    }
    release(&q);
    qs_verified_release(&own);
    qs_plan_release(&settled);
    return err;
}
