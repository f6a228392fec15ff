/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/sense.h"
#include "base/clock.h"
#include "base/i18n.h"
#include "base/mem.h"

enum { N_ALL = 3, N_BASE = 3 };

/* ---- where sums are ---- */

int
qs_sense_n_sums(const struct scan *s)
{
    return s->n_layer * s->n_variant * N_SUM + s->n_variant * N_ALL + N_BASE;
}

double *
qs_sense_row(const struct scan *s, double *sum, int layer, int variant)
{
    return sum + ((size_t)layer * (size_t)s->n_variant + (size_t)variant) * N_SUM;
}

double *
qs_sense_all(const struct scan *s, double *sum, int variant)
{
    return qs_sense_row(s, sum, s->n_layer, 0) + (size_t)variant * N_ALL;
}

double *
qs_sense_base(const struct scan *s, double *sum)
{
    return qs_sense_all(s, sum, s->n_variant);
}

/* ---- one sample ---- */

enum qs_err
qs_sense_measure_init(struct qs_ctx *cx, const struct scan *s, struct sense_measure *m)
{
    *m = (struct sense_measure){.has_eval = s->metric >= 0};
    return m->has_eval ? qs_eval_init(cx, &m->eval, s->data, s->choices.metric, true) : QS_OK;
}

void
qs_sense_measure_release(struct sense_measure *m)
{
    if (m->has_eval)
        qs_eval_release(&m->eval);
    *m = (struct sense_measure){0};
}

static bool
same_shape(const struct qs_value *a, const struct qs_value *b)
{
    return a->dtype == QS_DTYPE_float32 && b->dtype == QS_DTYPE_float32 && a->n == b->n &&
           a->data && b->data && memcmp(a->d, b->d, (size_t)a->n * sizeof(*a->d)) == 0;
}

/* paddle.nn.functional.cosine_similarity: along axis 1, eps 1e-8; the mean of all. */
static double
cosine_along(const struct qs_value *a, const struct qs_value *b, int64_t outer, int64_t n,
             int64_t inner)
{
    const double eps = 1e-8;
    double sum = 0;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const float *x = a->f32 + o * n * inner + i, *y = b->f32 + o * n * inner + i;
            double xy = 0, xx = 0, yy = 0;
            for (int64_t k = 0; k < n; k++) {
                const double u = (double)x[k * inner], v = (double)y[k * inner];
                xy += u * v;
                xx += u * u;
                yy += v * v;
            }
            sum += xy / sqrt(fmax(xx * yy, eps * eps));
        }
    const double mean = sum / (double)(outer * inner);
    return isfinite(mean) ? mean : 0;
}

double
qs_sense_cosine(const struct qs_value *a, const struct qs_value *b)
{
    if (!same_shape(a, b) || a->count == 0)
        return 0;
    if (a->n < 2 || a->d[1] < 2) /* along one element it would say nothing */
        return cosine_along(a, b, 1, a->count, 1);
    return cosine_along(a, b, a->d[0], a->d[1], a->count / (a->d[0] * a->d[1]));
}

void
qs_sense_energies(const struct qs_value *x, const struct qs_value *y, double *signal, double *noise)
{
    if (!same_shape(x, y))
        return;
    double yy = 0, dd = 0;
    for (int64_t i = 0; i < y->count; i++) {
        const double v = (double)y->f32[i], d = (double)x->f32[i] - v;
        yy += v * v;
        dd += d * d;
    }
    if (!isfinite(yy) || !isfinite(dd))
        return;
    *signal += yy;
    *noise += dd;
}

enum qs_err
qs_sense_measure_sample(struct qs_ctx *cx, struct sense_measure *m, const struct qs_sample *sample,
                        const struct qs_value out[2], const struct qs_value clean[2], double *ab,
                        double *cosine)
{
    const double c = qs_sense_cosine(&clean[0], &out[0]);
    *cosine += c;
    if (!m->has_eval) {
        ab[0] += c;
        ab[1] += 1;
        return QS_OK;
    }
    const enum qs_err err = qs_eval_add(cx, &m->eval, sample, &out[1], &clean[1]);
    if (err)
        return err;
    ab[0] += m->eval.sum[0].a;
    ab[1] += m->eval.sum[0].b;
    m->eval.n = 0;
    return QS_OK;
}

enum qs_err
qs_sense_next(struct qs_ctx *cx, struct scan *s, struct qs_sample **out)
{
    struct qs_ctx quiet;
    if (!s->told)
        return qs_dataset_next(cx, s->data, out);
    *out = NULL;
    enum qs_err err = qs_check_cancel(cx);
    if (err)
        return err;
    qs_ctx_init_child(&quiet, cx);
    err = qs_dataset_next(&quiet, s->data, out);
    return err ? qs_fail(cx, err, "%s", qs_message(&quiet)) : QS_OK;
}

/* ---- the checkpoint ---- */

struct head {
    uint32_t magic, version;
    int32_t n_sum, n_layer, n_node, n_bits;
    struct sense_cursor at;
    int64_t exact;
    double elapsed;
};
enum { MAGIC = 0x51534353, VERSION = 2 };

static struct head
head_of(const struct scan *s)
{
    return (struct head){.magic = MAGIC,
                         .version = VERSION,
                         .n_sum = s->n_sum,
                         .n_layer = s->n_layer,
                         .n_node = s->n_node,
                         .n_bits = s->n_bits,
                         .at = s->at,
                         .exact = s->exact,
                         .elapsed = s->elapsed + qs_seconds_now() - s->begun};
}

static size_t
checkpoint_bytes(const struct scan *s)
{
    return sizeof(struct head) + (size_t)s->n_sum * sizeof(double) + (size_t)s->n_layer +
           (size_t)s->n_node * (size_t)s->n_bits * sizeof(float);
}

void
qs_sense_checkpoint(struct qs_ctx *cx, struct scan *s)
{
    const size_t n = checkpoint_bytes(s), row = (size_t)s->n_bits * sizeof(float);
    const struct head head = head_of(s);
    uint8_t *data = qs_xmalloc(n), *p = data;
    memcpy(p, &head, sizeof(head));
    p += sizeof(head);
    memcpy(p, s->sum, (size_t)s->n_sum * sizeof(double));
    p += (size_t)s->n_sum * sizeof(double);
    for (int i = 0; i < s->n_layer; i++)
        *p++ = s->layer[i].chosen;
    for (int i = 0; i < s->n_node; i++, p += row)
        memcpy(p, s->node[i].threshold, row);
    qs_record_checkpoint(cx, &s->record, data, n);
    s->saved = qs_seconds_now();
    free(data);
}

enum qs_err
qs_sense_restore(struct qs_ctx *cx, struct scan *s, const uint8_t *data, size_t n)
{
    const size_t row = (size_t)s->n_bits * sizeof(float);
    struct head head = {0};
    const struct head want = head_of(s);
    if (n >= sizeof(head))
        memcpy(&head, data, sizeof(head));
    if (n != checkpoint_bytes(s) || head.magic != MAGIC || head.version != VERSION ||
        head.n_sum != want.n_sum || head.n_layer != want.n_layer || head.n_node != want.n_node ||
        head.n_bits != want.n_bits || head.at.phase < 0 || head.at.phase > SENSE_DONE ||
        head.at.sample < 0 || head.at.task < 0)
        return qs_fail(cx, QS_ERR_DB, _("run %lld cannot go on from what the store has of it"),
                       (long long)s->out->run.id);
    data += sizeof(head);
    memcpy(s->sum, data, (size_t)s->n_sum * sizeof(double));
    data += (size_t)s->n_sum * sizeof(double);
    for (int i = 0; i < s->n_layer; i++)
        s->layer[i].chosen = *data++ != 0;
    for (int i = 0; i < s->n_node; i++, data += row)
        memcpy(s->node[i].threshold, data, row);
    s->at = head.at;
    s->exact = head.exact != 0;
    s->elapsed = head.elapsed;
    s->calibrated = true;
    return QS_OK;
}

/* ---- rows ---- */

static double
decibel(double signal, double noise)
{
    return signal > 0 || noise > 0 ? 10 * log10(signal / noise) : NAN;
}

static double
value_of(const struct scan *s, const double *ab)
{
    const struct qs_sum sum = {ab[0], ab[1]};
    return s->metric < 0 ? ab[0] / ab[1] : qs_metric_value(&qs_metrics[s->metric], sum);
}

static double
drop_of(const struct scan *s, double base, double value)
{
    return s->higher_is_better ? base - value : value - base;
}

static struct qs_run_sensitivity
row_of(const struct scan *s, int i, int v)
{
    const struct sense_layer *l = &s->layer[i];
    const struct sense_variant *variant = &s->variant[v];
    const struct qs_model *m = s->o->model;
    const double *sum = qs_sense_row(s, s->sum, i, v);
    const bool has_others = s->choices.others && sum[SUM_COUNT] > 0;
    const double base = value_of(s, &sum[SUM_CLEAN_A]); /* of the same samples */
    struct qs_run_sensitivity r = {
        .weight = qs_xstrdup(m->var[l->layer->var].name),
        .op_type = qs_xstrdup(m->block[0].node[s->node[l->first_node].node].type),
        .mode = qs_xstrdup(qs_sense_mode_name(variant->mode)),
        .bits = variant->bits,
        .metric = sum[SUM_COUNT] > 0 ? value_of(s, &sum[SUM_A]) : NAN,
        .others_metric = has_others ? value_of(s, &sum[SUM_OTHERS_A]) : NAN,
        .cosine = sum[SUM_COUNT] > 0 ? sum[SUM_COSINE] / sum[SUM_COUNT] : NAN,
        .sqnr_db = decibel(sum[SUM_SIGNAL], sum[SUM_NOISE]),
        .accumulated_db = s->exact ? NAN : decibel(sum[SUM_SIGNAL], sum[SUM_GROWN]),
        .weight_db = variant->mode == QS_SENSE_ACTIVATIONS ? NAN : l->weight_db[variant->b],
        .bytes_float = (int64_t)m->var[l->layer->var].data->bytes,
        .bytes_quant = qs_sense_bytes(s, l, variant),
    };
    r.drop = drop_of(s, base, r.metric);
    r.others_drop = drop_of(s, base, r.others_metric);
    return r;
}

void
qs_sense_rows(const struct scan *s, struct qs_run *run)
{
    run->n_sensitivity = s->n_layer * s->n_variant;
    run->sensitivity = qs_xcalloc((size_t)run->n_sensitivity + 1, sizeof(*run->sensitivity));
    for (int i = 0; i < s->n_layer; i++)
        for (int v = 0; v < s->n_variant; v++)
            run->sensitivity[i * s->n_variant + v] = row_of(s, i, v);
}

/* -1, 0, 1 by falling x; what is not a number comes last. */
static int
falling(double x, double y)
{
    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y);
    return x > y ? -1 : x < y;
}

/* Equal rows stay in the order of the model: they lie in one array. */
static int
worst_first(const void *a, const void *b)
{
    const struct qs_run_sensitivity *x = a, *y = b;
    int c = falling(x->drop, y->drop);
    if (!c)
        c = falling(1 - x->cosine, 1 - y->cosine);
    if (!c)
        c = falling(-x->sqnr_db, -y->sqnr_db);
    return c;
}

/* Sorted through numbers of places, as qsort does not keep the order of equals. */
struct place {
    struct qs_run_sensitivity row;
    int at;
};

static int
by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    const int c = worst_first(&x->row, &y->row);
    return c ? c : x->at - y->at;
}

void
qs_sense_sort(struct qs_run *run)
{
    struct place *p = qs_xcalloc((size_t)run->n_sensitivity + 1, sizeof(*p));
    for (int i = 0; i < run->n_sensitivity; i++)
        p[i] = (struct place){run->sensitivity[i], i};
    qsort(p, (size_t)run->n_sensitivity, sizeof(*p), by_place);
    for (int i = 0; i < run->n_sensitivity; i++)
        run->sensitivity[i] = p[i].row;
    free(p);
}

/* ---- totals ---- */

/* The variant that stands for all: both if it was asked for, with the first width. */
static int
main_variant(const struct scan *s)
{
    int best = 0;
    for (int v = 1; v < s->n_variant; v++)
        if (s->variant[v].b == 0 && s->variant[v].mode > s->variant[best].mode)
            best = v;
    return best;
}

void
qs_sense_totals(const struct scan *s, struct qs_sensed *out)
{
    const double *base = qs_sense_base(s, s->sum);
    const double *all = qs_sense_all(s, s->sum, main_variant(s));
    const bool any = base[2] > 0;
    out->baseline = any ? value_of(s, base) : NAN;
    out->quantized = any ? value_of(s, all) : NAN;
    out->samples = (int64_t)base[2];
    out->higher_is_better = s->higher_is_better;
    snprintf(out->metric, sizeof(out->metric), "%s", s->choices.metric);
    out->run.metric = qs_xcalloc(2, sizeof(*out->run.metric));
    out->run.n_metric = 2;
    out->run.metric[0] = (struct qs_run_metric){qs_xstrdup("baseline"), out->baseline, NAN, NAN};
    out->run.metric[1] = (struct qs_run_metric){qs_xstrdup("quantized"), out->quantized, NAN, NAN};
}

double
qs_sense_total_drop(const struct scan *s)
{
    return drop_of(s, value_of(s, qs_sense_base(s, s->sum)),
                   value_of(s, qs_sense_all(s, s->sum, 0)));
}

/* ---- all samples ---- */

static void
tell_metric(struct qs_ctx *cx, const char *name, double value)
{
    if (!isnan(value))
        qs_report_metric(cx, name, value);
}

/* What the metric is so far: as the model is, with all layers quantized, and what the worst layer
 * alone takes from it. */
static void
tell_metrics(struct qs_ctx *cx, const struct scan *s, const struct qs_run *run)
{
    const double *base = qs_sense_base(s, s->sum);
    const double *all = qs_sense_all(s, s->sum, main_variant(s));
    double largest = NAN;
    for (int i = 0; i < run->n_sensitivity; i++)
        largest = fmax(largest, run->sensitivity[i].drop);
    if (base[2] > 0) {
        tell_metric(cx, "baseline", value_of(s, base));
        tell_metric(cx, "quantized", value_of(s, all));
    }
    tell_metric(cx, "largest drop", largest);
}

static void
tell(struct qs_ctx *cx, const struct scan *s)
{
    struct qs_run run = {0};
    qs_sense_rows(s, &run);
    tell_metrics(cx, s, &run);
    if (s->partial)
        s->partial(s->partial_arg, run.sensitivity, run.n_sensitivity,
                   s->at.task * s->data->n + s->at.sample, s->tasks * s->data->n);
    qs_run_release(&run);
}

void
qs_sense_commit(struct qs_ctx *cx, struct scan *s, double *const *add, int n, int64_t last)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < s->n_sum; k++)
            s->sum[k] += add[i][k];
    s->at.sample = last + 1;
    tell(cx, s);
    if (qs_seconds_now() - s->saved >= 1)
        qs_sense_checkpoint(cx, s);
}

/* ---- ranking ---- */

struct rank {
    double db;
    int layer;
};

static int
lowest_first(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    const int c = falling(-x->db, -y->db);
    return c ? c : x->layer - y->layer;
}

void
qs_sense_choose(struct scan *s)
{
    const int top = s->choices.top > 0 && s->choices.top < s->n_layer ? s->choices.top : s->n_layer;
    struct rank *r = qs_xcalloc((size_t)s->n_layer, sizeof(*r));
    for (int i = 0; i < s->n_layer; i++) {
        r[i] = (struct rank){NAN, i};
        for (int v = 0; v < s->n_variant; v++) {
            const double *sum = qs_sense_row(s, s->sum, i, v);
            r[i].db = fmin(r[i].db, decibel(sum[SUM_SIGNAL], sum[SUM_NOISE]));
        }
    }
    qsort(r, (size_t)s->n_layer, sizeof(*r), lowest_first);
    for (int i = 0; i < s->n_layer; i++)
        s->layer[r[i].layer].chosen = i < top;
    free(r);
}
