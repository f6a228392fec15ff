/* SPDX-License-Identifier: Apache-2.0 */
#include "app/runner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/inputs.h"
#include "app/runnable.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "data/preprocess.h"

/* Together, the tensors of larger samples leave the cache between one layer and the next. */
enum { BATCH_PAYS = 8, ELEMENTS_PAY = 32 << 10 /* of the input of a batch */ };

struct qs_runner {
    const struct qs_opened *o;
    struct qs_runnable own;
    const struct qs_runnable *runnable; /* its own, or that of the one it is like */
    struct qs_engine *engine;
    struct qs_inputs in;
    int batch;  /* 1: one sample at a time; 0: as many as pay */
    bool tried; /* that samples do not mix */
    struct qs_value out[QS_RUNNER_BATCH_MOST];
    struct qs_buf *kept[QS_RUNNER_BATCH_MOST]; /* outputs of samples run one after the other */
};

/* ---- one model ---- */

/* A program that fixes the first dimension takes one sample at a time. */
static bool
is_open(const struct qs_runner *r)
{
    for (int i = 0; i < r->in.n; i++) {
        const struct qs_var *v = &r->o->model->var[r->in.var[i]];
        if (v->n_dims < 1 || v->dims[0] >= 0)
            return false;
    }
    return r->in.n > 0;
}

enum qs_err
qs_runner_new(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_runner_options *opt,
              struct qs_runner **out)
{
    struct qs_runner *r = qs_xcalloc(1, sizeof(*r));
    enum qs_err err = QS_OK;
    r->runnable = opt->like ? opt->like->runnable : &r->own;
    if (!opt->like)
        err = qs_runnable_init(cx, &r->own, o, opt->precision);
    r->o = o;
    qs_inputs_init(&r->in, o);
    r->batch = is_open(r) ? opt->batch : 1;
    if (r->batch > QS_RUNNER_BATCH_MOST)
        r->batch = QS_RUNNER_BATCH_MOST;
    struct qs_engine_options how = opt->engine;
    if (opt->like) {
        r->batch = opt->like->batch;
        r->tried = opt->like->tried;
        how.like = opt->like->engine;
    }
    if (!err)
        err = qs_runnable_engine(cx, r->runnable, &how, &r->engine);
    if (err)
        qs_runner_free(r);
    else
        *out = r;
    return err;
}

static void
drop_kept(struct qs_runner *r)
{
    for (int i = 0; i < QS_RUNNER_BATCH_MOST; i++) {
        qs_buf_unref(r->kept[i]);
        r->kept[i] = NULL;
    }
}

void
qs_runner_free(struct qs_runner *r)
{
    if (!r)
        return;
    qs_inputs_release(&r->in);
    qs_engine_free(r->engine);
    qs_runnable_release(&r->own);
    drop_kept(r);
    free(r);
}

/* ---- samples to inputs ---- */

bool
qs_samples_alike(const struct qs_sample *a, const struct qs_sample *b)
{
    if (a->n_input != b->n_input)
        return false;
    for (int i = 0; i < a->n_input; i++) {
        const struct qs_value *x = &a->input[i], *y = &b->input[i];
        if (x->dtype != y->dtype || x->n != y->n || x->lod || y->lod ||
            memcmp(x->d, y->d, (size_t)x->n * sizeof(x->d[0])) != 0)
            return false;
    }
    return true;
}

int
qs_runner_batch(const struct qs_runner *r, const struct qs_sample *s)
{
    int64_t count = 1;
    if (r->batch > 0)
        return r->batch;
    for (int i = 0; i < s->n_input; i++)
        count = s->input[i].count > count ? s->input[i].count : count;
    const int64_t n = ELEMENTS_PAY / count;
    return n < 1 ? 1 : n > BATCH_PAYS ? BATCH_PAYS : (int)n;
}

/* ---- running ---- */

/* Runs on n samples put together; *out is the last output, which is the one that counts. */
static enum qs_err
run_together(struct qs_ctx *cx, struct qs_runner *r, struct qs_sample *const *s, int n,
             const struct qs_watch *watch, const struct qs_value **out)
{
    enum qs_err err = qs_inputs_bind(cx, &r->in, s, n);
    if (!err)
        err = qs_engine_run(cx, r->engine, r->in.value, r->in.n, watch);
    qs_inputs_drop(&r->in);
    if (err)
        return err;
    const int n_out = qs_engine_n_out(r->engine);
    *out = n_out > 0 ? qs_engine_out(r->engine, n_out - 1) : NULL;
    if (!*out || !(*out)->data)
        return qs_fail(cx, QS_ERR_FORMAT, _("'%s' computes no output"), r->o->path);
    return QS_OK;
}

/* The part of an output of n samples that is sample i's; false when it does not have such parts. */
static bool
part_of(const struct qs_value *out, int n, int i, struct qs_value *part)
{
    *part = *out;
    if (n == 1)
        return true;
    if (out->n < 1 || out->d[0] != n || out->lod)
        return false;
    part->d[0] = 1;
    part->count = out->count / n;
    part->u8 = out->u8 + (size_t)(part->count * i) * (size_t)qs_dtype_bytes(out->dtype);
    return true;
}

static bool
same_numbers(const struct qs_value *a, const struct qs_value *b)
{
    double sum = 0, diff = 0;
    if (a->dtype != b->dtype || a->n != b->n || a->count != b->count ||
        memcmp(a->d, b->d, (size_t)a->n * sizeof(a->d[0])) != 0)
        return false;
    if (a->dtype != QS_DTYPE_float32)
        return memcmp(a->data, b->data, (size_t)a->count * (size_t)qs_dtype_bytes(a->dtype)) == 0;
    for (int64_t i = 0; i < a->count; i++) {
        const double x = (double)a->f32[i], d = x - (double)b->f32[i];
        sum += x * x;
        diff += d * d;
    }
    return diff <= 1e-6 * sum || !isfinite(sum);
}

/* Whether the last of n samples gives the same alone and among the others. */
static enum qs_err
try_together(struct qs_ctx *cx, struct qs_runner *r, struct qs_sample *const *s, int n, bool *good)
{
    const struct qs_value *out = NULL;
    struct qs_value alone, among;
    enum qs_err err = run_together(cx, r, s + n - 1, 1, NULL, &out);
    *good = false;
    if (err)
        return err;
    err = qs_data_tensor(cx, out->dtype, out->n, out->d, &alone);
    if (err)
        return err;
    memcpy(alone.data, out->data, (size_t)out->count * (size_t)qs_dtype_bytes(out->dtype));
    err = run_together(cx, r, s, n, NULL, &out);
    if (!err)
        *good = part_of(out, n, n - 1, &among) && same_numbers(&alone, &among);
    qs_data_tensor_release(&alone);
    if (!err || err == QS_ERR_CANCELLED)
        return err;
    qs_clear(cx); /* the model takes no such batch */
    return QS_OK;
}

/* One after the other. */
static enum qs_err
run_singly(struct qs_ctx *cx, struct qs_runner *r, struct qs_sample *const *s, int n,
           const struct qs_watch *watch)
{
    const struct qs_value *out = NULL;
    drop_kept(r);
    for (int i = 0; i < n; i++) {
        enum qs_err err = run_together(cx, r, s + i, 1, watch, &out);
        if (err)
            return err;
        r->out[i] = *out;
        if (i == n - 1)
            break;
        const size_t bytes = (size_t)out->count * (size_t)qs_dtype_bytes(out->dtype);
        err = qs_buf_new(cx, bytes, &r->kept[i]);
        if (err)
            return err;
        r->out[i].data = memcpy(r->kept[i]->data, out->data, bytes);
    }
    return QS_OK;
}

enum qs_err
qs_runner_run(struct qs_ctx *cx, struct qs_runner *r, struct qs_sample *const *s, int n,
              const struct qs_watch *watch)
{
    const struct qs_value *out = NULL;
    enum qs_err err = QS_OK;
    bool good = true;
    if (n > 1 && r->batch != 1 && !r->tried) {
        err = try_together(cx, r, s, n, &good);
        r->tried = true;
        if (!good)
            r->batch = 1;
    }
    if (err)
        return err;
    if (n == 1 || r->batch == 1)
        return run_singly(cx, r, s, n, watch);
    err = run_together(cx, r, s, n, watch, &out);
    for (int i = 0; i < n && !err; i++)
        if (!part_of(out, n, i, &r->out[i]))
            err = qs_fail(cx, QS_ERR_FORMAT, _("'%s' mixes the samples of a batch"), r->o->path);
    return err;
}

const struct qs_value *
qs_runner_out(const struct qs_runner *r, int i)
{
    return &r->out[i];
}

const struct qs_engine *
qs_runner_engine(const struct qs_runner *r)
{
    return r->engine;
}
