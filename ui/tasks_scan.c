/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: sensitivity scans are made, read and turned into a plan. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/tasks.h"
#include "ui/text.h"
#include "ui/ui.h"

/* --- the newest stored scan ------------------------------------------------------------------- */

struct read_task {
    struct ui_task task;
    const char *db;
    struct qs_run run;
};

/* The newest that has rows; id 0: there is none. */
static enum qs_err
read_newest(struct qs_ctx *cx, const char *db, const char *digest, struct qs_run *out)
{
    struct qs_runs runs = {0};
    enum qs_err err = qs_app_runs(cx, db, &runs);
    for (int i = 0; i < runs.n && !err && out->n_sensitivity == 0; i++) {
        const struct qs_run *r = &runs.run[i];
        if (strcmp(r->kind, "sensitivity") != 0 || strcmp(r->model_digest, digest) != 0)
            continue;
        qs_run_release(out);
        err = qs_app_run(cx, db, r->id, out);
    }
    qs_runs_release(&runs);
    return err;
}

static enum qs_err
run_read(struct qs_ctx *cx, struct qs_job *job)
{
    struct read_task *t = (struct read_task *)job;
    char digest[QS_DIGEST_HEX];
    const enum qs_err err = qs_app_digest(cx, t->task.model->opened, digest);
    return err ? err : read_newest(cx, t->db, digest, &t->run);
}

static void
finish_read(struct ui *ui, struct ui_task *task)
{
    struct read_task *t = (struct read_task *)task;
    /* a scan that has begun meanwhile is newer */
    if (task->job.state != QS_JOB_DONE || task->model != ui->model || ui->scan.task ||
        ui->scan.run.id > t->run.id)
        return;
    qs_run_release(&ui->scan.run);
    ui->scan.run = t->run;
    ui->scan.read = true;
    t->run = (struct qs_run){0};
    ui_emit(ui, UI_EVENT_SCAN);
}

static void
release_read(struct ui_task *task)
{
    struct read_task *t = (struct read_task *)task;
    qs_run_release(&t->run);
    t->run = (struct qs_run){0};
}

void
ui_task_scan_read(struct ui *ui)
{
    if (!ui->model || ui->scan.task)
        return;
    struct read_task *t = ui_task_new(sizeof(*t), run_read, _("read the newest scan"));
    t->db = ui->db;
    t->task.quiet = true;
    t->task.model = ui_model_ref(ui->model);
    t->task.finish = finish_read;
    t->task.release = release_read;
    ui_submit(ui, &t->task);
}

/* --- a scan ----------------------------------------------------------------------------------- */

enum { BITS_MOST = 15 };

/* Rows so far: written by the worker, taken by the workbench. */
struct rows {
    pthread_mutex_t mutex;
    struct qs_run_sensitivity *row;
    int n;
    bool fresh; /* told and not yet taken */
};

struct scan_task {
    struct ui_task task;
    struct ui_scan_choices choices; /* what opt points into */
    int bits[BITS_MOST];
    struct qs_sensitivity_options opt;
    struct rows rows;
    struct qs_sensed done;
};

static void
copy_row(struct qs_run_sensitivity *to, const struct qs_run_sensitivity *from)
{
    *to = *from;
    to->weight = qs_xstrdup(from->weight);
    to->op_type = qs_xstrdup(from->op_type);
    to->mode = qs_xstrdup(from->mode);
}

/* Rows belong to a run, which frees them. */
static void
drop_rows(struct qs_run_sensitivity *row, int n)
{
    struct qs_run run = {.sensitivity = row, .n_sensitivity = n};
    qs_run_release(&run);
}

/* In the worker. What was not taken yet is replaced. */
static void
put_rows(void *arg, const struct qs_run_sensitivity *row, int n, int64_t done, int64_t of)
{
    struct scan_task *t = arg;
    struct rows *rows = &t->rows;
    struct qs_run_sensitivity *copy = qs_xcalloc((size_t)n + 1, sizeof(*copy));
    for (int i = 0; i < n; i++)
        copy_row(&copy[i], &row[i]);
    pthread_mutex_lock(&rows->mutex);
    struct qs_run_sensitivity *old = rows->row;
    const int n_old = rows->n;
    const bool tell = !rows->fresh;
    rows->row = copy;
    rows->n = n;
    rows->fresh = true;
    pthread_mutex_unlock(&rows->mutex);
    drop_rows(old, n_old);
    if (tell)
        qs_job_item(&t->task.job, 0);
    (void)done; /* progress events have them */
    (void)of;
}

static void
take_rows(struct ui *ui, struct ui_task *task, int64_t item)
{
    struct scan_task *t = (struct scan_task *)task;
    struct qs_run *run = &ui->scan.run;
    (void)item;
    pthread_mutex_lock(&t->rows.mutex);
    struct qs_run_sensitivity *row = t->rows.row;
    const int n = t->rows.n;
    t->rows.row = NULL;
    t->rows.n = 0;
    t->rows.fresh = false;
    pthread_mutex_unlock(&t->rows.mutex);
    if (ui->scan.task != task) {
        drop_rows(row, n);
        return;
    }
    drop_rows(run->sensitivity, run->n_sensitivity);
    run->sensitivity = row;
    run->n_sensitivity = n;
    ui_scan_sort(row, n);
    ui_emit(ui, UI_EVENT_SCAN);
}

static enum qs_err
run_scan(struct qs_ctx *cx, struct qs_job *job)
{
    struct scan_task *t = (struct scan_task *)job;
    return qs_app_sensitivity(cx, t->task.model->opened, &t->opt, put_rows, t, &t->done);
}

/* "0.9944 -> 0.9722 top1 with all quantized; most: conv2d_1.w_0 0.0111" */
static char *
result_of(const struct qs_sensed *done)
{
    struct qs_str text;
    qs_str_init(&text);
    qs_str_printf(&text, "%s ", done->metric);
    ui_add_metric(&text, done->metric, done->baseline);
    qs_str_add(&text, _(", with all layers quantized "));
    ui_add_metric(&text, done->metric, done->quantized);
    if (done->run.n_sensitivity > 0)
        qs_str_printf(&text, _("; worst is %s"), done->run.sensitivity[0].weight);
    return qs_str_take(&text);
}

static void
finish_scan(struct ui *ui, struct ui_task *task)
{
    struct scan_task *t = (struct scan_task *)task;
    if (task->job.state == QS_JOB_DONE) {
        task->result = result_of(&t->done);
        ui_say(ui, UI_GOOD, _("scanned: %s"), task->result);
    } else if (task->job.state == QS_JOB_CANCELLED && t->done.run.id) {
        task->result = qs_xasprintf(_("run %lld keeps what it has; R in Sensitivity goes on"),
                                    (long long)t->done.run.id);
        ui_say(ui, UI_CAUTION, _("scan stopped: %s"), task->result);
    }
    if (ui->scan.task == task) {
        ui->scan.task = NULL;
        /* one that was stopped leaves what it has */
        if (t->done.run.n_sensitivity > 0) {
            qs_run_release(&ui->scan.run);
            ui->scan.run = t->done.run;
            t->done.run = (struct qs_run){0};
        } else {
            ui_task_scan_read(ui);
        }
        ui_emit(ui, UI_EVENT_SCAN);
    }
    ui_task_runs(ui);
}

static void
release_scan(struct ui_task *task)
{
    struct scan_task *t = (struct scan_task *)task;
    qs_sensed_release(&t->done);
    t->done = (struct qs_sensed){0};
    qs_opts_release(ui_scan_opts, ui_n_scan_opts, &t->choices);
    drop_rows(t->rows.row, t->rows.n);
    t->rows.row = NULL;
    t->rows.n = 0;
    pthread_mutex_destroy(&t->rows.mutex);
}

/* "8,4"; false: it is no list of widths. */
static bool
parse_bits(const char *text, int bits[BITS_MOST], int *n)
{
    *n = 0;
    for (const char *p = text; *p;) {
        char *end;
        const long v = strtol(p, &end, 10);
        if (end == p || (*end && *end != ',') || v < 2 || v > 16 || *n == BITS_MOST)
            return false;
        bits[(*n)++] = (int)v;
        p = end + (*end == ',');
    }
    return *n > 0;
}

static const char *
or_null(const char *text)
{
    return text && *text ? text : NULL;
}

static void
set_options(struct scan_task *t, const char *db, int64_t resume)
{
    static const int mode_set[] = {
        1 << QS_SENSE_BOTH, 1 << QS_SENSE_WEIGHTS, 1 << QS_SENSE_ACTIVATIONS,
        1 << QS_SENSE_BOTH | 1 << QS_SENSE_WEIGHTS | 1 << QS_SENSE_ACTIVATIONS};
    const struct ui_scan_choices *c = &t->choices;
    t->opt.db = db;
    t->opt.resume = resume;
    if (resume) /* it has its choices */
        return;
    t->opt.data = c->data;
    t->opt.samples = c->samples;
    t->opt.metric = or_null(c->metric);
    t->opt.op_types = or_null(c->op_types);
    t->opt.modes = mode_set[c->mode];
    t->opt.bits = t->bits;
    t->opt.weight_type = c->weight_type;
    t->opt.algo = c->algo;
    t->opt.top = c->top;
    t->opt.others = c->others;
    t->opt.precision = c->precision;
}

static void
begin_scan(struct ui *ui, const struct scan_task *t)
{
    struct qs_run *run = &ui->scan.run;
    if (!t->opt.resume) {
        qs_run_release(run);
        *run = (struct qs_run){0};
    }
    free(run->state);
    run->state = qs_xstrdup("running");
    ui->scan.task = (struct ui_task *)&t->task;
    ui_emit(ui, UI_EVENT_SCAN);
    ui_say(ui, UI_DIM, _("scanning; 5 shows the job, p there pauses it"));
}

void
ui_task_scan(struct ui *ui, int64_t resume)
{
    const struct ui_scan_choices *c = &ui->scan.choices;
    int bits[BITS_MOST] = {0}, n_bits = 0;
    const char *why = !ui->model                            ? _("no model is open")
                      : ui->scan.task                       ? _("a scan of this model runs")
                      : !resume && !or_null(c->data)        ? _("a scan needs data")
                      : !parse_bits(c->bits, bits, &n_bits) ? _("bits go from 2 to 16, as '8,4'")
                                                            : NULL;
    if (why) {
        ui_say(ui, UI_CAUTION, "%s", why);
        return;
    }
    struct scan_task *t = ui_task_new(sizeof(*t), run_scan, _("scan %s on %s"), ui->model->name,
                                      resume ? _("the data of before") : c->data);
    qs_opts_copy(ui_scan_opts, ui_n_scan_opts, &t->choices, c);
    memcpy(t->bits, bits, sizeof(bits));
    t->opt.n_bits = resume ? 0 : n_bits;
    set_options(t, ui->db, resume);
    pthread_mutex_init(&t->rows.mutex, NULL);
    t->task.model = ui_model_ref(ui->model);
    t->task.item = take_rows;
    t->task.finish = finish_scan;
    t->task.release = release_scan;
    begin_scan(ui, t);
    ui_submit(ui, &t->task);
}

/* --- a plan from a scan ----------------------------------------------------------------------- */

struct propose_task {
    struct ui_task task;
    const char *db;
    int64_t scan;
    struct qs_plan base;
    struct qs_propose_options opt;
    int step; /* of the front that is shown, -1: a new front */
    struct qs_proposal proposal;
    bool made;
};

static enum qs_err
run_propose(struct qs_ctx *cx, struct qs_job *job)
{
    struct propose_task *t = (struct propose_task *)job;
    struct qs_run scan = {0};
    enum qs_err err = qs_app_run(cx, t->db, t->scan, &scan);
    if (!err)
        err = qs_app_propose(cx, t->task.model->opened, &scan, &t->opt, &t->proposal);
    t->made = !err;
    qs_run_release(&scan);
    return err;
}

static void
take_front(struct ui_scan *s, struct propose_task *t)
{
    if (s->proposed) {
        qs_proposal_release(&s->proposal);
        qs_plan_release(&s->base);
    }
    s->proposal = t->proposal;
    qs_plan_copy(&s->base, &t->base);
    s->proposed = true;
    t->made = false;
}

/* The front that is shown stays, another of its steps is the one taken. */
static void
take_step(struct ui_scan *s, const struct propose_task *t)
{
    for (int i = 0; i < s->proposal.n_front; i++)
        s->proposal.front[i].chosen = i == t->step;
    qs_plan_release(&s->proposal.plan);
    qs_plan_copy(&s->proposal.plan, &t->proposal.plan);
    s->proposal.meets = true;
}

static void
say_proposal(struct ui *ui)
{
    const struct qs_proposal *p = &ui->scan.proposal;
    char bytes[16];
    qs_format_bytes(bytes, sizeof(bytes), p->bytes);
    if (p->meets)
        ui_say(ui, UI_GOOD, _("the plan is the proposed one: about %s, %d rules; u undoes"), bytes,
               p->plan.layer.n);
    else
        ui_say(ui, UI_CAUTION, _("the bound cannot be met; the nearest plan: about %s, %d rules"),
               bytes, p->plan.layer.n);
}

static void
finish_propose(struct ui *ui, struct ui_task *task)
{
    struct propose_task *t = (struct propose_task *)task;
    struct ui_scan *s = &ui->scan;
    if (task->job.state != QS_JOB_DONE || task->model != ui->model)
        return;
    if (t->step >= 0 && s->proposed && t->step < s->proposal.n_front)
        take_step(s, t);
    else
        take_front(s, t);
    s->proposal.bytes = t->proposal.bytes;
    ui_plan_keep(&ui->plan);
    qs_plan_release(&ui->plan.now);
    qs_plan_copy(&ui->plan.now, &s->proposal.plan);
    ui_plan_changed(ui);
    ui_emit(ui, UI_EVENT_PROPOSAL);
    say_proposal(ui);
}

static void
release_propose(struct ui_task *task)
{
    struct propose_task *t = (struct propose_task *)task;
    if (t->made)
        qs_proposal_release(&t->proposal);
    t->made = false;
    qs_plan_release(&t->base);
}

static bool
same_plan(const struct qs_plan *a, const struct qs_plan *b)
{
    struct qs_str x, y;
    qs_str_init(&x);
    qs_str_init(&y);
    qs_plan_print(a, &x);
    qs_plan_print(b, &y);
    const bool same = strcmp(x.s, y.s) == 0;
    qs_str_release(&x);
    qs_str_release(&y);
    return same;
}

/* A proposal is no base for the next one: that is what the first one had. */
static const struct qs_plan *
base_of(const struct ui *ui)
{
    const struct ui_scan *s = &ui->scan;
    return s->proposed && same_plan(&ui->plan.now, &s->proposal.plan) ? &s->base : &ui->plan.now;
}

static void
propose(struct ui *ui, const struct qs_propose_options *opt, int step, const char *bound)
{
    struct propose_task *t = ui_task_new(sizeof(*t), run_propose, _("propose a plan: %s"), bound);
    qs_plan_copy(&t->base, base_of(ui));
    t->db = ui->db;
    t->scan = ui->scan.run.id;
    t->opt = *opt;
    t->opt.base = &t->base;
    t->step = step;
    t->task.model = ui_model_ref(ui->model);
    t->task.finish = finish_propose;
    t->task.release = release_propose;
    ui_submit(ui, &t->task);
}

/* "0.5" or "0.5%", "40%" of `whole` or "300k"; false: neither. */
static bool
parse_bound(const char *text, int64_t whole, struct qs_propose_options *opt)
{
    static const struct qs_opt size = {.name = "max-size", .type = QS_OPT_SIZE};
    const bool drop = strncmp(text, "max-drop=", 9) == 0;
    struct qs_ctx cx;
    char *end;
    if (!drop && strncmp(text, "max-size=", 9) != 0)
        return false;
    text += 9;
    const double v = strtod(text, &end);
    const bool percent = end > text && strcmp(end, "%") == 0;
    qs_ctx_init(&cx);
    if (!drop && !percent)
        return qs_opt_set(&cx, &size, text, &opt->max_bytes) == QS_OK;
    if (end == text || (*end && !percent) || !(v >= 0 && v < 1e9))
        return false;
    opt->points = drop && !percent;
    if (drop)
        opt->max_drop = percent ? v / 100 : v;
    else
        opt->max_bytes = (int64_t)(v / 100 * (double)whole);
    return true;
}

/* Whether there is what a plan can be made from. */
static bool
has_scan(struct ui *ui)
{
    const struct qs_run *run = &ui->scan.run;
    const bool has = ui->model && run->id && !ui->scan.task && strcmp(run->state, "done") == 0;
    if (!has)
        ui_say(ui, UI_CAUTION, _("there is no finished scan of the open model; :scan makes one"));
    return has;
}

void
ui_task_propose(struct ui *ui, const char *text)
{
    struct qs_propose_options opt = {.max_drop = -1, .max_bytes = -1};
    char bound[64] = "", check[8] = "";
    if (!has_scan(ui))
        return;
    const struct qs_model *m = ui->model->opened->model;
    sscanf(text, "%63s %7s", bound, check);
    opt.check = strcmp(check, "check") == 0;
    if (!parse_bound(bound, m->program_bytes + m->params_bytes, &opt) || (*check && !opt.check))
        ui_say(ui, UI_BAD,
               _("a bound is max-drop=0.5%% or max-size=40%%, then perhaps check; "
                 "not '%s'"),
               text);
    else
        propose(ui, &opt, -1, text);
}

void
ui_task_propose_step(struct ui *ui, int step)
{
    struct qs_propose_options opt = {.max_drop = -1};
    char title[32];
    if (!has_scan(ui) || !ui->scan.proposed || step < 0 || step >= ui->scan.proposal.n_front)
        return;
    opt.max_bytes = ui->scan.proposal.front[step].bytes;
    snprintf(title, sizeof(title), _("step %d"), step);
    propose(ui, &opt, step, title);
}
