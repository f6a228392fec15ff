/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"

struct options {
    char *params;
    struct qs_strv shape;
    double seconds;
    int precision;
    bool per_op;
};

static const struct qs_opt opts[] = {
    {"shape", 0, QS_OPT_LIST, offsetof(struct options, shape), 0, 0, NULL, NULL, "[NAME=]DIMS",
     N_("shape of an input, \"x=1,3,224,224\"; repeatable")},
    {"precision", 0, QS_OPT_CHOICE, offsetof(struct options, precision), 0, 0, qs_precision_names,
     "fp32", "PRECISION", N_("arithmetic to run in")},
    {"seconds", 0, QS_OPT_FLOAT, offsetof(struct options, seconds), 0, 3600, NULL, "3", "SECONDS",
     N_("how long to measure")},
    {"per-op", 0, QS_OPT_FLAG, offsetof(struct options, per_op), 0, 0, NULL, NULL, NULL,
     N_("list the time of every operator")},
    {"params", 0, QS_OPT_TEXT, offsetof(struct options, params), 0, 0, NULL, NULL, "FILE",
     N_("the combined parameter file, when it is elsewhere")},
};

static const char *
precision_of(const struct qs_bench_op *op)
{
    return qs_precision_names[op->integer ? QS_PRECISION_INT8 : QS_PRECISION_FP32];
}

static enum qs_err
print_json(struct qs_ctx *cx, const struct qs_benched *d, const struct options *opt)
{
    json_t *ops = json_array();
    for (int i = 0; opt->per_op && i < d->n_op; i++)
        json_array_append_new(
            ops, json_pack("{s:o,s:o,s:s,s:o,s:o,s:o}", "op_type", qs_json_text(d->op[i].op_type),
                           "name", qs_json_text(d->op[i].name), "precision",
                           precision_of(&d->op[i]), "ms", qs_json_real(d->op[i].ms), "int8_part_ms",
                           qs_json_real(d->op[i].int8_ms), "fp32_part_ms",
                           qs_json_real(d->op[i].fp32_ms)));
    return qs_print_json(
        cx, json_pack("{s:o,s:o,s:i,s:i,s:s,s:s,s:s,s:I,s:I,s:I,s:o}", "ms_min",
                      qs_json_real(d->ms_min), "ms_median", qs_json_real(d->ms_median), "runs",
                      d->runs, "threads", d->threads, "isa", d->isa, "precision",
                      qs_precision_names[opt->precision], "engine", d->engine, "param_bytes",
                      (json_int_t)d->param_bytes, "peak_bytes", (json_int_t)d->peak_bytes,
                      "live_bytes", (json_int_t)d->live_bytes, "ops", ops));
}

/* Beside integers: what their part of the run takes, and what it takes in floats. */
static void
print_ops(const struct qs_benched *d, bool integers)
{
    const char *const title[] = {_("ms"),   _("op"),       _("precision"),
                                 _("part"), _("in float"), _("name")};
    static const enum qs_align align[] = {QS_RIGHT, QS_LEFT, QS_LEFT, QS_RIGHT, QS_RIGHT, QS_LEFT};
    const char *const few[] = {title[0], title[1], title[2], title[5]};
    static const enum qs_align few_align[] = {QS_RIGHT, QS_LEFT, QS_LEFT, QS_LEFT};
    struct qs_table *table =
        integers ? qs_table_new(6, title, align) : qs_table_new(4, few, few_align);
    for (int i = 0; i < d->n_op; i++) {
        const struct qs_bench_op *op = &d->op[i];
        qs_table_cell(table, "%.4f", op->ms);
        qs_table_cell(table, "%s", op->op_type);
        qs_table_cell(table, "%s", precision_of(op));
        if (integers && isnan(op->fp32_ms)) {
            qs_table_cell(table, "%s", "");
            qs_table_cell(table, "%s", "");
        } else if (integers) {
            qs_table_cell(table, "%.4f", op->int8_ms);
            qs_table_cell(table, "%.4f", op->fp32_ms);
        }
        qs_table_cell(table, "%s", op->name);
    }
    qs_table_print(table, stdout, false);
}

static void
print_text(const struct qs_benched *d, const struct options *opt)
{
    if (opt->per_op)
        print_ops(d, opt->precision == QS_PRECISION_INT8);
    printf(_("%.3f ms at best, %.3f ms in the middle of %d runs; %d threads, %s, %s engine\n"),
           d->ms_min, d->ms_median, d->runs, d->threads, d->isa, d->engine);
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    const struct qs_bench_options how = {
        .shapes = &opt->shape, .seconds = opt->seconds, .precision = opt->precision};
    struct qs_opened *o = NULL;
    struct qs_benched done;
    (void)n_arg;
    enum qs_err err = qs_app_open(cx, arg[0], opt->params, NULL, &o);
    if (err)
        return err;
    err = qs_app_bench(cx, o, &how, &done);
    if (!err && common->json)
        err = print_json(cx, &done, opt);
    else if (!err)
        print_text(&done, opt);
    qs_benched_release(&done);
    qs_app_close(o);
    return err;
}

const struct qs_cmd qs_cmd_bench = {
    .name = "bench",
    .args = "MODEL",
    .summary = N_("measure how long a model takes"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
