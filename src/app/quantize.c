/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "config.h"
#include "db/db.h"
#include "io/format.h"
#include "kernels/cpu.h"
#include "passes/pass.h"

static double
seconds_now(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Everything one quantization needs; released as a whole. */
struct quantize {
    const struct qs_opened *o;
    const struct qs_plan *plan;
    const struct qs_quantize_options *opt;
    struct qs_decisions *decisions;
    struct qs_pass_state pass;
    struct qs_db *db; /* NULL: the run is not stored */
    struct qs_run *run;
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

/* What the run record knows before the work. */
static void
describe(const struct qs_ctx *cx, struct quantize *q)
{
    struct qs_run *run = q->run;
    struct qs_str text;
    const struct qs_model *m = q->o->model;
    qs_str_init(&text);
    qs_plan_print(q->plan, &text);
    *run = (struct qs_run){
        .parent = q->opt->parent,
        .kind = qs_xstrdup("quantize"),
        .state = qs_xstrdup(q->opt->dry_run ? "planned" : "running"),
        .model_path = qs_xstrdup(q->o->path),
        .model_digest = qs_xstrdup(""),
        .model_bytes = m->program_bytes + m->params_bytes,
        .plan = qs_str_take(&text),
        .method = qs_xstrdup(qs_plan_opts[0].choices[q->plan->method]),
        .bits = q->plan->weight_bits,
        .version = qs_xstrdup(PACKAGE_VERSION),
        .machine = qs_xstrdup(qk_cpu_model()),
        .isa = qs_xstrdup(qk_cpu_name()),
        .threads = cx->threads,
        .started = seconds_now(CLOCK_REALTIME),
        .bytes_before = m->program_bytes + m->params_bytes,
        .output = qs_xstrdup(""),
        .tag = qs_xstrdup(""),
        .message = qs_xstrdup(""),
    };
    if (q->opt->output) {
        free(run->output);
        run->output = realpath(q->opt->output, NULL);
        if (!run->output)
            run->output = qs_xstrdup(q->opt->output);
    }
    qs_str_release(&text);
}

static void
describe_layers(struct quantize *q)
{
    const struct qs_model *m = q->o->model;
    q->run->layer = qs_xcalloc((size_t)q->decisions->n, sizeof(*q->run->layer));
    for (int i = 0; i < q->decisions->n; i++) {
        const struct qs_layer *l = &q->o->layers->layer[i];
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
            .scale_bytes = d->scale_bytes,
        };
    }
}

static enum qs_err
transform(struct qs_ctx *cx, struct quantize *q)
{
    struct qs_pass_state *st = &q->pass;
    st->model = qs_model_clone(q->o->model);
    st->test = q->plan->generate_test_model ? qs_model_clone(q->o->model) : NULL;
    st->edges = q->o->edges;
    st->layers = q->o->layers;
    st->plan = q->plan;
    st->decisions = q->decisions;
    return qs_run_recipe(cx, st);
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
    q->run->bytes_after = (int64_t)n + q->decisions->params_after;
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
    if (!err)
        q->run->bytes_after = q->run->file[0].bytes + q->run->file[1].bytes;
    return err;
}

/* Trouble with the store never costs the user the model. */
static void
store_failed(struct qs_ctx *cx, struct quantize *q, enum qs_err kept_err, const char *kept)
{
    qs_warn(cx, _("this run is not stored: %s"), qs_message(cx));
    qs_clear(cx);
    if (kept_err)
        (void)qs_fail(cx, kept_err, "%s", kept);
    qs_db_close(q->db);
    q->db = NULL;
    q->run->id = 0;
}

static void
open_store(struct qs_ctx *cx, struct quantize *q)
{
    if (q->opt->no_store)
        return;
    char *path = q->opt->db ? qs_xstrdup(q->opt->db) : qs_db_default_path();
    if (qs_db_open(cx, path, &q->db) != QS_OK || qs_db_run_begin(cx, q->db, q->run) != QS_OK)
        store_failed(cx, q, QS_OK, "");
    free(path);
}

static void
close_store(struct qs_ctx *cx, struct quantize *q, enum qs_err err)
{
    char message[sizeof(cx->message)];
    snprintf(message, sizeof(message), "%s", err ? qs_message(cx) : "");
    free(q->run->state);
    free(q->run->message);
    q->run->state = qs_xstrdup(!err ? "done" : err == QS_ERR_CANCELLED ? "cancelled" : "failed");
    q->run->message = qs_xstrdup(message);
    if (!q->db)
        return;
    qs_clear(cx);
    if (qs_db_run_end(cx, q->db, q->run) != QS_OK)
        store_failed(cx, q, err, message);
    else if (err)
        (void)qs_fail(cx, err, "%s", message);
    qs_db_close(q->db);
    q->db = NULL;
}

static enum qs_err
set_digest(struct qs_ctx *cx, struct quantize *q)
{
    char hex[QS_DIGEST_HEX];
    const enum qs_err err = qs_app_digest(cx, q->o, hex);
    if (err)
        return err;
    free(q->run->model_digest);
    q->run->model_digest = qs_xstrdup(hex);
    return QS_OK;
}

static enum qs_err
carry_out(struct qs_ctx *cx, struct quantize *q)
{
    const double start = seconds_now(CLOCK_MONOTONIC);
    enum qs_err err = check_output(cx, q);
    if (!err)
        err = set_digest(cx, q);
    if (err)
        return err;
    open_store(cx, q);
    err = transform(cx, q);
    if (!err)
        err = write_files(cx, q);
    if (!err) {
        describe_layers(q);
        char *real = realpath(q->opt->output, NULL);
        if (real) {
            free(q->run->output);
            q->run->output = real;
        }
    }
    q->run->seconds = seconds_now(CLOCK_MONOTONIC) - start;
    close_store(cx, q, err);
    return err;
}

enum qs_err
qs_app_quantize(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_plan *plan,
                const struct qs_quantize_options *opt, struct qs_run *run)
{
    struct quantize q = {.o = o, .plan = plan, .opt = opt, .run = run};
    *run = (struct qs_run){0};
    enum qs_err err = qs_app_need_params(cx, o);
    if (!err)
        err = qs_decide(cx, o->model, o->edges, o->layers, plan, &q.decisions);
    if (err)
        return err;
    say_decisions(cx, &q);
    describe(cx, &q);
    q.pass.outcome = qs_xcalloc((size_t)o->layers->n, sizeof(*q.pass.outcome));
    err = opt->dry_run ? predict(cx, &q) : carry_out(cx, &q);
    qs_model_unref(q.pass.model);
    qs_model_unref(q.pass.test);
    free(q.pass.outcome);
    qs_decisions_free(q.decisions);
    return err;
}
