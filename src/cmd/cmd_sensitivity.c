/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/sense_output.h"

enum { BITS_MOST = 15 };

struct options {
    char *data, *metric, *mode, *bits, *op_types, *top, *params;
    int samples, weight_type, algo, precision, resume, max_pixels;
    int64_t memory;
    bool others, exact, no_store, csv;
};

static const char *const weight_types[] = {"channel_wise_abs_max", "abs_max", NULL};

#define AT(member) offsetof(struct options, member)
static const struct qs_opt opts[] = {
    {"data", 'd', QS_OPT_TEXT, AT(data), 0, 0, NULL, NULL, "FILE",
     N_("the data file: samples, and labels for a metric that needs them")},
    {"samples", 'n', QS_OPT_INT, AT(samples), 0, 1 << 30, NULL, "0", "N",
     N_("use the first N samples; 0: all")},
    {"metric", 'm', QS_OPT_TEXT, AT(metric), 0, 0, NULL, NULL, "M",
     N_("what to measure (default: the first metric that the labels allow, else cosine)")},
    {"mode", 0, QS_OPT_TEXT, AT(mode), 0, 0, NULL, NULL, "MODE,...",
     N_("what of a layer is quantized: weights, activations or both (default: both)")},
    {"bits", 'b', QS_OPT_TEXT, AT(bits), 0, 0, NULL, NULL, "N,...",
     N_("bits to try, 2 to 16 (default: 8)")},
    {"op-types", 0, QS_OPT_TEXT, AT(op_types), 0, 0, NULL, NULL, "LIST",
     N_("operator types whose layers to try, comma-separated (default: convolutions and products "
        "with a weight)")},
    {"weight-type", 0, QS_OPT_CHOICE, AT(weight_type), 0, 0, weight_types, "channel_wise_abs_max",
     "TYPE", N_("one scale for each output channel, or abs_max: one for the tensor")},
    {"algo", 0, QS_OPT_CHOICE, AT(algo), 0, 0, qs_algo_names, "avg", "ALGO",
     N_("how thresholds of activations are chosen")},
    {"top", 0, QS_OPT_TEXT, AT(top), 0, 0, NULL, "all", "K",
     N_("evaluate only the K layers with the largest error of their own; all: every one")},
    {"others", 0, QS_OPT_FLAG, AT(others), 0, 0, NULL, NULL, NULL,
     N_("also evaluate with all layers but the one quantized")},
    {"precision", 0, QS_OPT_CHOICE, AT(precision), 0, 0, qs_precision_names, "fp32", "PRECISION",
     N_("arithmetic of the layers that are quantized")},
    {"memory", 0, QS_OPT_SIZE, AT(memory), 0, 0, NULL, "0", "SIZE",
     N_("most memory to use, such as 500M; 0: a quarter of the machine's")},
    {"exact", 0, QS_OPT_FLAG, AT(exact), 0, 0, NULL, NULL, NULL,
     N_("never use the fast engine; whole models are run for each layer")},
    {"resume", 0, QS_OPT_INT, AT(resume), 0, 2147483647, NULL, "0", "RUN",
     N_("go on with a scan that was stopped")},
    {"max-pixels", 0, QS_OPT_INT, AT(max_pixels), 1, 1 << 30, NULL, "67108864", "N",
     N_("refuse larger pictures")},
    {"params", 0, QS_OPT_TEXT, AT(params), 0, 0, NULL, NULL, "FILE",
     N_("the combined parameter file, when it is not beside the program")},
    {"no-store", 0, QS_OPT_FLAG, AT(no_store), 0, 0, NULL, NULL, NULL,
     N_("do not record this run")},
    {"csv", 0, QS_OPT_FLAG, AT(csv), 0, 0, NULL, NULL, NULL, N_("list as comma-separated values")},
};
#undef AT

/* ---- options ---- */

static enum qs_err
parse_modes(struct qs_ctx *cx, const char *text, int *set)
{
    static const char *const name[] = {"weights", "activations", "both"};
    for (const char *p = text; p && *p; p += *p == ',') {
        const size_t n = strcspn(p, ",");
        size_t i = 0;
        while (i < QS_LEN(name) && (strlen(name[i]) != n || memcmp(p, name[i], n) != 0))
            i++;
        if (i == QS_LEN(name))
            return qs_fail(cx, QS_ERR_USAGE,
                           _("--mode takes weights, activations or both, or several joined by "
                             "',', not '%s'"),
                           text);
        *set |= 1 << i;
        p += n;
    }
    return QS_OK;
}

static enum qs_err
parse_bits(struct qs_ctx *cx, const char *text, int bits[BITS_MOST], int *n)
{
    for (const char *p = text; p && *p;) {
        char *end;
        const long v = strtol(p, &end, 10);
        if (end == p || (*end && *end != ',') || v < 2 || v > 16 || *n == BITS_MOST)
            return qs_fail(cx, QS_ERR_USAGE, _("--bits takes widths from 2 to 16, not '%s'"), text);
        bits[(*n)++] = (int)v;
        p = end + (*end == ',');
    }
    return QS_OK;
}

static enum qs_err
parse_top(struct qs_ctx *cx, const char *text, int64_t *top)
{
    char *end;
    *top = 0;
    if (strcmp(text, "all") == 0)
        return QS_OK;
    *top = strtol(text, &end, 10);
    if (end == text || *end || *top < 1 || *top > 1 << 30)
        return qs_fail(cx, QS_ERR_USAGE, _("--top takes a number of layers or all, not '%s'"),
                       text);
    return QS_OK;
}

/* ---- output ---- */

static enum qs_err
print_json(struct qs_ctx *cx, const struct qs_sensed *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "run_id", s->run.id ? json_integer(s->run.id) : json_null());
    json_object_set_new(o, "model", qs_json_text(s->run.model_path));
    json_object_set_new(o, "metric", qs_json_text(s->metric));
    json_object_set_new(o, "higher_is_better", json_boolean(s->higher_is_better));
    json_object_set_new(o, "baseline", qs_json_real(s->baseline));
    json_object_set_new(o, "quantized", qs_json_real(s->quantized));
    json_object_set_new(o, "layers", qs_sensitivity_json(&s->run));
    json_object_set_new(o, "samples", json_integer(s->samples));
    json_object_set_new(o, "seconds", qs_json_real(s->seconds));
    json_object_set_new(o, "peak_rss_bytes", json_integer(s->peak_rss_bytes));
    return qs_print_json(cx, o);
}

static void
print_text(const struct qs_sensed *s)
{
    qs_sensitivity_print(&s->run, s->metric);
    printf(_("%s %.6g, with all layers quantized %.6g; %" PRId64 " samples, %.1f s"), s->metric,
           s->baseline, s->quantized, s->samples, s->seconds);
    if (s->run.id)
        printf(_("; run %" PRId64), s->run.id);
    putchar('\n');
}

/* ---- running ---- */

static enum qs_err
scan(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt,
     const struct qs_opened *o, struct qs_sensitivity_options *how)
{
    struct qs_sensed s;
    how->db = common->db;
    enum qs_err err = qs_app_sensitivity(cx, o, how, NULL, NULL, &s);
    if (err == QS_ERR_CANCELLED && s.run.id)
        qs_note(
            cx,
            _("run %" PRId64 " is stored as far as it came: --resume %" PRId64 " goes on with it"),
            s.run.id, s.run.id);
    if (!err && common->json)
        err = print_json(cx, &s);
    else if (!err && opt->csv)
        qs_sensitivity_csv(&s.run);
    else if (!err)
        print_text(&s);
    qs_sensed_release(&s);
    return err;
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    int bits[BITS_MOST];
    struct qs_opened *o = NULL;
    struct qs_sensitivity_options how = {.data = opt->data,
                                         .samples = opt->samples,
                                         .max_pixels = opt->max_pixels,
                                         .metric = opt->metric,
                                         .op_types = opt->op_types,
                                         .bits = bits,
                                         .weight_type = opt->weight_type,
                                         .algo = opt->algo,
                                         .others = opt->others,
                                         .precision = opt->precision,
                                         .memory = opt->memory,
                                         .exact = opt->exact,
                                         .resume = opt->resume,
                                         .no_store = opt->no_store};
    (void)n_arg;
    if (!opt->data && !opt->resume)
        return qs_fail(cx, QS_ERR_USAGE, _("sensitivity needs --data FILE"));
    enum qs_err err = parse_modes(cx, opt->mode, &how.modes);
    if (!err)
        err = parse_bits(cx, opt->bits, bits, &how.n_bits);
    if (!err)
        err = parse_top(cx, opt->top, &how.top);
    if (!err)
        err = qs_app_open(cx, arg[0], opt->params, NULL, &o);
    if (!err)
        err = scan(cx, common, opt, o, &how);
    qs_app_close(o);
    return err;
}

const struct qs_cmd qs_cmd_sensitivity = {
    .name = "sensitivity",
    .args = "MODEL",
    .summary = N_("which layers of a model cost most when they are quantized"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
