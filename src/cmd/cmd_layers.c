/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/pattern.h"
#include "cmd/activations.h"
#include "cmd/cmd.h"
#include "model/quant.h"

struct options {
    char *params, *sort, *filter, *channels, *histogram;
    int bits, bins;
    bool all, csv, activations;
};

static const struct qs_opt opts[] = {
    {"bits", 0, QS_OPT_INT, offsetof(struct options, bits), 2, 16, NULL, "8", "N",
     N_("bits for which the quantization error is computed")},
    {"sort", 0, QS_OPT_TEXT, offsetof(struct options, sort), 0, 0, NULL, NULL, "COL",
     N_("sort by a column, any that --csv prints; -COL reverses")},
    {"filter", 0, QS_OPT_TEXT, offsetof(struct options, filter), 0, 0, NULL, NULL, "EXPR",
     N_("only weights whose name or operator type matches the glob or /regex/, or COL<N, COL>N, "
        "COL=TEXT")},
    {"all", 0, QS_OPT_FLAG, offsetof(struct options, all), 0, 0, NULL, NULL, NULL,
     N_("also show biases and the parameters of normalizations")},
    {"activations", 0, QS_OPT_FLAG, offsetof(struct options, activations), 0, 0, NULL, NULL, NULL,
     N_("of a quantized model: the ranges of its activations instead")},
    {"csv", 0, QS_OPT_FLAG, offsetof(struct options, csv), 0, 0, NULL, NULL, NULL,
     N_("print comma-separated values, all columns")},
    {"channels", 0, QS_OPT_TEXT, offsetof(struct options, channels), 0, 0, NULL, NULL, "WEIGHT",
     N_("list min, max and absmax of each output channel of one weight")},
    {"histogram", 0, QS_OPT_TEXT, offsetof(struct options, histogram), 0, 0, NULL, NULL, "WEIGHT",
     N_("list how many elements of one weight fall into each bin of its range")},
    {"bins", 0, QS_OPT_INT, offsetof(struct options, bins), 1, 100000, NULL, "64", "N",
     N_("bins of --histogram")},
    {"params", 0, QS_OPT_TEXT, offsetof(struct options, params), 0, 0, NULL, NULL, "FILE",
     N_("the combined parameter file, when it is not beside the program")},
};

/* A row of the table, ready to print. */
struct row {
    const struct qs_opened *o;
    const struct qs_layer *l;
    const struct qs_tensor *t;       /* as it is in the file */
    const struct qs_quant_weight *q; /* NULL: it is not kept in integers */
    const char *weight, *op_type;
    double sqnr_tensor, sqnr_channel;
    char op[32];
};

/* Columns: one row each; text, JSON, CSV, sort and filter read this list. */
enum kind { TEXT, NUMBER, INTEGER, FLAG };
struct column {
    const char *key;
    enum kind kind;
    enum {
        HIDDEN,
        BRIEF,
        QUANTIZED
    } brief; /* in the table for people: no, yes, of quantized models */
    const char *(*text)(const struct row *r);
    double (*number)(const struct row *r);
};

/* Smallest or largest step of the integers. */
static double
scale_at(const struct row *r, bool least)
{
    double t = r->q ? r->q->threshold[0] : NAN;
    for (int64_t c = 1; r->q && c < r->q->n_scales; c++)
        t = least ? fmin(t, r->q->threshold[c]) : fmax(t, r->q->threshold[c]);
    return r->q ? t / (double)qs_quant_range(r->q->bits) : NAN;
}

#define TEXT_COLUMN(name, expr)                  \
    static const char *name(const struct row *r) \
    {                                            \
        return expr;                             \
    }
#define NUMBER_COLUMN(name, expr)           \
    static double name(const struct row *r) \
    {                                       \
        return (double)(expr);              \
    }
TEXT_COLUMN(get_weight, r->weight)
TEXT_COLUMN(get_op, r->op)
TEXT_COLUMN(get_op_type, r->op_type)
TEXT_COLUMN(get_dtype, qs_dtype_name(r->t->dtype))
TEXT_COLUMN(get_reason, r->l->reason)
NUMBER_COLUMN(get_n, r->t->n)
NUMBER_COLUMN(get_bytes, r->t->bytes)
NUMBER_COLUMN(get_min, r->l->stats.valid ? r->l->stats.min : NAN)
NUMBER_COLUMN(get_max, r->l->stats.valid ? r->l->stats.max : NAN)
NUMBER_COLUMN(get_mean, r->l->stats.valid ? r->l->stats.mean : NAN)
NUMBER_COLUMN(get_std, r->l->stats.valid ? r->l->stats.std : NAN)
NUMBER_COLUMN(get_absmax, r->l->stats.valid ? r->l->stats.absmax : NAN)
NUMBER_COLUMN(get_sparsity, r->l->stats.valid ? r->l->stats.sparsity : NAN)
NUMBER_COLUMN(get_kurtosis, r->l->stats.valid ? r->l->stats.kurtosis : NAN)
NUMBER_COLUMN(get_ratio, r->l->stats.valid ? r->l->stats.channel_range_ratio : NAN)
NUMBER_COLUMN(get_axis, r->l->axis)
NUMBER_COLUMN(get_sqnr, r->l->axis >= 0 ? r->sqnr_channel : r->sqnr_tensor)
NUMBER_COLUMN(get_sqnr_tensor, r->sqnr_tensor)
NUMBER_COLUMN(get_sqnr_channel, r->sqnr_channel)
NUMBER_COLUMN(get_bad, r->l->stats.n_bad)
NUMBER_COLUMN(get_bits, r->q ? r->q->bits : NAN)
NUMBER_COLUMN(get_n_scales, r->q ? (double)r->q->n_scales : NAN)
NUMBER_COLUMN(get_scale_min, scale_at(r, true))
NUMBER_COLUMN(get_scale_max, scale_at(r, false))
NUMBER_COLUMN(get_quantizable, r->l->quantizable)
NUMBER_COLUMN(get_loadable, r->l->quantizable && r->l->int_loadable)

static const struct column column[] = {
    {"weight", TEXT, BRIEF, get_weight, NULL},
    {"op", TEXT, HIDDEN, get_op, NULL},
    {"op_type", TEXT, BRIEF, get_op_type, NULL},
    {"dtype", TEXT, HIDDEN, get_dtype, NULL},
    {"n", INTEGER, HIDDEN, NULL, get_n},
    {"bytes", INTEGER, BRIEF, NULL, get_bytes},
    {"min", NUMBER, BRIEF, NULL, get_min},
    {"max", NUMBER, BRIEF, NULL, get_max},
    {"mean", NUMBER, HIDDEN, NULL, get_mean},
    {"std", NUMBER, BRIEF, NULL, get_std},
    {"absmax", NUMBER, HIDDEN, NULL, get_absmax},
    {"sparsity", NUMBER, HIDDEN, NULL, get_sparsity},
    {"channel_axis", INTEGER, HIDDEN, NULL, get_axis},
    {"channel_range_ratio", NUMBER, BRIEF, NULL, get_ratio},
    {"kurtosis", NUMBER, HIDDEN, NULL, get_kurtosis},
    {"sqnr_db", NUMBER, BRIEF, NULL, get_sqnr},
    {"sqnr_db_per_tensor", NUMBER, BRIEF, NULL, get_sqnr_tensor},
    {"sqnr_db_per_channel", NUMBER, HIDDEN, NULL, get_sqnr_channel},
    {"n_not_finite", INTEGER, HIDDEN, NULL, get_bad},
    {"bits", INTEGER, QUANTIZED, NULL, get_bits},
    {"n_scales", INTEGER, HIDDEN, NULL, get_n_scales},
    {"scale_min", NUMBER, QUANTIZED, NULL, get_scale_min},
    {"scale_max", NUMBER, QUANTIZED, NULL, get_scale_max},
    {"quantizable", FLAG, BRIEF, NULL, get_quantizable},
    {"int_loadable", FLAG, HIDDEN, NULL, get_loadable},
    {"reason", TEXT, BRIEF, get_reason, NULL},
};

static const struct column *
find_column(const char *key, size_t n)
{
    for (size_t i = 0; i < QS_LEN(column); i++)
        if (strlen(column[i].key) == n && memcmp(column[i].key, key, n) == 0)
            return &column[i];
    return NULL;
}

/* Filter: COL<N, COL>N, COL=TEXT, or a pattern over names and operator types. */
struct filter {
    const struct column *col;
    char relation;
    double number;
    struct qs_pattern *pattern;
};

static enum qs_err
filter_parse(struct qs_ctx *cx, const char *text, struct filter *f)
{
    const size_t n = strcspn(text, "<>=");
    char why[128], *end;
    *f = (struct filter){.col = text[n] ? find_column(text, n) : NULL};
    f->relation = text[n];
    if (f->col && f->col->kind != TEXT) {
        f->number = strcmp(text + n + 1, "true") == 0    ? 1
                    : strcmp(text + n + 1, "false") == 0 ? 0
                                                         : strtod(text + n + 1, &end);
        const bool word = strcmp(text + n + 1, "true") == 0 || strcmp(text + n + 1, "false") == 0;
        if (!word && (end == text + n + 1 || *end))
            return qs_fail(cx, QS_ERR_USAGE, _("bad filter '%s': a number expected"), text);
        return QS_OK;
    }
    f->pattern = qs_pattern_new(f->col ? text + n + 1 : text, why, sizeof(why));
    if (!f->pattern)
        return qs_fail(cx, QS_ERR_USAGE, _("bad filter '%s': %s"), text, why);
    return QS_OK;
}

static bool
filter_takes(const struct filter *f, const struct row *r)
{
    if (!f->col && !f->pattern)
        return true;
    if (!f->col)
        return qs_pattern_match(f->pattern, r->weight) || qs_pattern_match(f->pattern, r->op_type);
    if (f->col->kind == TEXT)
        return qs_pattern_match(f->pattern, f->col->text(r));
    const double v = f->col->number(r);
    return f->relation == '<' ? v < f->number : f->relation == '>' ? v > f->number : v == f->number;
}

struct order {
    const struct column *col;
    int sign;
};

static int
compare_rows(const void *a, const void *b, void *arg)
{
    const struct order *order = arg;
    const struct row *x = a, *y = b;
    if (order->col->kind == TEXT)
        return order->sign * strcmp(order->col->text(x), order->col->text(y));
    const double v = order->col->number(x), w = order->col->number(y);
    if (isnan(v) || isnan(w))
        return isnan(v) - isnan(w); /* unknown values last, either way */
    return order->sign * ((v > w) - (v < w));
}

/* The table */

/* What is listed: the model, or the float graph of a quantized one beside the file it came from. */
struct listed {
    const struct qs_opened *file;
    struct qs_opened *o;
    struct qs_apart apart;
};

static struct row *
collect(const struct listed *m, const double *per_tensor, const double *per_channel, bool all,
        const struct filter *f, int *n)
{
    const struct qs_opened *o = m->o;
    struct row *row = qs_xcalloc((size_t)o->layers->n, sizeof(*row));
    *n = 0;
    for (int i = 0; i < o->layers->n; i++) {
        const struct qs_layer *l = &o->layers->layer[i];
        struct row *r = &row[*n];
        r->o = o;
        r->l = l;
        const int w = qs_static_find_weight(&m->apart.notes, l->var);
        r->q = w < 0 ? NULL : &m->apart.notes.weight[w];
        r->t = l->var < m->file->model->n_var ? m->file->model->var[l->var].data : NULL;
        if (!r->t)
            r->t = o->model->var[l->var].data;
        if (!r->t || (l->secondary && !all))
            continue;
        r->weight = o->model->var[l->var].name;
        r->op_type =
            l->user.block < 0 ? "" : o->model->block[l->user.block].node[l->user.node].type;
        snprintf(r->op, sizeof(r->op), l->user.block > 0 ? "%d:%d" : "%.0d%d",
                 l->user.block > 0 ? l->user.block : 0, l->user.node);
        r->sqnr_tensor = per_tensor[i];
        r->sqnr_channel = per_channel[i];
        *n += filter_takes(f, r);
    }
    return row;
}

static void
add_value(struct qs_table *t, const struct column *c, const struct row *r)
{
    if (c->kind == TEXT)
        qs_table_cell(t, "%s", c->text(r));
    else if (c->kind == FLAG)
        qs_table_cell(t, "%s", c->number(r) != 0 ? "true" : "false");
    else if (isnan(c->number(r)))
        qs_table_cell(t, "-");
    else if (c->kind == INTEGER)
        qs_table_cell(t, "%.0f", c->number(r));
    else
        qs_table_cell(t, "%.4g", c->number(r));
}

static bool
is_shown(const struct column *c, bool quantized, bool csv)
{
    return csv || c->brief == BRIEF || (c->brief == QUANTIZED && quantized);
}

static void
print_table(const struct row *row, int n, bool quantized, bool csv)
{
    const char *title[QS_LEN(column) + 1];
    enum qs_align align[QS_LEN(column) + 1];
    int n_col = 0;
    for (size_t c = 0; c < QS_LEN(column); c++) {
        if (!is_shown(&column[c], quantized, csv))
            continue;
        title[n_col] = column[c].key;
        align[n_col++] = column[c].kind == TEXT ? QS_LEFT : QS_RIGHT;
        if (c == 2) {
            title[n_col] = "dims";
            align[n_col++] = QS_LEFT;
        }
    }
    struct qs_table *t = qs_table_new(n_col, title, align);
    for (int i = 0; i < n; i++)
        for (size_t c = 0; c < QS_LEN(column); c++) {
            char dims[128];
            if (is_shown(&column[c], quantized, csv))
                add_value(t, &column[c], &row[i]);
            if (c == 2)
                qs_table_cell(t, "%s",
                              qs_format_dims(dims, sizeof(dims), row[i].t->dims, row[i].t->n_dims));
        }
    qs_table_print(t, stdout, csv);
}

static json_t *
row_json(const struct row *r)
{
    json_t *o = json_object();
    for (size_t i = 0; i < QS_LEN(column); i++) {
        const struct column *c = &column[i];
        json_t *v = c->kind == TEXT   ? qs_json_text(c->text(r))
                    : c->kind == FLAG ? json_boolean(c->number(r) != 0)
                    : c->kind == INTEGER && !isnan(c->number(r))
                        ? json_integer((json_int_t)c->number(r))
                        : qs_json_real(c->number(r));
        json_object_set_new(o, c->key, v);
    }
    json_object_set_new(o, "dims", qs_json_dims(r->t->dims, r->t->n_dims));
    return o;
}

static enum qs_err
list_layers(struct qs_ctx *cx, const struct listed *m, const struct options *opt, bool json)
{
    struct qs_opened *o = m->o;
    struct filter f = {0};
    struct order order = {NULL, 1};
    const size_t n_layers = (size_t)o->layers->n;
    int n = 0;
    if (opt->sort) {
        const char *key = opt->sort + (opt->sort[0] == '-');
        order = (struct order){find_column(key, strlen(key)), opt->sort[0] == '-' ? -1 : 1};
        if (!order.col)
            return qs_fail(cx, QS_ERR_USAGE,
                           _("no column '%s' to sort by (--csv prints all columns)"), key);
    }
    enum qs_err err = opt->filter ? filter_parse(cx, opt->filter, &f) : QS_OK;
    double *per_tensor = qs_xcalloc(n_layers, sizeof(double));
    double *per_channel = qs_xcalloc(n_layers, sizeof(double));
    if (!err)
        err = qs_app_layer_stats(cx, o, NULL, NULL);
    if (!err)
        err = qs_app_sqnr(cx, o, opt->bits, per_tensor, per_channel);
    if (!err) {
        struct row *row = collect(m, per_tensor, per_channel, opt->all, &f, &n);
        if (order.col)
            qsort_r(row, (size_t)n, sizeof(*row), compare_rows, &order);
        if (json) {
            json_t *list = json_array();
            for (int i = 0; i < n; i++)
                json_array_append_new(list, row_json(&row[i]));
            err = qs_print_json(cx, json_pack("{s:o,s:i,s:o}", "layers", list, "bits", opt->bits,
                                              "activations", qs_activations_json(&m->apart)));
        } else {
            print_table(row, n, m->apart.opened != NULL, opt->csv);
        }
        free(row);
    }
    qs_pattern_free(f.pattern);
    free(per_channel);
    free(per_tensor);
    return err;
}

/* One weight */

static enum qs_err
find_weight(struct qs_ctx *cx, const struct qs_opened *o, const char *name,
            const struct qs_layer **out)
{
    for (int i = 0; i < o->layers->n; i++) {
        const struct qs_layer *l = &o->layers->layer[i];
        const struct qs_tensor *t = o->model->var[l->var].data;
        if (strcmp(o->model->var[l->var].name, name) != 0 || !t)
            continue;
        if (!qs_dtype_is_float(t->dtype))
            return qs_fail(cx, QS_ERR_UNSUPPORTED, _("weight '%s' is %s, not floating point"), name,
                           qs_dtype_name(t->dtype));
        *out = l;
        return QS_OK;
    }
    return qs_fail(cx, QS_ERR_NOT_FOUND, _("no weight '%s' in '%s'"), name, o->path);
}

static enum qs_err
list_channels(struct qs_ctx *cx, const struct qs_opened *o, const char *name, bool json, bool csv)
{
    const struct qs_layer *l = NULL;
    enum qs_err err = find_weight(cx, o, name, &l);
    if (err)
        return err;
    const struct qs_tensor *t = o->model->var[l->var].data;
    const struct qs_channels ch = qs_channels_of(t, l->axis);
    const size_t n = (size_t)ch.n_channels;
    float *absmax = qs_xcalloc(n, sizeof(float));
    float *min = qs_xcalloc(n, sizeof(float)), *max = qs_xcalloc(n, sizeof(float));
    qs_channel_absmax(t, ch, absmax);
    qs_channel_range(t, ch, min, max);
    if (json) {
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++)
            json_array_append_new(list, json_pack("{s:i,s:o,s:o,s:o}", "channel", (int)i, "min",
                                                  qs_json_real(min[i]), "max", qs_json_real(max[i]),
                                                  "absmax", qs_json_real(absmax[i])));
        err = qs_print_json(cx, json_pack("{s:o,s:i,s:o}", "weight", qs_json_text(name),
                                          "channel_axis", l->axis, "channels", list));
    } else {
        static const char *const key[] = {N_("channel"), "min", "max", "absmax"};
        const char *title[] = {csv ? key[0] : _(key[0]), key[1], key[2], key[3]};
        static const enum qs_align align[] = {QS_RIGHT, QS_RIGHT, QS_RIGHT, QS_RIGHT};
        struct qs_table *table = qs_table_new(4, title, align);
        for (size_t i = 0; i < n; i++) {
            qs_table_cell(table, "%zu", i);
            qs_table_cell(table, "%.6g", min[i]);
            qs_table_cell(table, "%.6g", max[i]);
            qs_table_cell(table, "%.6g", absmax[i]);
        }
        qs_table_print(table, stdout, csv);
    }
    free(absmax);
    free(min);
    free(max);
    return err;
}

static enum qs_err
list_histogram(struct qs_ctx *cx, const struct qs_opened *o, const char *name, int bins, bool json,
               bool csv)
{
    const struct qs_layer *l = NULL;
    enum qs_err err = find_weight(cx, o, name, &l);
    if (err)
        return err;
    const struct qs_tensor *t = o->model->var[l->var].data;
    struct qs_layer_stats stats;
    qs_layer_stats_of(t, l->axis, &stats);
    int64_t *count = qs_xcalloc((size_t)bins, sizeof(*count));
    qs_histogram(t, stats.min, stats.max, bins, count);
    if (json) {
        json_t *list = json_array();
        for (int i = 0; i < bins; i++)
            json_array_append_new(list, json_integer(count[i]));
        err = qs_print_json(cx, json_pack("{s:o,s:o,s:o,s:o}", "weight", qs_json_text(name), "min",
                                          qs_json_real(stats.min), "max", qs_json_real(stats.max),
                                          "counts", list));
    } else {
        static const char *const key[] = {N_("from"), N_("to"), N_("count")};
        const char *title[QS_LEN(key)];
        for (size_t i = 0; i < QS_LEN(key); i++)
            title[i] = csv ? key[i] : _(key[i]);
        static const enum qs_align align[] = {QS_RIGHT, QS_RIGHT, QS_RIGHT};
        const double width = (stats.max - stats.min) / bins;
        struct qs_table *table = qs_table_new(3, title, align);
        for (int i = 0; i < bins; i++) {
            qs_table_cell(table, "%.6g", stats.min + i * width);
            qs_table_cell(table, "%.6g", stats.min + (i + 1) * width);
            qs_table_cell(table, "%" PRId64, count[i]);
        }
        qs_table_print(table, stdout, csv);
    }
    free(count);
    return err;
}

static enum qs_err
list_activations(struct qs_ctx *cx, const struct listed *m, bool json, bool csv)
{
    if (!m->apart.opened)
        return qs_fail(cx, QS_ERR_USAGE, _("'%s' is not quantized"), m->file->path);
    if (json)
        return qs_print_json(cx, json_pack("{s:o}", "activations", qs_activations_json(&m->apart)));
    qs_activations_print(&m->apart, csv);
    return QS_OK;
}

static enum qs_err
list(struct qs_ctx *cx, const struct listed *m, const struct options *opt, bool json)
{
    if (opt->channels)
        return list_channels(cx, m->o, opt->channels, json, opt->csv);
    if (opt->histogram)
        return list_histogram(cx, m->o, opt->histogram, opt->bins, json, opt->csv);
    if (opt->activations)
        return list_activations(cx, m, json, opt->csv);
    return list_layers(cx, m, opt, json);
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    struct qs_opened *o = NULL;
    struct listed m = {0};
    (void)n_arg;
    enum qs_err err = qs_app_open(cx, arg[0], opt->params, NULL, &o);
    if (!err)
        err = qs_app_need_params(cx, o);
    if (!err && qs_app_take_apart(cx, o, &m.apart) != QS_OK) {
        qs_warn(cx, _("its quantization is not understood: %s"), qs_message(cx));
        qs_clear(cx);
    }
    m.file = o;
    m.o = m.apart.opened ? m.apart.opened : o;
    if (!err)
        err = list(cx, &m, opt, common->json);
    qs_apart_release(&m.apart);
    qs_app_close(o);
    return err;
}

const struct qs_cmd qs_cmd_layers = {
    .name = "layers",
    .args = "MODEL",
    .summary = N_("a row per weight: shape, range, distribution, quantization error"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
