/* SPDX-License-Identifier: Apache-2.0 */
/* Suppression of overlapping boxes. BBoxes [N, M, 4], Scores [N, classes, M]; the result is rows
 * of (class, score, box), image after image. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "ops/data.h"

/* A box that a class of an image keeps. */
struct pick {
    float score;
    int64_t class, box, order;
};

struct picks {
    struct pick *v;
    int64_t n, cap;
};

struct nms {
    const struct qs_value *boxes, *scores;
    int64_t background, top_k, keep_top_k; /* -1: all */
    float score_threshold, nms_threshold, eta, post_threshold, sigma;
    bool normalized, gaussian;
    struct picks image, all;
    int64_t *count; /* [N] of each image */
    struct pick *candidate;
    float *overlap; /* largest overlap of each candidate with a better one */
};

static void
add_pick(struct picks *p, struct pick v)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        p->v = qs_xrealloc(p->v, (size_t)p->cap * sizeof(*p->v));
    }
    v.order = p->n;
    p->v[p->n++] = v;
}

/* Best score first; ties in their order. */
static int
by_score(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int
by_class(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* The boxes of a class over the threshold, best first; returns how many. */
static int64_t
candidates(struct nms *s, int64_t image, int64_t class)
{
    const int64_t m = s->scores->d[2];
    const float *score = &s->scores->f32[(image * s->scores->d[1] + class) * m];
    int64_t n = 0;
    for (int64_t i = 0; i < m; i++)
        if (score[i] > s->score_threshold) {
            s->candidate[n] = (struct pick){score[i], class, i, n};
            n++;
        }
    qsort(s->candidate, (size_t)n, sizeof(*s->candidate), by_score);
    return s->top_k > -1 && n > s->top_k ? s->top_k : n;
}

static const float *
box_of(const struct nms *s, int64_t image, int64_t box)
{
    return &s->boxes->f32[(image * s->boxes->d[1] + box) * 4];
}

static bool
overlaps(const struct nms *s, int64_t image, const struct pick *kept, int64_t n, int64_t box,
         float threshold)
{
    for (int64_t i = 0; i < n; i++)
        if (qs_data_overlap(box_of(s, image, box), box_of(s, image, kept[i].box), s->normalized) >
            threshold)
            return true;
    return false;
}

static void
suppress(struct nms *s, int64_t image, int64_t class)
{
    const int64_t n = candidates(s, image, class), first = s->image.n;
    float threshold = s->nms_threshold;
    for (int64_t i = 0; i < n; i++) {
        if (overlaps(s, image, s->image.v + first, s->image.n - first, s->candidate[i].box,
                     threshold))
            continue;
        add_pick(&s->image, s->candidate[i]);
        if (s->eta < 1 && threshold > 0.5F)
            threshold *= s->eta;
    }
}

/* Scores decay by the overlap with better boxes, against the overlap those have themselves. */
static void
decay(struct nms *s, int64_t image, int64_t class)
{
    const int64_t n = candidates(s, image, class);
    for (int64_t i = 0; i < n; i++) {
        float least = 1, most = 0;
        for (int64_t k = 0; k < i; k++) {
            const float iou = qs_data_overlap(box_of(s, image, s->candidate[i].box),
                                              box_of(s, image, s->candidate[k].box), s->normalized);
            const float other = s->overlap[k];
            const float d = s->gaussian ? expf((other * other - iou * iou) * s->sigma)
                                        : (1 - iou) / (1 - other);
            most = iou > most ? iou : most;
            least = d < least ? d : least;
        }
        s->overlap[i] = most;
        struct pick p = s->candidate[i];
        p.score *= least;
        if (p.score > s->post_threshold)
            add_pick(&s->image, p);
    }
}

/* The best keep_top_k of an image. */
static void
keep_best(struct nms *s, bool sorted)
{
    const bool cut = s->keep_top_k > -1 && s->image.n > s->keep_top_k;
    if ((!cut && !sorted) || s->image.n == 0)
        return;
    qsort(s->image.v, (size_t)s->image.n, sizeof(*s->image.v), by_score);
    if (cut)
        s->image.n = s->keep_top_k;
    for (int64_t i = 0; i < s->image.n; i++)
        s->image.v[i].order = i;
    if (!sorted)
        qsort(s->image.v, (size_t)s->image.n, sizeof(*s->image.v), by_class);
}

static enum qs_err
run_images(struct qs_step *st, struct nms *s, bool matrix)
{
    enum qs_err err = QS_OK;
    for (int64_t i = 0; i < s->boxes->d[0] && !err; i++) {
        err = qs_check_cancel(st->cx);
        s->image.n = 0;
        for (int64_t c = 0; c < s->scores->d[1]; c++)
            if (c != s->background)
                (matrix ? decay : suppress)(s, i, c);
        keep_best(s, matrix);
        s->count[i] = s->image.n;
        for (int64_t k = 0; k < s->image.n; k++) {
            struct pick p = s->image.v[k];
            p.box += i * s->boxes->d[1];
            add_pick(&s->all, p);
        }
    }
    return err;
}

/* What the operators put in their outputs. */

static enum qs_err
put_rows(struct qs_step *st, const struct nms *s)
{
    const int64_t d[2] = {s->all.n, 6};
    const enum qs_err err = qs_step_make(st, "Out", 0, QS_DTYPE_float32, 2, d);
    struct qs_value *out = qs_step_out(st, "Out", 0);
    for (int64_t i = 0; !err && out && i < s->all.n; i++) {
        const struct pick *p = &s->all.v[i];
        out->f32[6 * i] = (float)p->class;
        out->f32[6 * i + 1] = p->score;
        memcpy(&out->f32[6 * i + 2], &s->boxes->f32[4 * p->box], 4 * sizeof(float));
    }
    return err;
}

/* The first version marks "nothing found" by one element of -1. */
static enum qs_err
put_nothing(struct qs_step *st)
{
    const int64_t d[2] = {1, 1};
    const enum qs_err err = qs_step_make(st, "Out", 0, QS_DTYPE_float32, 2, d);
    struct qs_value *out = qs_step_out(st, "Out", 0);
    if (!err && out)
        out->f32[0] = -1;
    return err;
}

static enum qs_err
put_index(struct qs_step *st, const struct nms *s)
{
    const int64_t d[2] = {s->all.n, 1};
    const enum qs_err err = qs_step_make(st, "Index", 0, QS_DTYPE_int32, 2, d);
    struct qs_value *out = qs_step_out(st, "Index", 0);
    for (int64_t i = 0; !err && out && i < s->all.n; i++)
        out->i32[i] = (int32_t)s->all.v[i].box;
    return err;
}

static enum qs_err
put_counts(struct qs_step *st, const struct nms *s, const char *slot)
{
    const int64_t n = s->boxes->d[0];
    const enum qs_err err = qs_step_make(st, slot, 0, QS_DTYPE_int32, 1, &n);
    struct qs_value *out = qs_step_out(st, slot, 0);
    if (!err && out)
        qs_data_store_ints(out, 0, n, s->count);
    return err;
}

/* The rows of an image are a sequence. */
static void
put_lod(struct qs_step *st, const struct nms *s)
{
    struct qs_value *out = qs_step_out(st, "Out", 0);
    const int64_t n = s->boxes->d[0];
    if (!out || out->d[0] != s->all.n)
        return;
    int64_t *lod = qs_arena_calloc(st->scratch, (size_t)n + 1, sizeof(*lod));
    for (int64_t i = 0; i < n; i++)
        lod[i + 1] = lod[i] + s->count[i];
    out->lod = lod;
    out->n_lod = (int)n + 1;
}

static enum qs_err
read_boxes(const struct qs_step *st, struct nms *s)
{
    enum qs_err err = qs_data_in(st, "BBoxes", 0, &s->boxes);
    if (!err)
        err = qs_data_in(st, "Scores", 0, &s->scores);
    if (!err)
        err = qs_data_expect_type(st, s->boxes, QS_DTYPE_float32);
    if (!err)
        err = qs_data_expect_type(st, s->scores, QS_DTYPE_float32);
    if (err)
        return err;
    if (s->boxes->n != 3 || s->scores->n != 3 || s->boxes->d[2] != 4 ||
        s->boxes->d[0] != s->scores->d[0] || s->boxes->d[1] != s->scores->d[2])
        return qs_step_fail(st, _("only boxes of four numbers for every image can be suppressed"));
    if (s->boxes->count == 0 && s->boxes->d[0] > INT16_MAX)
        return qs_step_fail(st, _("there are no boxes"));
    return QS_OK;
}

static void
read_attrs(const struct qs_step *st, struct nms *s)
{
    const struct qs_node *node = st->node;
    s->background = qs_attr_int(node, "background_label", 0);
    s->top_k = qs_attr_int(node, "nms_top_k", -1);
    s->keep_top_k = qs_attr_int(node, "keep_top_k", -1);
    s->score_threshold = (float)qs_attr_float(node, "score_threshold", 0);
    s->nms_threshold = (float)qs_attr_float(node, "nms_threshold", 0.3F);
    s->eta = (float)qs_attr_float(node, "nms_eta", 1);
    s->post_threshold = (float)qs_attr_float(node, "post_threshold", 0);
    s->sigma = (float)qs_attr_float(node, "gaussian_sigma", 2);
    s->normalized = qs_attr_int(node, "normalized", 1) != 0;
    s->gaussian = qs_attr_int(node, "use_gaussian", 0) != 0;
}

static enum qs_err
run_nms(struct qs_step *st, struct nms *s, bool matrix)
{
    const bool first = strcmp(st->node->type, "multiclass_nms") == 0;
    enum qs_err err = read_boxes(st, s);
    if (err)
        return err;
    const size_t m = (size_t)s->boxes->d[1] + 1, n = (size_t)s->boxes->d[0] + 1;
    read_attrs(st, s);
    s->candidate = qs_arena_calloc(st->scratch, m, sizeof(*s->candidate));
    s->overlap = qs_arena_calloc(st->scratch, m, sizeof(*s->overlap));
    s->count = qs_arena_calloc(st->scratch, n, sizeof(*s->count));
    err = run_images(st, s, matrix);
    if (!err)
        err = s->all.n == 0 && first ? put_nothing(st) : put_rows(st, s);
    if (!err)
        err = put_index(st, s);
    if (!err)
        err = put_counts(st, s, matrix ? "RoisNum" : "NmsRoisNum");
    if (!err)
        put_lod(st, s);
    return err;
}

enum qs_err
qs_fwd_multiclass_nms(struct qs_step *st)
{
    struct nms s = {0};
    const enum qs_err err = run_nms(st, &s, false);
    free(s.image.v);
    free(s.all.v);
    return err;
}

enum qs_err
qs_fwd_matrix_nms(struct qs_step *st)
{
    struct nms s = {0};
    const enum qs_err err = run_nms(st, &s, true);
    free(s.image.v);
    free(s.all.v);
    return err;
}
