/* SPDX-License-Identifier: Apache-2.0 */
/* `qslim bench`: how long a model takes on inputs of given shapes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/app.h"
#include "app/parts.h"
#include "app/runnable.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernels/cpu.h"
#include "model/shape.h"

enum { WARM_UP = 3, RUNS_LEAST = 5, RUNS_MOST = 1000000, NAMES_MOST = 4 };
static const double float_seconds = 1; /* at most, of --seconds once more */
static const double clearly = 0.95;    /* a part of the run, float by integer */

struct bench {
    const struct qs_opened *o;
    struct qs_benched *done;
    struct qs_value *in;
    struct qs_buf **buf;
    int n_in;
    struct qs_runnable runnable;
    struct qs_engine *engine;
    double *ms; /* of each run */
    int cap, n_op_cap;
    double last; /* the exact engine: time at which the last tensor was made */
    int op;      /* of the run: the next */
};

static double
ms_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + (double)t.tv_nsec / 1e6;
}

/* ---- inputs ---- */

/* Floats between 0 and 1, as images have them; integers are 0. */
static void
fill(struct qs_value *v, uint64_t seed)
{
    uint64_t state = seed;
    memset(v->data, 0, (size_t)v->count * (size_t)qs_dtype_bytes(v->dtype));
    for (int64_t i = 0; v->dtype == QS_DTYPE_float32 && i < v->count; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        v->f32[i] = (float)(state >> 40) / (float)(1 << 24);
    }
}

static enum qs_err
make_input(struct qs_ctx *cx, struct bench *b, int i, const char *name, const struct qs_shape *s)
{
    struct qs_value *v = &b->in[i];
    if (!s->known || qs_dtype_bytes(s->dtype) == 0)
        return qs_fail(cx, QS_ERR_USAGE, _("the shape of input '%s' is not known: give --shape"),
                       name);
    *v = (struct qs_value){.dtype = s->dtype, .n = s->n};
    memcpy(v->d, s->d, sizeof(v->d));
    enum qs_err err = qs_count_elements(cx, v->d, v->n, &v->count);
    if (!err && v->count > INT64_MAX / 16)
        err = qs_fail(cx, QS_ERR_MEMORY, _("input '%s' is too large"), name);
    if (!err)
        err = qs_buf_new(cx, (size_t)v->count * (size_t)qs_dtype_bytes(v->dtype), &b->buf[i]);
    if (err)
        return err;
    v->data = b->buf[i]->data;
    fill(v, cx->seed);
    return QS_OK;
}

static enum qs_err
make_inputs(struct qs_ctx *cx, struct bench *b, const struct qs_bench_options *opt)
{
    const struct qs_model *m = b->o->model;
    struct qs_shapes *shapes = NULL;
    struct qs_arena arena;
    enum qs_err err = QS_OK;
    qs_arena_init(&arena);
    struct qs_input_shape *given =
        qs_arena_calloc(&arena, (size_t)opt->shapes->n + 1, sizeof(*given));
    for (int i = 0; i < opt->shapes->n && !err; i++)
        err = qs_input_shape_parse(cx, &arena, opt->shapes->v[i], &given[i]);
    if (!err)
        err = qs_infer_shapes(cx, m, given, opt->shapes->n, &shapes);
    int32_t *var = qs_arena_calloc(&arena, (size_t)b->n_in + 1, sizeof(*var));
    qs_model_inputs(m, var, b->n_in);
    for (int i = 0; i < b->n_in && !err; i++)
        err = make_input(cx, b, i, m->var[var[i]].name, &shapes->var[var[i]]);
    qs_shapes_free(shapes);
    qs_arena_release(&arena);
    return err;
}

/* ---- runs ---- */

static struct qs_bench_op *
op_at(struct bench *b, int i, const char *type, const char *name)
{
    struct qs_benched *d = b->done;
    if (i < d->n_op)
        return &d->op[i];
    if (d->n_op == b->n_op_cap) {
        b->n_op_cap = b->n_op_cap ? 2 * b->n_op_cap : 64;
        d->op = qs_xrealloc(d->op, (size_t)b->n_op_cap * sizeof(*d->op));
    }
    d->op[d->n_op] = (struct qs_bench_op){
        .op_type = qs_xstrdup(type),
        .name = qs_xstrdup(name),
        .ms = (double)INFINITY,
        .int8_ms = (double)NAN,
        .fp32_ms = (double)NAN,
    };
    return &d->op[d->n_op++];
}

static void
note_time(struct bench *b, int i, const struct qs_fast_step *s)
{
    struct qs_bench_op *op = op_at(b, i, s->op_type, s->name);
    const double ms = 1e3 * s->seconds;
    op->integer = s->integer;
    op->ms = ms < op->ms ? ms : op->ms;
}

/* Steps of the fast engine; their time in ms. */
static double
note_steps(struct bench *b)
{
    const struct qs_fast *fast = qs_engine_fast(b->engine);
    double ms = 0;
    for (; fast && b->op < qs_fast_n_steps(fast); b->op++) {
        const struct qs_fast_step s = qs_fast_step(fast, b->op);
        note_time(b, b->op, &s);
        ms += 1e3 * s.seconds;
    }
    return ms;
}

/* What the exact engine makes; what the fast engine did comes before it. */
static enum qs_err
see_exact(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    struct bench *b = arg;
    const double now = ms_now();
    const struct qs_model *m = b->o->model;
    if (b->op == 0)
        b->last += note_steps(b);
    const struct qs_fast_step step = {.op_type = m->block[0].node[node].type,
                                      .name = m->var[var].name,
                                      .seconds = now > b->last ? 1e-3 * (now - b->last) : 0};
    (void)cx, (void)v;
    note_time(b, b->op++, &step);
    b->last = ms_now();
    return QS_OK;
}

static enum qs_err
run_once(struct qs_ctx *cx, struct bench *b)
{
    const struct qs_watch watch = {see_exact, b};
    b->last = ms_now();
    b->op = 0;
    const enum qs_err err = qs_engine_run(cx, b->engine, b->in, b->n_in, &watch);
    if (!err)
        (void)note_steps(b);
    return err;
}

static int
compare_ms(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum qs_err
measure(struct qs_ctx *cx, struct bench *b, double seconds)
{
    struct qs_benched *d = b->done;
    enum qs_err err = QS_OK;
    for (int i = 0; i < WARM_UP && !err; i++)
        err = run_once(cx, b);
    const double start = ms_now();
    while (!err && d->runs < RUNS_MOST &&
           (d->runs < RUNS_LEAST || ms_now() - start < 1e3 * seconds)) {
        const double before = ms_now();
        err = run_once(cx, b);
        const double ms = ms_now() - before;
        if (d->runs == b->cap) {
            b->cap = b->cap ? 2 * b->cap : 256;
            b->ms = qs_xrealloc(b->ms, (size_t)b->cap * sizeof(*b->ms));
        }
        b->ms[d->runs++] = ms;
    }
    if (err)
        return err;
    qsort(b->ms, (size_t)d->runs, sizeof(*b->ms), compare_ms);
    d->ms_min = b->ms[0];
    d->ms_median = b->ms[d->runs / 2];
    return QS_OK;
}

/* ---- integers beside floats ---- */

/* A model in integers and the same in floats, and the shortest time of every part of each. */
struct sides {
    struct qs_parts parts;
    struct qs_engine *fp32;
    int *part_of[2];
    double *best[2];
};

static void
sides_release(struct sides *s)
{
    for (int k = 0; k < 2; k++) {
        free(s->part_of[k]);
        free(s->best[k]);
    }
    qs_engine_free(s->fp32);
    qs_parts_release(&s->parts);
}

static enum qs_err
sides_run(struct qs_ctx *cx, struct bench *b, struct sides *s, double seconds)
{
    struct qs_engine *const engine[2] = {b->engine, s->fp32};
    const double start = ms_now();
    for (int run = 0; run < WARM_UP + RUNS_LEAST || ms_now() - start < 1e3 * seconds; run++)
        for (int k = 0; k < 2; k++) {
            const enum qs_err err = qs_engine_run(cx, engine[k], b->in, b->n_in, NULL);
            if (err)
                return err;
            const struct qs_fast *f = qs_engine_fast(engine[k]);
            if (!s->part_of[k])
                s->part_of[k] = qs_parts_of_steps(&s->parts, f);
            if (run >= WARM_UP)
                qs_parts_note(&s->parts, f, s->part_of[k], s->best[k]);
        }
    return QS_OK;
}

static enum qs_err
sides_init(struct qs_ctx *cx, struct bench *b, struct sides *s)
{
    const struct qs_engine_options how = {0};
    *s = (struct sides){0};
    qs_parts_init(&s->parts, b->runnable.model, &b->runnable.notes);
    for (int k = 0; k < 2; k++) {
        s->best[k] = qs_xmalloc(((size_t)s->parts.n + 1) * sizeof(*s->best[k]));
        for (int i = 0; i < s->parts.n; i++)
            s->best[k][i] = (double)INFINITY;
    }
    enum qs_err err = qs_engine_new(cx, b->runnable.model, &how, &s->fp32);
    if (!err)
        err = qs_engine_run(cx, s->fp32, b->in, b->n_in, NULL);
    return err;
}

/* Float times of the integer steps. */
static enum qs_err
compare(struct qs_ctx *cx, struct bench *b, double seconds)
{
    struct sides s;
    if (!b->runnable.integer || !qs_engine_fast(b->engine))
        return QS_OK;
    enum qs_err err = sides_init(cx, b, &s);
    if (!err && qs_engine_fast(s.fp32)) {
        err = sides_run(cx, b, &s, seconds < float_seconds ? seconds : float_seconds);
        for (int i = 0; i < b->done->n_op && !err; i++) {
            struct qs_bench_op *op = &b->done->op[i];
            if (!op->integer)
                continue;
            op->int8_ms = 1e3 * s.best[0][s.part_of[0][i]];
            op->fp32_ms = 1e3 * s.best[1][s.part_of[0][i]];
        }
    }
    sides_release(&s);
    return err;
}

static int
compare_loss(const void *a, const void *b)
{
    const struct qs_bench_op *const *x = a, *const *y = b;
    const double p = (*x)->int8_ms - (*x)->fp32_ms, q = (*y)->int8_ms - (*y)->fp32_ms;
    return (q > p) - (q < p);
}

int
qs_benched_slower(const struct qs_benched *d, struct qs_str *out)
{
    const struct qs_bench_op **op = qs_xcalloc((size_t)d->n_op + 1, sizeof(*op));
    int n = 0;
    for (int i = 0; i < d->n_op; i++)
        if (d->op[i].integer && d->op[i].fp32_ms < clearly * d->op[i].int8_ms)
            op[n++] = &d->op[i];
    qsort(op, (size_t)n, sizeof(*op), compare_loss);
    for (int i = 0; i < n && i < NAMES_MOST; i++)
        qs_str_printf(out, _("%s%s (%.3g ms, %.3g ms in float)"), i ? ", " : "", op[i]->name,
                      op[i]->int8_ms, op[i]->fp32_ms);
    if (n > NAMES_MOST)
        qs_str_printf(out, _(" and %d more"), n - NAMES_MOST);
    free(op);
    return n;
}

static void
say_slower(struct qs_ctx *cx, const struct qs_benched *d)
{
    struct qs_str text;
    qs_str_init(&text);
    if (qs_benched_slower(d, &text) > 0)
        qs_note(cx,
                _("slower in integers than in float on this CPU: %s; 'qslim quantize --method "
                  "static --optimize latency' leaves such layers in float"),
                text.s);
    qs_str_release(&text);
}

static enum qs_err
make_engine(struct qs_ctx *cx, struct bench *b, int precision)
{
    const struct qs_engine_options how = {0};
    const enum qs_err err = qs_runnable_init(cx, &b->runnable, b->o, precision);
    return err ? err : qs_runnable_engine(cx, &b->runnable, &how, &b->engine);
}

static void
describe(const struct qs_ctx *cx, const struct bench *b)
{
    struct qs_benched *d = b->done;
    const struct qs_fast *fast = qs_engine_fast(b->engine);
    d->threads = cx->threads;
    d->engine = qs_engine_kind(b->engine);
    d->isa = fast ? qs_fast_isa(fast) : qk_cpu_name();
    d->param_bytes = qs_engine_param_bytes(b->engine);
    d->peak_bytes = qs_engine_peak_bytes(b->engine);
    d->live_bytes = qs_engine_live_bytes(b->engine);
}

enum qs_err
qs_app_bench(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_bench_options *opt,
             struct qs_benched *done)
{
    struct bench b = {.o = o, .done = done};
    *done = (struct qs_benched){0};
    enum qs_err err = qs_app_need_params(cx, o);
    if (err)
        return err;
    b.n_in = qs_model_inputs(o->model, NULL, 0);
    b.in = qs_xcalloc((size_t)b.n_in + 1, sizeof(*b.in));
    b.buf = qs_xcalloc((size_t)b.n_in + 1, sizeof(struct qs_buf *));
    err = make_inputs(cx, &b, opt);
    if (!err)
        err = make_engine(cx, &b, opt->precision);
    if (!err)
        err = measure(cx, &b, opt->seconds);
    if (!err)
        err = compare(cx, &b, opt->seconds);
    if (!err) {
        describe(cx, &b);
        say_slower(cx, done);
    }
    qs_engine_free(b.engine);
    qs_runnable_release(&b.runnable);
    for (int i = 0; i < b.n_in; i++)
        qs_buf_unref(b.buf[i]);
    free(b.in);
    free(b.buf);
    free(b.ms);
    if (err)
        qs_benched_release(done);
    return err;
}

void
qs_benched_release(struct qs_benched *done)
{
    for (int i = 0; i < done->n_op; i++) {
        free(done->op[i].op_type);
        free(done->op[i].name);
    }
    free(done->op);
    *done = (struct qs_benched){0};
}
