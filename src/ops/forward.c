/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/forward.h"

#include <inttypes.h>

enum {
    PIECE = 1 << 17, /* multiply-adds that are worth a thread */
    PIECES_MOST = 64,
};

struct range {
    qs_range_fn *fn;
    void *arg;
    int64_t n, pieces;
};

static enum qs_err
run_piece(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct range *r = arg;
    const int64_t each = r->n / r->pieces, more = r->n % r->pieces;
    const int64_t from = i * each + (i < more ? i : more);
    return r->fn(cx, r->arg, from, from + each + (i < more));
}

enum qs_err
qs_fwd_range(struct qs_step *st, int64_t n, int64_t cost, qs_range_fn *fn, void *arg)
{
    struct range r = {.fn = fn, .arg = arg, .n = n};
    if (n < 1)
        return QS_OK;
    r.pieces = qs_mul_sat(n, cost) / PIECE;
    if (r.pieces > PIECES_MOST)
        r.pieces = PIECES_MOST;
    if (r.pieces > n)
        r.pieces = n;
    if (r.pieces < 2)
        return fn(st->cx, arg, 0, n);
    return qs_parallel_for(st->cx, r.pieces, run_piece, &r);
}

/* Matrix products: each is cut along its longer side. */

enum { EDGE = 16, GEMM_PIECE = 1 << 21 };

struct gemm_job {
    const struct qs_gemm *g;
    bool by_rows;
    int64_t pieces, step;
};

static enum qs_err
gemm_piece(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct gemm_job *j = arg;
    const struct qs_gemm *g = j->g;
    const int64_t batch = i / j->pieces, from = i % j->pieces * j->step;
    const int64_t size = j->by_rows ? g->m : g->n;
    const int64_t count = size - from < j->step ? size - from : j->step;
    struct qk_matrix a = g->a, b = g->b;
    float *c = g->c + batch * g->m * g->n;
    (void)cx;
    a.p += g->a_at ? g->a_at[batch] : batch * g->m * g->k;
    b.p += g->b_at ? g->b_at[batch] : batch * g->k * g->n;
    if (j->by_rows) {
        a.p += a.transposed ? from : from * a.ld;
        c += from * g->n;
    } else {
        b.p += b.transposed ? from * b.ld : from;
        c += from;
    }
    qk_sgemm(j->by_rows ? count : g->m, j->by_rows ? g->n : count, g->k, g->alpha, a, b, g->beta, c,
             g->n);
    return QS_OK;
}

enum qs_err
qs_fwd_gemm(struct qs_step *st, const struct qs_gemm *g)
{
    struct gemm_job j = {.g = g, .by_rows = g->m >= g->n};
    const int64_t size = j.by_rows ? g->m : g->n;
    const int64_t work = qs_mul_sat(qs_mul_sat(g->m, g->n), g->k);
    int64_t pieces = work / GEMM_PIECE;
    if (g->batch < 1 || g->m < 1 || g->n < 1)
        return QS_OK;
    if (pieces > PIECES_MOST)
        pieces = PIECES_MOST;
    if (pieces < 1)
        pieces = 1;
    j.step = (size + pieces - 1) / pieces;
    j.step = (j.step + EDGE - 1) / EDGE * EDGE;
    j.pieces = (size + j.step - 1) / j.step;
    const int64_t n = g->batch * j.pieces;
    if (qs_mul_sat(work, g->batch) >= PIECE)
        return qs_parallel_for(st->cx, n, gemm_piece, &j);
    for (int64_t i = 0; i < n; i++)
        (void)gemm_piece(st->cx, &j, i);
    return QS_OK;
}

/* Access */

struct qs_infer
qs_fwd_attrs(const struct qs_step *st)
{
    return (struct qs_infer){
        .cx = st->cx, .model = st->model, .node = st->node, .scalars_are_1d = st->scalars_are_1d};
}

enum qs_err
qs_fwd_bad_type(const struct qs_step *st, int32_t dtype)
{
    const char *name = qs_dtype_name(dtype);
    return qs_step_fail(st, _("tensors of type %s are not supported"), name ? name : "?");
}

enum qs_err
qs_fwd_need(struct qs_step *st, const char *slot, int32_t want, const struct qs_value **out)
{
    *out = qs_step_in(st, slot, 0);
    if (!*out)
        return qs_step_fail(st, _("input '%s' is missing or empty"), slot);
    if (want >= 0 && (*out)->dtype != want)
        return qs_fwd_bad_type(st, (*out)->dtype);
    return QS_OK;
}

enum qs_err
qs_fwd_optional(struct qs_step *st, const char *slot, int64_t count, const float **out)
{
    const struct qs_value *v = qs_step_in(st, slot, 0);
    *out = NULL;
    if (!v)
        return QS_OK;
    if (v->dtype != QS_DTYPE_float32)
        return qs_fwd_bad_type(st, v->dtype);
    if (v->count != count)
        return qs_step_fail(st, _("'%s' has %" PRId64 " elements, not %" PRId64), slot, v->count,
                            count);
    *out = v->f32;
    return QS_OK;
}

enum qs_err
qs_fwd_out(struct qs_step *st, const char *slot, struct qs_value **out)
{
    *out = qs_step_out(st, slot, 0);
    return *out ? QS_OK : qs_step_fail(st, _("the shape of output '%s' is not known"), slot);
}

enum qs_err
qs_fwd_floats(struct qs_ctx *cx, int64_t n, struct qs_buf **buf, float **out)
{
    *buf = NULL;
    if (n < 0 || n > INT64_MAX / 8)
        return qs_fail(cx, QS_ERR_MEMORY, _("out of memory: %" PRId64 " numbers wanted"), n);
    const enum qs_err err = qs_buf_new(cx, (size_t)n * sizeof(float), buf);
    *out = err ? NULL : (float *)(void *)(*buf)->data;
    return err;
}

int64_t
qs_fwd_product(const int64_t *d, int from, int to)
{
    int64_t p = 1;
    for (int i = from; i < to; i++)
        p *= d[i];
    return p;
}

enum qs_err
qs_fwd_axis(const struct qs_step *st, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return qs_step_fail(st, _("axis %" PRId64 " does not exist: the input has %d dimensions"),
                            axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return QS_OK;
}
