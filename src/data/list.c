/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of samples with their labels: text files, and .npy arrays. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "data/dataset_internal.h"

/* A line of a list while it is read. */
struct line {
    struct qs_ctx *cx;
    struct qs_dataset *d;
    int number; /* from 1 */
    char *name, *label;
    struct qs_truth *truth;
};

static enum qs_err
fail_line(const struct line *l, const char *why)
{
    return qs_fail(l->cx, QS_ERR_FORMAT, _("cannot read list '%s': line %d: %s"), l->d->config.list,
                   l->number, why);
}

/* 'path label': the label is the last word. */
static enum qs_err
read_class(struct line *l)
{
    char *s = l->name + strlen(l->name), *end = NULL;
    while (s > l->name && strchr(" \t", s[-1]))
        *--s = '\0';
    while (s > l->name && !strchr(" \t", s[-1]))
        s--;
    l->label = s;
    while (s > l->name && strchr(" \t", s[-1]))
        *--s = '\0';
    if (l->label == l->name)
        return fail_line(l, _("expected 'path label'"));
    l->truth->label = strtoll(l->label, &end, 10);
    if (*end || end == l->label || l->truth->label < 0 || l->truth->label > INT32_MAX)
        return fail_line(l, _("the label is not a number of a class"));
    return QS_OK;
}

static enum qs_err
split_at_tab(struct line *l)
{
    char *tab = strchr(l->name, '\t');
    if (!tab || tab == l->name)
        return fail_line(l, _("expected the path, a tab and the label"));
    *tab = '\0';
    l->label = tab + 1;
    return QS_OK;
}

static enum qs_err
read_text(struct line *l)
{
    const enum qs_err err = split_at_tab(l);
    if (err)
        return err;
    int n = 0;
    for (const char *s = l->label; *s; s++)
        n += (*s & 0xc0) != 0x80;
    if (n > QS_TEXT_MOST)
        return fail_line(l, _("the text is too long"));
    l->truth->text = l->label;
    return QS_OK;
}

static enum qs_err
read_points(struct line *l, const json_t *points, struct qs_text_area *area)
{
    const size_t n = json_array_size(points);
    if (n < 3 || n > QS_AREA_POINTS_MOST)
        return fail_line(l, _("'points' must be a list of at least three points"));
    area->n = (int)n;
    area->p = qs_arena_calloc(l->d->arena, n, sizeof(*area->p));
    for (size_t i = 0; i < n; i++) {
        const json_t *point = json_array_get(points, i);
        const json_t *x = json_array_get(point, 0), *y = json_array_get(point, 1);
        if (json_array_size(point) != 2 || !json_is_number(x) || !json_is_number(y))
            return fail_line(l, _("a point must be [x, y]"));
        area->p[i] = (struct qs_vertex){json_number_value(x), json_number_value(y)};
        if (!(area->p[i].x > -1e7 && area->p[i].x < 1e7 && area->p[i].y > -1e7 &&
              area->p[i].y < 1e7))
            return fail_line(l, _("a point is too far away"));
    }
    area->simple = qs_polygon_is_simple(area->p, area->n);
    return QS_OK;
}

static enum qs_err
read_area(struct line *l, const json_t *item, struct qs_text_area *area)
{
    const char *text = json_string_value(json_object_get(item, "transcription"));
    if (!text)
        return fail_line(l, _("a text lacks its 'transcription'"));
    area->ignore = strcmp(text, "###") == 0 || strcmp(text, "*") == 0;
    return read_points(l, json_object_get(item, "points"), area);
}

static enum qs_err
read_areas(struct line *l)
{
    enum { MOST = 4096 };
    json_error_t why;
    enum qs_err err = split_at_tab(l);
    if (err)
        return err;
    json_t *list = json_loads(l->label, 0, &why);
    const size_t n = json_array_size(list);
    if (!json_is_array(list) || n > MOST)
        err = fail_line(l, list ? _("the label is not a list of texts") : why.text);
    l->truth->area = qs_arena_calloc(l->d->arena, n + 1, sizeof(*l->truth->area));
    for (size_t i = 0; i < n && !err; i++)
        err = read_area(l, json_array_get(list, i), &l->truth->area[l->truth->n_area++]);
    json_decref(list);
    return err;
}

static enum qs_err (*const readers[])(struct line *l) = {
    [QS_DATA_CLASSIFICATION] = read_class,
    [QS_DATA_OCR_REC] = read_text,
    [QS_DATA_OCR_DET] = read_areas,
};

/* Cuts the line at `*s` off; NULL at the end of the text. */
static char *
next_line(char **s)
{
    char *line = *s;
    if (!*line)
        return NULL;
    *s += strcspn(*s, "\n");
    if (*s > line && (*s)[-1] == '\r')
        (*s)[-1] = '\0';
    if (**s)
        *(*s)++ = '\0';
    return line;
}

static void
grow(struct qs_dataset *d, int64_t *cap)
{
    if (d->n < *cap)
        return;
    *cap = *cap ? 2 * *cap : 1024;
    d->name = qs_xrealloc(d->name, (size_t)*cap * sizeof(*d->name));
    d->truth = qs_xrealloc(d->truth, (size_t)*cap * sizeof(*d->truth));
}

enum qs_err
qs_list_parse(struct qs_ctx *cx, struct qs_dataset *d, char *text, size_t n, int64_t samples)
{
    int64_t cap = 0;
    struct line l = {.cx = cx, .d = d};
    if (memchr(text, '\0', n) || !qs_utf8_is_valid(text, n))
        return qs_fail(cx, QS_ERR_FORMAT, _("cannot read list '%s': it is not UTF-8"),
                       d->config.list);
    char *s = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text;
    d->has_labels = true;
    while ((samples == 0 || d->n < samples) && (l.name = next_line(&s))) {
        l.number++;
        if (l.name[strspn(l.name, " \t\v\f")] == '\0')
            continue;
        grow(d, &cap);
        d->truth[d->n] = (struct qs_truth){.label = -1};
        l.truth = &d->truth[d->n];
        const enum qs_err err = readers[d->config.type](&l);
        if (err)
            return err;
        d->name[d->n++] = l.name;
    }
    if (d->n == 0)
        return qs_fail(cx, QS_ERR_FORMAT, _("there is no sample in list '%s'"), d->config.list);
    return QS_OK;
}

enum qs_err
qs_list_read(struct qs_ctx *cx, struct qs_dataset *d, int64_t samples)
{
    enum { MOST = 256 << 20 };
    char *text = NULL;
    size_t n = 0;
    const enum qs_err err = qs_read_text(cx, d->config.list, _("list"), MOST, &text, &n);
    if (err)
        return err;
    char *kept = qs_arena_memdup(d->arena, text, n); /* names and texts stay in it */
    free(text);
    return qs_list_parse(cx, d, kept, n, samples);
}

/* --- arrays ----------------------------------------------------------------------------------- */

static int64_t
label_at(const struct qs_npy *a, int64_t i)
{
    const int bytes = qs_dtype_bytes(a->dtype);
    int64_t v64 = 0;
    int32_t v32 = 0;
    int16_t v16 = 0;
    const uint8_t *p = a->buf->data + i * bytes;
    switch (bytes) {
    case 8:
        memcpy(&v64, p, 8);
        return v64;
    case 4:
        memcpy(&v32, p, 4);
        return v32;
    case 2:
        memcpy(&v16, p, 2);
        return v16;
    }
    return a->dtype == QS_DTYPE_int8 ? (int8_t)*p : *p;
}

static enum qs_err
read_labels(struct qs_ctx *cx, struct qs_dataset *d, int64_t n_all)
{
    struct qs_npy a;
    enum qs_err err = qs_npy_read(cx, d->config.labels, &a);
    if (err)
        return err;
    if (qs_dtype_is_float(a.dtype) || qs_dtype_bytes(a.dtype) > 8 || a.count != n_all || a.n < 1 ||
        a.d[0] != n_all)
        err = qs_fail(cx, QS_ERR_FORMAT, _("labels '%s' must be %lld whole numbers"),
                      d->config.labels, (long long)n_all);
    for (int64_t i = 0; i < d->n && !err; i++) {
        d->truth[i].label = label_at(&a, i);
        if (d->truth[i].label < 0)
            err = qs_fail(cx, QS_ERR_FORMAT, _("labels '%s': label %lld is negative"),
                          d->config.labels, (long long)i);
    }
    d->has_labels = true;
    qs_npy_release(&a);
    return err;
}

enum qs_err
qs_arrays_open(struct qs_ctx *cx, struct qs_dataset *d, int64_t samples)
{
    const struct qs_data_config *c = &d->config;
    int64_t n_all = 0;
    if (c->n_array > QS_SAMPLE_INPUTS_MOST)
        return qs_fail(cx, QS_ERR_FORMAT, _("cannot read '%s': more than %d inputs"), c->path,
                       QS_SAMPLE_INPUTS_MOST);
    d->reader->array = qs_xcalloc((size_t)c->n_array, sizeof(*d->reader->array));
    for (int i = 0; i < c->n_array; i++) {
        struct qs_npy *a = &d->reader->array[i];
        const enum qs_err err = qs_npy_read(cx, c->array[i].path, a);
        if (err)
            return err;
        if (a->n < 1 || a->count == 0)
            return qs_fail(cx, QS_ERR_FORMAT, _("there is no sample in array '%s'"),
                           c->array[i].path);
        if (i > 0 && a->d[0] != n_all)
            return qs_fail(cx, QS_ERR_FORMAT, _("array '%s' has %lld samples, but '%s' has %lld"),
                           c->array[i].path, (long long)a->d[0], c->array[0].path,
                           (long long)n_all);
        n_all = a->d[0];
    }
    d->n = samples > 0 && samples < n_all ? samples : n_all;
    d->name = qs_xcalloc((size_t)d->n, sizeof(*d->name));
    d->truth = qs_xcalloc((size_t)d->n, sizeof(*d->truth));
    for (int64_t i = 0; i < d->n; i++) {
        d->name[i] = qs_arena_printf(d->arena, "#%lld", (long long)i);
        d->truth[i].label = -1;
    }
    return c->labels ? read_labels(cx, d, n_all) : QS_OK;
}
