/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of sequences of tags and text lines. */
#include <inttypes.h>

#include "ops/data.h"

/* ctc_align: drops blanks, and repeats where merge_repeated. */
struct ctc {
    int64_t blank, padding;
    bool merge;
};

/* Reads n tokens, writes those that stay; returns how many. */
static int64_t
align(const struct ctc *c, const struct qs_value *x, int64_t at, int64_t n, struct qs_value *y,
      int64_t to)
{
    int64_t last = -1, kept = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t token = qs_value_int(x, at + i);
        if (token != c->blank && !(c->merge && token == last))
            qs_data_store_ints(y, to + kept++, 1, &token);
        last = token;
    }
    return kept;
}

/* Input [N, T] with InputLength [N, 1]. */
static enum qs_err
align_padded(struct qs_step *st, const struct ctc *c, const struct qs_value *x,
             const struct qs_value *length)
{
    struct qs_value *y, *out = qs_step_out(st, "OutputLength", 0);
    enum qs_err err = qs_data_out(st, "Output", 0, &y);
    if (!err)
        err = qs_data_expect(st, y, x->n, x->d);
    if (!err)
        err = qs_data_same_type(st, x, y);
    if (err)
        return err;
    if (x->n != 2 || length->count != x->d[0] || (out && out->count != x->d[0]))
        return qs_step_fail(st, _("the shape of %s does not fit"), "InputLength");
    for (int64_t i = 0; i < x->d[0]; i++) {
        const int64_t n = qs_value_int(length, i), row = i * x->d[1];
        if (n < 0 || n > x->d[1])
            return qs_step_fail(st, _("length %" PRId64 " is out of range"), n);
        const int64_t kept = align(c, x, row, n, y, row);
        for (int64_t k = kept; k < x->d[1]; k++)
            qs_data_store_ints(y, row + k, 1, &c->padding);
        if (out)
            qs_data_store_ints(out, i, 1, &kept);
    }
    return QS_OK;
}

/* Input [T, 1] whose sequences are told by lod. Nothing left: one element of -1. */
static enum qs_err
align_lod(struct qs_step *st, const struct ctc *c, const struct qs_value *x)
{
    const int64_t whole[2] = {0, x->count};
    const int64_t *lod = x->lod ? x->lod : whole;
    const int n = x->lod ? x->n_lod : 2;
    int64_t *kept = qs_arena_calloc(st->scratch, (size_t)n + 1, sizeof(*kept));
    struct qs_value all = {.dtype = x->dtype, .n = 1, .count = x->count};
    all.data = qs_arena_calloc(st->scratch, (size_t)x->count + 1, sizeof(int64_t));
    if (n < 1 || lod[n - 1] > x->count)
        return qs_step_fail(st, _("the sequences do not fit the input"));
    for (int i = 0; i + 1 < n; i++)
        kept[i + 1] = kept[i] + align(c, x, lod[i], lod[i + 1] - lod[i], &all, kept[i]);
    const int64_t found = kept[n - 1], d[2] = {found ? found : 1, 1};
    const enum qs_err err = qs_step_make(st, "Output", 0, x->dtype, 2, d);
    struct qs_value *y = qs_step_out(st, "Output", 0);
    if (err || !y)
        return err;
    qs_data_fill_int(y, -1);
    memcpy(y->data, all.data, (size_t)(found * qs_dtype_bytes(x->dtype)));
    y->lod = kept;
    y->n_lod = n;
    return QS_OK;
}

enum qs_err
qs_fwd_ctc_align(struct qs_step *st)
{
    const struct qs_value *x, *length = qs_step_in(st, "InputLength", 0);
    const struct ctc c = {qs_attr_int(st->node, "blank", 0),
                          qs_attr_int(st->node, "padding_value", 0),
                          qs_attr_int(st->node, "merge_repeated", 1) != 0};
    const enum qs_err err = qs_data_in(st, "Input", 0, &x);
    if (err)
        return err;
    if (x->dtype != QS_DTYPE_int32 && x->dtype != QS_DTYPE_int64)
        return qs_step_fail(st, _("the index is not of integers"));
    return length ? align_padded(st, &c, x, length) : align_lod(st, &c, x);
}

/* viterbi_decode: the best path through Input [B, T, tags] with Transition [tags, tags]. With
 * include_bos_eos_tag the last tag starts and the last but one ends a sequence. */

struct viterbi {
    const struct qs_value *x, *transition, *length;
    struct qs_value *scores, *path;
    bool ends;
    float *score, *next; /* [tags] */
    int32_t *from;       /* [T][tags] */
};

static int64_t
best_tag(const float *score, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (score[i] > score[best])
            best = i;
    return best;
}

/* One step: the best tag before every tag. */
static void
advance(struct viterbi *v, const float *logit, int32_t *from)
{
    const int64_t n = v->x->d[2];
    for (int64_t to = 0; to < n; to++) {
        int64_t best = 0;
        for (int64_t i = 1; i < n; i++)
            if (v->score[i] + v->transition->f32[i * n + to] >
                v->score[best] + v->transition->f32[best * n + to])
                best = i;
        v->next[to] = v->score[best] + v->transition->f32[best * n + to] + logit[to];
        from[to] = (int32_t)best;
    }
    float *swap = v->score;
    v->score = v->next;
    v->next = swap;
}

static void
decode_one(struct viterbi *v, int64_t b, int64_t length)
{
    const int64_t n = v->x->d[2], steps = v->path->d[1];
    const float *logit = &v->x->f32[b * v->x->d[1] * n];
    const float *start = &v->transition->f32[(n - 1) * n], *stop = start - n;
    for (int64_t k = 0; k < n; k++)
        v->score[k] = logit[k] + (v->ends ? start[k] : 0);
    for (int64_t t = 1; t < length; t++)
        advance(v, logit + t * n, v->from + t * n);
    for (int64_t k = 0; k < n && v->ends && length > 0; k++)
        v->score[k] += stop[k];
    int64_t tag = best_tag(v->score, n);
    v->scores->f32[b] = v->score[tag];
    for (int64_t t = 0; t < steps; t++)
        v->path->i64[b * steps + t] = 0;
    for (int64_t t = length - 1; t >= 0; t--) {
        v->path->i64[b * steps + t] = tag;
        tag = t > 0 ? v->from[t * n + tag] : 0;
    }
}

static enum qs_err
read_viterbi(struct qs_step *st, struct viterbi *v)
{
    enum qs_err err = qs_data_in(st, "Input", 0, &v->x);
    if (!err)
        err = qs_data_in(st, "Transition", 0, &v->transition);
    if (!err)
        err = qs_data_in(st, "Length", 0, &v->length);
    if (!err)
        err = qs_data_expect_type(st, v->x, QS_DTYPE_float32);
    if (!err)
        err = qs_data_expect_type(st, v->transition, QS_DTYPE_float32);
    if (!err)
        err = qs_data_out(st, "Scores", 0, &v->scores);
    if (!err)
        err = qs_data_expect_type(st, v->scores, QS_DTYPE_float32);
    v->ends = qs_attr_int(st->node, "include_bos_eos_tag", 1) != 0;
    if (err)
        return err;
    const int64_t n = v->x->n == 3 ? v->x->d[2] : 0;
    if (n < 1 || (v->ends && n < 2) || v->transition->n != 2 || v->transition->d[0] != n ||
        v->transition->d[1] != n || v->length->count != v->x->d[0] ||
        v->scores->count != v->x->d[0])
        return qs_step_fail(st, _("the shape of %s does not fit"), "Transition");
    return QS_OK;
}

enum qs_err
qs_fwd_viterbi_decode(struct qs_step *st)
{
    struct viterbi v;
    enum qs_err err = read_viterbi(st, &v);
    int64_t d[2] = {0, 0};
    if (err)
        return err;
    d[0] = v.x->d[0];
    for (int64_t i = 0; i < d[0]; i++) {
        const int64_t n = qs_value_int(v.length, i);
        if (n < 0 || n > v.x->d[1])
            return qs_step_fail(st, _("length %" PRId64 " is out of range"), n);
        d[1] = n > d[1] ? n : d[1];
    }
    err = qs_step_make(st, "Path", 0, QS_DTYPE_int64, 2, d);
    v.path = qs_step_out(st, "Path", 0);
    if (err || !v.path)
        return err;
    const size_t n = (size_t)v.x->d[2];
    v.score = qs_arena_calloc(st->scratch, n, sizeof(float));
    v.next = qs_arena_calloc(st->scratch, n, sizeof(float));
    v.from = qs_arena_calloc(st->scratch, n * (size_t)(d[1] + 1), sizeof(int32_t));
    for (int64_t i = 0; i < d[0] && v.x->d[1] > 0; i++)
        decode_one(&v, i, qs_value_int(v.length, i));
    return QS_OK;
}
