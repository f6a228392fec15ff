/* SPDX-License-Identifier: Apache-2.0 */
#include "data/eval.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/dtype.h"

/* --- which metrics ---------------------------------------------------------------------------- */

static bool
has_metric(const struct qs_dataset *d, bool reference, const struct qs_metric *m)
{
    const int type = d->config.type;
    switch (m->when) {
    case QS_WHEN_CLASSES:
        return d->has_labels && (type == QS_DATA_CLASSIFICATION || type == QS_DATA_TENSORS);
    case QS_WHEN_TEXTS:
        return type == QS_DATA_OCR_REC;
    case QS_WHEN_AREAS:
        return type == QS_DATA_OCR_DET;
    case QS_WHEN_REFERENCE:
        return reference;
    case QS_WHEN_REFERENCE_CLASSES:
        return reference && type != QS_DATA_OCR_DET;
    }
    return false;
}

static enum qs_err
unknown_metric(struct qs_ctx *cx, const char *name, size_t n)
{
    struct qs_str all;
    qs_str_init(&all);
    for (int i = 0; i < QS_N_METRIC; i++)
        qs_str_printf(&all, "%s%s", i ? ", " : "", qs_metrics[i].name);
    const enum qs_err err =
        qs_fail(cx, QS_ERR_USAGE, _("no metric '%.*s': there are %s"), (int)n, name, all.s);
    qs_str_release(&all);
    return err;
}

static enum qs_err
choose(struct qs_ctx *cx, struct qs_eval *e, const char *names, bool reference)
{
    bool wanted[QS_N_METRIC] = {false};
    for (const char *s = names; *s;) {
        const size_t n = strcspn(s, ",");
        const int id = qs_metric_find(s, n);
        if (id < 0)
            return unknown_metric(cx, s, n);
        if (!has_metric(e->data, reference, &qs_metrics[id]))
            return qs_fail(cx, QS_ERR_UNSUPPORTED,
                           qs_metrics[id].when >= QS_WHEN_REFERENCE
                               ? _("metric '%s' cannot be had: it needs a reference model, and "
                                   "data with classes for some")
                               : _("metric '%s' cannot be had from the labels of these data"),
                           qs_metrics[id].name);
        wanted[id] = true;
        s += n + (s[n] == ',');
    }
    for (int i = 0; i < QS_N_METRIC; i++)
        if (wanted[i])
            e->id[e->n_metric++] = i;
    return QS_OK;
}

enum qs_err
qs_eval_init(struct qs_ctx *cx, struct qs_eval *e, const struct qs_dataset *data,
             const char *metrics, bool reference)
{
    *e = (struct qs_eval){.data = data};
    for (int i = 0; i < QS_N_METRIC && !metrics; i++)
        if (has_metric(data, reference, &qs_metrics[i]))
            e->id[e->n_metric++] = i;
    const enum qs_err err = metrics ? choose(cx, e, metrics, reference) : QS_OK;
    if (!err && e->n_metric == 0)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("'%s' has no labels: a reference model is needed to compare with"),
                       data->config.path);
    return err;
}

static bool
needs_labels(const struct qs_eval *e)
{
    for (int i = 0; i < e->n_metric; i++)
        if (qs_metrics[e->id[i]].when < QS_WHEN_REFERENCE)
            return true;
    return e->predictions != NULL;
}

bool
qs_eval_needs_reference(const struct qs_eval *e)
{
    for (int i = 0; i < e->n_metric; i++)
        if (qs_metrics[e->id[i]].when >= QS_WHEN_REFERENCE)
            return true;
    return false;
}

void
qs_eval_release(struct qs_eval *e)
{
    free(e->sum);
    *e = (struct qs_eval){0};
}

/* --- one sample ------------------------------------------------------------------------------- */

/* A sample while it is added. */
struct adding {
    struct qs_ctx *cx;
    struct qs_eval *e;
    const struct qs_sample *s;
    const char *name;
    const struct qs_truth *truth;
    const struct qs_value *out;
    struct qs_sum sum[QS_N_METRIC];
};

static enum qs_err
wrong_output(const struct adding *a, const char *want)
{
    struct qs_str dims;
    qs_str_init(&dims);
    for (int i = 0; i < a->out->n; i++)
        qs_str_printf(&dims, "%s%lld", i ? "x" : "", (long long)a->out->d[i]);
    const enum qs_err err =
        qs_fail(a->cx, QS_ERR_FORMAT, _("cannot use the output [%s] of the model for '%s': %s"),
                dims.s, a->name, want);
    qs_str_release(&dims);
    return err;
}

static void
predict(const struct adding *a, json_t *what)
{
    char *text = json_dumps(what, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(what);
    if (text) {
        qs_str_add(a->e->predictions, text);
        qs_str_add(a->e->predictions, "\n");
    }
    free(text);
}

static enum qs_err
add_class(struct adding *a)
{
    const int64_t n = a->out->count, label = a->truth->label;
    if (a->e->predictions)
        predict(a, json_integer(qs_largest(a->out->f32, n)));
    if (label < 0)
        return QS_OK;
    if (label >= n)
        return qs_fail(a->cx, QS_ERR_FORMAT,
                       _("label %lld of '%s' is beyond the %lld classes of the model"),
                       (long long)label, a->name, (long long)n);
    const int64_t rank = qs_rank_of(a->out->f32, n, label);
    a->sum[QS_METRIC_top1] = (struct qs_sum){rank == 0, 1};
    a->sum[QS_METRIC_top5] = (struct qs_sum){rank < 5, 1};
    return QS_OK;
}

static enum qs_err
add_text(struct adding *a)
{
    const struct qs_value *out = a->out;
    const struct qs_dict *dict = &a->e->data->dict;
    const int64_t n_class = out->n ? out->d[out->n - 1] : 1;
    bool equal = false;
    struct qs_str text;
    if (out->n < 2 || n_class > dict->n || (out->n > 2 && out->d[0] != 1 && out->d[1] != 1))
        return qs_fail(a->cx, QS_ERR_FORMAT,
                       _("the model gives %lld classes, but the dictionary '%s' has %d with blank"),
                       (long long)n_class, a->e->data->config.dict, dict->n);
    qs_str_init(&text);
    qs_ctc_decode(dict, out->f32, out->count / n_class, n_class, &text);
    const double distance = qs_text_distance(text.s, a->truth->text, &equal);
    a->sum[QS_METRIC_accuracy] = (struct qs_sum){equal, 1};
    a->sum[QS_METRIC_norm_edit_distance] = (struct qs_sum){distance, 1};
    if (a->e->predictions)
        predict(a, json_string(text.s));
    qs_str_release(&text);
    return QS_OK;
}

static json_t *
boxes_json(const struct qs_boxes *b)
{
    json_t *list = json_array();
    for (int i = 0; i < b->n; i++) {
        const struct qs_point *p = b->box[i].p;
        json_array_append_new(list, json_pack("[[ii][ii][ii][ii]]", p[0].x, p[0].y, p[1].x, p[1].y,
                                              p[2].x, p[2].y, p[3].x, p[3].y));
    }
    return list;
}

static enum qs_err
add_areas(struct adding *a)
{
    enum { SIDE_MOST = 1 << 14 };
    const struct qs_value *out = a->out;
    struct qs_boxes boxes = {0};
    struct qs_match m;
    if (out->n != 4 || out->d[2] > SIDE_MOST || out->d[3] > SIDE_MOST)
        return wrong_output(a, _("a map of probabilities [1, 1, height, width] is needed"));
    const enum qs_err err =
        qs_boxes_find(a->cx, out->f32, (int)out->d[3], (int)out->d[2], a->s->image_w, a->s->image_h,
                      &a->e->data->config.post, &boxes);
    if (err)
        return err;
    qs_boxes_match(&boxes, a->truth->area, a->truth->n_area, &m);
    a->sum[QS_METRIC_hmean] = (struct qs_sum){2.0 * m.matched, (double)m.n_found + m.n_truth};
    a->sum[QS_METRIC_precision] = (struct qs_sum){m.matched, m.n_found};
    a->sum[QS_METRIC_recall] = (struct qs_sum){m.matched, m.n_truth};
    if (a->e->predictions)
        predict(a, boxes_json(&boxes));
    qs_boxes_release(&boxes);
    return QS_OK;
}

static enum qs_err (*const adders[])(struct adding *a) = {
    [QS_DATA_CLASSIFICATION] = add_class,
    [QS_DATA_OCR_REC] = add_text,
    [QS_DATA_OCR_DET] = add_areas,
    [QS_DATA_TENSORS] = add_class,
};

/* Rows are along the last dimension, but a classifier's output is one row. */
static enum qs_err
add_reference(struct adding *a, const struct qs_value *ref)
{
    const struct qs_value *out = a->out;
    if (ref->dtype != QS_DTYPE_float32 || ref->n != out->n ||
        memcmp(ref->d, out->d, (size_t)out->n * sizeof(*out->d)) != 0)
        return wrong_output(a, _("the reference model gives another shape or type"));
    const int64_t last = out->n ? out->d[out->n - 1] : 1;
    const bool one_row = a->e->data->config.type == QS_DATA_CLASSIFICATION || last < 2;
    const int64_t columns = one_row ? out->count : last;
    qs_compare_outputs(out->f32, ref->f32, out->count / columns, columns, a->sum);
    return QS_OK;
}

static bool
all_finite(const struct qs_value *v)
{
    for (int64_t i = 0; i < v->count; i++)
        if (!isfinite(v->f32[i]))
            return false;
    return true;
}

static void
keep(struct qs_eval *e, const struct qs_sum sum[QS_N_METRIC])
{
    if (e->n == e->cap) {
        e->cap = e->cap ? 2 * e->cap : 256;
        e->sum = qs_xrealloc(e->sum, (size_t)e->cap * (size_t)e->n_metric * sizeof(*e->sum));
    }
    for (int m = 0; m < e->n_metric; m++) {
        e->sum[e->n * e->n_metric + m] = sum[e->id[m]];
        e->total[m].a += sum[e->id[m]].a;
        e->total[m].b += sum[e->id[m]].b;
    }
    e->n++;
}

enum qs_err
qs_eval_add(struct qs_ctx *cx, struct qs_eval *e, const struct qs_sample *s,
            const struct qs_value *out, const struct qs_value *ref)
{
    struct adding a = {.cx = cx,
                       .e = e,
                       .s = s,
                       .name = e->data->name[s->i],
                       .truth = &e->data->truth[s->i],
                       .out = out};
    if (!out->data || out->count < 1 || out->dtype != QS_DTYPE_float32)
        return wrong_output(&a, _("numbers of type float32 are needed"));
    enum qs_err err = needs_labels(e) ? adders[e->data->config.type](&a) : QS_OK;
    if (!err && ref && ref->data)
        err = add_reference(&a, ref);
    if (err)
        return err;
    e->n_not_finite += !all_finite(out);
    keep(e, a.sum);
    return QS_OK;
}

double
qs_eval_value(const struct qs_eval *e, int i)
{
    return qs_metric_value(&qs_metrics[e->id[i]], e->total[i]);
}

enum qs_err
qs_eval_result(struct qs_ctx *cx, const struct qs_eval *e, struct qs_run_metric *metric)
{
    struct qs_interval in[QS_N_METRIC];
    const enum qs_err err = qs_metric_intervals(cx, e->id, e->n_metric, e->sum, e->n, in);
    if (err)
        return err;
    if (e->n_not_finite > 0)
        qs_warn(cx, _("the output is not finite for %lld of %lld samples"),
                (long long)e->n_not_finite, (long long)e->n);
    for (int m = 0; m < e->n_metric; m++)
        metric[m] = (struct qs_run_metric){qs_xstrdup(qs_metrics[e->id[m]].name), in[m].value,
                                           in[m].low, in[m].high};
    return QS_OK;
}
