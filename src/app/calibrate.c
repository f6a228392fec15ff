/* SPDX-License-Identifier: Apache-2.0 */
/* `qslim calibrate`: what the activations of a model are like on sample data. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/record.h"
#include "app/runner.h"
#include "base/clock.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "base/str.h"
#include "model/infer.h"

struct calibration {
    const struct qs_opened *o;
    const struct qs_calibrate_options *opt;
    struct qs_calibrated *out;
    struct qs_dataset *data;
    struct qs_runner *runner;
    int *at; /* [n_var] index in out; -1: not observed */
    struct qs_sample *pending[QS_CALIBRATE_BATCH_MOST];
    int n_pending, batch;
    int pass;        /* 0, 1 */
    int64_t n_bad;   /* in the batch, the most of any activation */
    int first_bad;   /* the first activation in which there was one; -1 */
    int64_t n_first; /* in that */
};

/* ---- what is observed ---- */

struct rounded_op { /* slots whose activations static quantization rounds or measures */
    const char *type, *in[2], *out;
};
static const struct rounded_op rounded_ops[] = {
    {"conv2d", {"Input"}, "Output"},
    {"depthwise_conv2d", {"Input"}, "Output"},
    {"conv2d_transpose", {"Input"}, "Output"},
    {"mul", {"X", "Y"}, "Out"},
    {"matmul", {"X", "Y"}, "Out"},
    {"matmul_v2", {"X", "Y"}, "Out"},
};

static const struct rounded_op *
rounded_op_of(const struct qs_node *node)
{
    for (size_t i = 0; i < QS_LEN(rounded_ops); i++)
        if (strcmp(rounded_ops[i].type, node->type) == 0)
            return &rounded_ops[i];
    return NULL;
}

static void
want_var(const struct qs_model *m, int32_t var, bool *want)
{
    if (var >= 0 && !qs_var_is_param(&m->var[var]))
        want[var] = true;
}

static void
want_all_outputs(const struct qs_model *m, const struct qs_node *node, bool *want)
{
    for (int s = 0; s < node->n_out; s++)
        for (int i = 0; i < node->out[s].n; i++)
            want_var(m, node->out[s].var[i], want);
}

void
qs_app_calibrate_want(const struct qs_model *m, bool all, bool *want)
{
    memset(want, 0, (size_t)m->n_var * sizeof(*want));
    for (int32_t i = 0; m->n_block > 0 && i < m->block[0].n_node; i++) {
        const struct qs_node *node = &m->block[0].node[i];
        const struct rounded_op *op = rounded_op_of(node);
        if (all && strcmp(node->type, "fetch") != 0)
            want_all_outputs(m, node, want);
        for (int k = 0; op && k < 2 && op->in[k]; k++)
            want_var(m, qs_node_input(node, op->in[k], 0), want);
        if (op)
            want_var(m, qs_node_output(node, op->out, 0), want);
    }
}

static void
add_observer(struct calibration *c, int32_t var)
{
    struct qs_calibrated *out = c->out;
    c->at[var] = out->n;
    out->var[out->n] = var;
    out->observer[out->n++] = qs_observer_new(&c->opt->calib);
}

/* In order of the program; what no node of it makes comes last. */
static void
make_observers(struct calibration *c, const bool *want)
{
    const struct qs_model *m = c->o->model;
    struct qs_calibrated *out = c->out;
    const size_t n = (size_t)m->n_var + 1;
    c->at = qs_xcalloc(n, sizeof(*c->at));
    out->var = qs_xcalloc(n, sizeof(*out->var));
    out->observer = qs_xcalloc(n, sizeof(struct qs_observer *));
    out->seen = qs_xcalloc(n, sizeof(*out->seen));
    for (int32_t v = 0; v < m->n_var; v++)
        c->at[v] = -1;
    for (int32_t i = 0; i < m->block[0].n_node; i++) {
        const struct qs_node *node = &m->block[0].node[i];
        for (int s = 0; s < node->n_out; s++)
            for (int k = 0; k < node->out[s].n; k++)
                if (want[node->out[s].var[k]] && c->at[node->out[s].var[k]] < 0)
                    add_observer(c, node->out[s].var[k]);
    }
    for (int32_t v = 0; v < m->n_var; v++)
        if (want[v] && c->at[v] < 0)
            add_observer(c, v);
}

static const char *
name_of(const struct calibration *c, int i)
{
    return c->o->model->var[c->out->var[i]].name;
}

/* ---- memory ---- */

static int64_t
bytes_of(const struct qs_shapes *s, int32_t var)
{
    const struct qs_shape *x = &s->var[var];
    if (!x->known)
        return 0;
    return qs_mul_sat(qs_shape_count(x), qs_dtype_bytes(x->dtype));
}

/* The last node of block 0 that uses each variable; -1: none. */
static int32_t *
last_uses(const struct qs_opened *o)
{
    const struct qs_model *m = o->model;
    int32_t *last = qs_xcalloc((size_t)m->n_var + 1, sizeof(*last));
    for (int32_t v = 0; v < m->n_var; v++) {
        last[v] = -1;
        for (int i = 0; i < o->edges->n_reader[v]; i++)
            if (o->edges->reader[v][i].block == 0)
                last[v] = o->edges->reader[v][i].node;
    }
    return last;
}

static int64_t
change_of(const struct qs_model *m, const struct qs_shapes *s, const struct qs_slot *slot, int n,
          const int32_t *last, int32_t at)
{
    int64_t bytes = 0;
    for (int k = 0; k < n; k++)
        for (int i = 0; i < slot[k].n; i++) {
            const int32_t v = slot[k].var[i];
            if (!qs_var_is_param(&m->var[v]) && (at < 0 || last[v] == at))
                bytes = qs_add_sat(bytes, bytes_of(s, v));
        }
    return bytes;
}

/* The most bytes of tensors alive at once, from their shapes. */
static int64_t
alive_at_once(const struct qs_opened *o, const struct qs_shapes *s)
{
    const struct qs_model *m = o->model;
    int32_t *last = last_uses(o);
    int64_t now = 0, most = 0;
    for (int32_t i = 0; i < m->block[0].n_node; i++) {
        const struct qs_node *node = &m->block[0].node[i];
        now = qs_add_sat(now, change_of(m, s, node->out, node->n_out, last, -1));
        most = now > most ? now : most;
        now -= change_of(m, s, node->in, node->n_in, last, i);
    }
    free(last);
    return most;
}

/* Bytes of tensors for a batch of samples like this one; 0: not known. */
static int64_t
tensor_bytes(struct qs_ctx *cx, const struct calibration *c, const struct qs_sample *sample)
{
    struct qs_input_shape in[QS_SAMPLE_INPUTS_MOST];
    struct qs_shapes *shapes = NULL;
    struct qs_ctx own;
    qs_ctx_init_child(&own, cx);
    for (int i = 0; i < sample->n_input; i++) {
        const struct qs_value *v = &sample->input[i];
        in[i] = (struct qs_input_shape){.name = sample->input_name[i], .n = v->n};
        memcpy(in[i].d, v->d, sizeof(in[i].d));
        in[i].d[0] *= c->batch;
    }
    if (qs_infer_shapes(&own, c->o->model, in, sample->n_input, &shapes) != QS_OK)
        return 0;
    const int64_t bytes = alive_at_once(c->o, shapes);
    qs_shapes_free(shapes);
    return bytes;
}

static void
say_memory(struct qs_ctx *cx, const struct calibration *c, const struct qs_sample *sample)
{
    char tensors[16], params[16], seen[16];
    qs_format_bytes(tensors, sizeof(tensors), tensor_bytes(cx, c, sample));
    qs_format_bytes(params, sizeof(params), c->o->model->params_bytes);
    qs_format_bytes(seen, sizeof(seen), c->out->n * qs_observer_bytes(&c->opt->calib));
    qs_note(cx,
            _("%d activations; memory, for any number of samples: %s parameters, about %s tensors, "
              "%s observers"),
            c->out->n, params, tensors, seen);
}

/* ---- running ---- */

/* Of a variable that is written again and again only the last counts. */
static bool
is_last_writer(const struct qs_opened *o, int32_t node, int32_t var)
{
    const int n = o->edges->n_writer[var];
    for (int i = 0; n > 1 && i < n; i++) {
        const struct qs_ref r = o->edges->writer[var][i];
        if (r.block == 0 && r.node > node)
            return false;
    }
    return true;
}

static void
note_bad(struct calibration *c, int i, int64_t n)
{
    if (n == 0)
        return;
    c->n_bad = n > c->n_bad ? n : c->n_bad;
    c->first_bad = c->first_bad < 0 ? i : c->first_bad;
    c->n_first += i == c->first_bad ? n : 0;
}

/* qs_watch.made */
static enum qs_err
observe(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    struct calibration *c = arg;
    const int i = c->at[var];
    if (i < 0 || !is_last_writer(c->o, node, var))
        return QS_OK;
    const int64_t bad = qs_observer_bad(c->out->observer[i]);
    const enum qs_err err = qs_observer_add(cx, c->out->observer[i], v);
    note_bad(c, i, qs_observer_bad(c->out->observer[i]) - bad);
    return err;
}

static void
drop_pending(struct calibration *c)
{
    while (c->n_pending > 0)
        qs_sample_free(c->pending[--c->n_pending]);
}

static enum qs_err
run_pending(struct qs_ctx *cx, struct calibration *c)
{
    const struct qs_watch watch = {observe, c};
    const int n = c->n_pending;
    if (n == 0)
        return QS_OK;
    c->n_bad = 0;
    enum qs_err err = qs_runner_run(cx, c->runner, c->pending, n, &watch);
    if (err)
        return qs_prefix(cx, _("cannot run on sample '%s'"), c->data->name[c->pending[0]->i]);
    if (c->pass == 0) {
        c->out->samples += n;
        c->out->bad += c->n_bad < n ? c->n_bad : n;
    }
    qs_progress(cx, c->pass ? _("calibrate, second pass") : _("calibrate"),
                c->pending[n - 1]->i + 1, c->data->n);
    drop_pending(c);
    return QS_OK;
}

/* Takes the sample over. */
static enum qs_err
run_sample(struct qs_ctx *cx, struct calibration *c, struct qs_sample *s)
{
    enum qs_err err = QS_OK;
    if (c->n_pending > 0 && !qs_samples_alike(c->pending[0], s))
        err = run_pending(cx, c);
    c->pending[c->n_pending++] = s;
    if (!err && c->n_pending >= c->batch)
        err = run_pending(cx, c);
    return err;
}

static enum qs_err
run_pass(struct qs_ctx *cx, struct calibration *c)
{
    struct qs_sample *s = NULL;
    enum qs_err err;
    while (!(err = qs_dataset_next(cx, c->data, &s)) && s) {
        if (c->pass == 0 && c->out->samples + c->n_pending == 0)
            say_memory(cx, c, s);
        err = run_sample(cx, c, s);
        if (err)
            break;
    }
    if (!err)
        err = run_pending(cx, c);
    drop_pending(c);
    return err;
}

/* What the data have to say was said in the first pass. */
static void
progress_only(void *arg, const struct qs_event *ev)
{
    struct qs_ctx *cx = arg;
    if (ev->kind == QS_EVENT_PROGRESS)
        cx->sink(cx->sink_arg, ev);
}

static enum qs_err
run_quietly(struct qs_ctx *cx, struct calibration *c)
{
    struct qs_ctx outer = {.sink = cx->sink, .sink_arg = cx->sink_arg};
    if (cx->sink) {
        cx->sink = progress_only;
        cx->sink_arg = &outer;
    }
    const enum qs_err err = run_pass(cx, c);
    cx->sink = outer.sink;
    cx->sink_arg = outer.sink_arg;
    return err;
}

static bool
wants_again(struct calibration *c)
{
    bool again = false;
    for (int i = 0; i < c->out->n; i++)
        again |= qs_observer_again(c->out->observer[i]);
    return again;
}

static enum qs_err
run_all(struct qs_ctx *cx, struct calibration *c)
{
    enum qs_err err = run_pass(cx, c);
    c->out->broken = c->data->n_broken;
    while (!err && wants_again(c)) {
        c->pass++;
        qs_dataset_rewind(c->data);
        err = run_quietly(cx, c);
    }
    return err;
}

/* ---- results ---- */

static enum qs_err
judge_one(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct qs_calibrated *out = arg;
    (void)cx;
    qs_observer_result(out->observer[i], &out->seen[i]);
    return QS_OK;
}

static void
warn_unreached(struct qs_ctx *cx, const struct calibration *c)
{
    int n = 0, first = 0;
    for (int i = 0; i < c->out->n; i++)
        if (c->out->seen[i].n_values == 0 && c->out->seen[i].n_bad == 0 && n++ == 0)
            first = i;
    if (n == 1)
        qs_warn(cx, _("'%s' was never computed, or is not of floats"), name_of(c, first));
    else if (n > 1)
        qs_warn(cx, _("'%s' and %d more activations were never computed, or are not of floats"),
                name_of(c, first), n - 1);
}

static void
warn(struct qs_ctx *cx, const struct calibration *c)
{
    const struct qs_calibrated *out = c->out;
    if (c->first_bad >= 0)
        qs_warn(cx,
                _("NaN or infinity, first in '%s' (%" PRId64 " times): %" PRId64 " of %" PRId64
                  " samples are left out where they have it"),
                name_of(c, c->first_bad), c->n_first, out->bad, out->samples);
    if (out->samples < QS_CALIBRATE_SAMPLES_FEW)
        qs_warn(cx, _("only %" PRId64 " samples: thresholds hang on each of them, take %d or more"),
                out->samples, QS_CALIBRATE_SAMPLES_FEW);
}

static void
note_memory(struct calibration *c)
{
    const struct qs_engine *e = qs_runner_engine(c->runner);
    c->out->engine = qs_engine_kind(e);
    c->out->peak_bytes = qs_engine_param_bytes(e) + qs_engine_peak_bytes(e) +
                         c->out->n * qs_observer_bytes(&c->opt->calib);
}

static enum qs_err
finish(struct qs_ctx *cx, struct calibration *c)
{
    const enum qs_err err = qs_parallel_for(cx, c->out->n, judge_one, c->out);
    if (err)
        return err;
    note_memory(c);
    warn(cx, c);
    if (!c->opt->want)
        warn_unreached(cx, c);
    return QS_OK;
}

/* ---- entry ---- */

static enum qs_err
check_float(struct qs_ctx *cx, const struct qs_opened *o)
{
    struct qs_quant_info info;
    qs_quant_info_of(o->model, &info);
    if (info.kind != QS_QUANT_FAKEQUANT && info.kind != QS_QUANT_QDQ)
        return QS_OK;
    return qs_fail(cx, QS_ERR_UNSUPPORTED,
                   _("'%s' is already quantized (%s): calibrate the model it was made of"), o->path,
                   qs_quant_kind_name(info.kind));
}

static enum qs_err
prepare(struct qs_ctx *cx, struct calibration *c)
{
    const struct qs_dataset_options how = {c->opt->samples, c->opt->max_pixels};
    const struct qs_model *m = c->o->model;
    bool *want = qs_xcalloc((size_t)m->n_var + 1, sizeof(*want));
    if (c->opt->want)
        memcpy(want, c->opt->want, (size_t)m->n_var * sizeof(*want));
    else
        qs_app_calibrate_want(m, false, want);
    const struct qs_runner_options run = {
        .engine = {.exact = c->opt->exact || c->opt->calib.paddle, .keep = want},
        .batch = c->batch};
    enum qs_err err = check_float(cx, c->o);
    if (!err)
        err = qs_dataset_open(cx, c->opt->data, &how, &c->data);
    if (!err)
        err = qs_runner_new(cx, c->o, &run, &c->runner);
    if (!err)
        make_observers(c, want);
    if (!err && c->out->n == 0)
        err = qs_fail(cx, QS_ERR_FORMAT, _("'%s' has no operator that is quantized statically"),
                      c->o->path);
    free(want);
    return err;
}

enum qs_err
qs_app_calibrate(struct qs_ctx *cx, const struct qs_opened *o,
                 const struct qs_calibrate_options *opt, struct qs_calibrated *out)
{
    struct calibration c = {.o = o, .opt = opt, .out = out, .first_bad = -1};
    const double start = qs_seconds_now();
    *out = (struct qs_calibrated){.calib = opt->calib, .engine = ""};
    c.batch = opt->batch < 1                         ? 1
              : opt->batch > QS_CALIBRATE_BATCH_MOST ? QS_CALIBRATE_BATCH_MOST
                                                     : (int)opt->batch;
    enum qs_err err = prepare(cx, &c);
    if (!err)
        err = run_all(cx, &c);
    if (!err)
        err = finish(cx, &c);
    out->seconds = qs_seconds_now() - start;
    qs_runner_free(c.runner);
    qs_dataset_close(c.data);
    free(c.at);
    if (err)
        qs_calibrated_release(out);
    return err;
}

void
qs_calibrated_release(struct qs_calibrated *c)
{
    for (int i = 0; i < c->n; i++)
        if (c->observer)
            qs_observer_free(c->observer[i]);
    free(c->var);
    free(c->observer);
    free(c->seen);
    *c = (struct qs_calibrated){.engine = ""};
}

const struct qs_observed *
qs_calibrated_of(const struct qs_calibrated *c, int32_t var)
{
    for (int i = 0; i < c->n; i++)
        if (c->var[i] == var)
            return c->seen[i].n_values > 0 ? &c->seen[i] : NULL;
    return NULL;
}

/* ---- the run ---- */

enum { STORED_BINS = 512 };

static const char *
reader_type(const struct qs_opened *o, int32_t var)
{
    for (int i = 0; i < o->edges->n_reader[var]; i++) {
        const struct qs_ref r = o->edges->reader[var][i];
        const struct qs_node *node = &o->model->block[r.block].node[r.node];
        if (rounded_op_of(node))
            return node->type;
    }
    return "";
}

/* Coarser bins, up to the largest; counts scaled to what 32 bits hold. */
static void
store_histogram(const struct qs_observed *s, struct qs_run_activation *row)
{
    const int each = s->n_bin / STORED_BINS;
    int64_t sum[STORED_BINS] = {0}, most = 1;
    int n = 0;
    for (int i = 0; i < s->n_bin; i++) {
        sum[i / each] += s->count[i];
        n = s->count[i] ? i / each + 1 : n;
    }
    for (int i = 0; i < n; i++)
        most = sum[i] > most ? sum[i] : most;
    row->width = s->width * each;
    row->n_bin = n;
    row->count = qs_xcalloc((size_t)n + 1, sizeof(*row->count));
    for (int i = 0; i < n; i++)
        row->count[i] = most <= INT32_MAX ? (int32_t)sum[i]
                                          : (int32_t)((double)sum[i] / (double)most * INT32_MAX);
}

static char *
thresholds_text(const struct qs_observed *s)
{
    struct qs_str text;
    qs_str_init(&text);
    for (int i = 0; i < QS_N_ALGO; i++)
        if (s->threshold[i] == s->threshold[i])
            qs_str_printf(&text, "%s%s=%.9g", text.n ? " " : "", qs_algo_names[i], s->threshold[i]);
    return qs_str_take(&text);
}

void
qs_calibrated_rows(const struct qs_calibrated *c, const struct qs_opened *o, const int *algo,
                   struct qs_run *run)
{
    run->activation = qs_xcalloc((size_t)c->n + 1, sizeof(*run->activation));
    for (int i = 0; i < c->n; i++) {
        const struct qs_observed *s = &c->seen[i];
        struct qs_run_activation *row = &run->activation[run->n_activation++];
        const int taken = algo && algo[i] >= 0 && algo[i] < QS_N_ALGO ? algo[i] : s->best;
        *row = (struct qs_run_activation){
            .var = qs_xstrdup(o->model->var[c->var[i]].name),
            .op_type = qs_xstrdup(reader_type(o, c->var[i])),
            .min = s->min,
            .max = s->max,
            .n_samples = s->n_samples,
            .n_bad = s->n_bad,
            .algo = qs_xstrdup(qs_algo_names[taken]),
            .threshold = s->threshold[taken],
            .sqnr_db = s->sqnr_db[taken],
            .thresholds = thresholds_text(s),
        };
        store_histogram(s, row);
    }
}

/* The choices of the run, as comments of a plan file. */
static void
note_choices(const struct qs_calibrate_options *opt, struct qs_run *run)
{
    struct qs_str text;
    char *data = realpath(opt->data, NULL);
    qs_str_init(&text);
    qs_str_printf(&text, "# data = %s\n# samples = %" PRId64 "\n# batch = %" PRId64 "\n",
                  data ? data : opt->data, opt->samples, opt->batch);
    qs_str_printf(&text, "# algo = %s\n# hist-percent = %g\n", qs_algo_names[opt->algo],
                  opt->calib.hist_percent);
    if (opt->calib.paddle)
        qs_str_printf(&text, "# compat = paddle\n# format = %s\n",
                      opt->calib.qdq ? "qdq" : "fakequant");
    free(data);
    free(run->plan);
    run->plan = qs_str_take(&text);
    run->bits = opt->calib.bits;
}

static void
store_rows(const struct qs_calibrated *c, const struct qs_opened *o, int algo, struct qs_run *run)
{
    int *taken = qs_xcalloc((size_t)c->n + 1, sizeof(*taken));
    for (int i = 0; i < c->n; i++)
        taken[i] = algo;
    qs_calibrated_rows(c, o, taken, run);
    free(taken);
}

enum qs_err
qs_app_calibrate_run(struct qs_ctx *cx, const struct qs_opened *o,
                     const struct qs_calibrate_options *opt, bool no_store, const char *db,
                     struct qs_calibrated *out, struct qs_run *run)
{
    struct qs_record record;
    *out = (struct qs_calibrated){.engine = ""};
    *run = (struct qs_run){0};
    enum qs_err err = qs_record_begin(cx, &record, run, "calibrate", o);
    if (err)
        return err;
    note_choices(opt, run);
    if (!no_store)
        qs_record_store(cx, &record, db);
    err = qs_app_calibrate(cx, o, opt, out);
    if (!err)
        store_rows(out, o, opt->algo, run);
    return qs_record_end(cx, &record, err);
}
