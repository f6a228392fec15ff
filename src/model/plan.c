/* SPDX-License-Identifier: Apache-2.0 */
#include "model/plan.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "model/calib.h"
#include "model/op.h"
#include "model/quant_ops.h"

static const char *const methods[] = {"dynamic", "weight-only", "static", NULL};
static const char *const weight_types[] = {"channel_wise_abs_max", "abs_max", NULL};
static const char *const targets[] = {"any", "paddle", "lite-arm", "lite-x86", NULL};
static const char *const compats[] = {"none", "paddle", NULL};
static const char *const same_scales[] = {"none", "auto", NULL};
static const char *const roundings[] = {"auto", "nearest", "greedy", "adaround", NULL};
static const char *const clips[] = {"none", "mse", NULL};
static const char *const optimizes[] = {"none", "latency", NULL};
static const char *const formats[] = {"auto", "qdq", "fakequant", "dynamic", NULL};

#define AT(member) offsetof(struct qs_plan, member)
const struct qs_opt qs_plan_opts[] = {
    {"method", 0, QS_OPT_CHOICE, AT(method), 0, 0, methods, "dynamic", "METHOD",
     N_("dynamic (integers that Paddle-Lite reads), weight-only (any weight, any bits) or static "
        "(weights and activations, calibrated with data)")},
    {"op-types", 0, QS_OPT_TEXT, AT(op_types), 0, 0, NULL, NULL, "LIST",
     N_("operator types whose weights to quantize, comma-separated "
        "(dynamic: conv2d,depthwise_conv2d,mul; weight-only: all that have weights; static: of "
        "dynamic and conv2d_transpose, matmul, matmul_v2)")},
    {"weight-bits", 0, QS_OPT_INT, AT(weight_bits), 2, 16, NULL, "8", "N",
     N_("bits of a weight, 2 to 16 (dynamic: 8 or 16)")},
    {"weight-type", 0, QS_OPT_CHOICE, AT(weight_type), 0, 0, weight_types, "channel_wise_abs_max",
     "TYPE", N_("one scale for each output channel, or abs_max: one for the tensor")},
    {"threshold-rate", 0, QS_OPT_FLOAT, AT(threshold_rate), 0, 0.5, NULL, "0", "R",
     N_("with abs_max, the share of the largest weights that may be clipped")},
    {"target", 0, QS_OPT_CHOICE, AT(target), 0, 0, targets, "any", "TARGET",
     N_("what will load the model: any, paddle, lite-arm or lite-x86")},
    {"generate-test-model", 0, QS_OPT_FLAG, AT(generate_test_model), 0, 0, NULL, "no", NULL,
     N_("also write the rounded weights as FP32, for measuring accuracy with Paddle")},
    {"activation-bits", 0, QS_OPT_INT, AT(activation_bits), 2, 16, NULL, "8", "N",
     N_("bits of an activation, 2 to 16")},
    {"algo", 0, QS_OPT_CHOICE, AT(algo), 0, 0, qs_algo_names, "auto", "ALGO",
     N_("how the range of an activation is found: abs_max, avg, hist, kl, mse, emd, ptf, "
        "min_max, percentile or auto: the one with the least error of what the model computes")},
    {"hist-percent", 0, QS_OPT_FLOAT, AT(hist_percent), 0.5, 1, NULL, "0.9999", "P",
     N_("with algo hist and percentile, the share of values that lie in the range")},
    {"same-scale", 0, QS_OPT_CHOICE, AT(same_scale), 0, 0, same_scales, "none", "WHICH",
     N_("auto: activations that concat or elementwise_add join, or that operators only move, get "
        "one threshold")},
    {"compat", 0, QS_OPT_CHOICE, AT(compat), 0, 0, compats, "none", "WHOM",
     N_("paddle: ranges and files exactly as PaddleSlim makes them")},
    {"fold-bn", 0, QS_OPT_FLAG, AT(fold_bn), 0, 0, NULL, "no", NULL,
     N_("first put batch norms into the filters before them (PaddleSlim's optimize_model)")},
    {"equalize", 0, QS_OPT_FLAG, AT(equalize), 0, 0, NULL, "no", NULL,
     N_("first even out the ranges of channels between layers (after fold-bn)")},
    {"weight-clip", 0, QS_OPT_CHOICE, AT(weight_clip), 0, 0, clips, "none", "HOW",
     N_("mse: clip weights where that lessens their squared error")},
    {"round", 0, QS_OPT_CHOICE, AT(round), 0, 0, roundings, "auto", "HOW",
     N_("how weights are rounded: nearest, or to the side that lessens the error of the layer's "
        "output, found by turning single weights over (greedy) or by training first (adaround); "
        "auto: greedy, with --compat paddle nearest")},
    {"bias-correction", 0, QS_OPT_FLAG, AT(bias_correction), 0, 0, NULL, "no", NULL,
     N_("take off what rounding adds to the mean of each output channel")},
    {"format", 0, QS_OPT_CHOICE, AT(format), 0, 0, formats, "auto", "FORMAT",
     N_("qdq (quantize_linear, integer weights), fakequant (fake_quantize, FP32 weights that hold "
        "integers), dynamic (scales in attributes); auto: qdq for method static")},
    {"observers", 0, QS_OPT_FLAG, AT(observers), 0, 0, NULL, "no", NULL,
     N_("also write the ranges of what other operators make; --compat paddle does")},
    {"data", 0, QS_OPT_TEXT, AT(data), 0, 0, NULL, NULL, "FILE",
     N_("the data file to calibrate with")},
    {"samples", 0, QS_OPT_INT, AT(samples), 0, 1 << 30, NULL, "0", "N",
     N_("calibrate with the first N samples; 0: all")},
    {"batch", 0, QS_OPT_INT, AT(batch), 1, 1 << 16, NULL, "1", "N",
     N_("samples that run together in calibration")},
    {"optimize", 0, QS_OPT_CHOICE, AT(optimize), 0, 0, optimizes, "none", "WHAT",
     N_("latency: measure the layers on this CPU, and leave in float what is faster so")},
    {"layer", 0, QS_OPT_LIST, AT(layer), 0, 0, NULL, NULL, "RULE",
     N_("'PATTERN=skip', 'PATTERN=bits:N', for the activation 'PATTERN=algo:NAME' or "
        "'PATTERN=threshold:T', for weights whose name matches the glob or /regex/; repeatable, "
        "the last that matches decides")},
};
#undef AT
const int qs_n_plan_opts = QS_LEN(qs_plan_opts);

static const char first_line[] = "# qslim plan";

void
qs_plan_init(struct qs_plan *plan)
{
    *plan = (struct qs_plan){0};
    qs_opts_init(qs_plan_opts, qs_n_plan_opts, plan);
}

void
qs_plan_release(struct qs_plan *plan)
{
    qs_opts_release(qs_plan_opts, qs_n_plan_opts, plan);
}

void
qs_plan_copy(struct qs_plan *to, const struct qs_plan *from)
{
    *to = *from;
    qs_opts_copy(qs_plan_opts, qs_n_plan_opts, to, from);
}

bool
qs_in_list(const char *list, const char *type)
{
    const size_t n = strlen(type);
    for (const char *s = list; s && *s; s += *s == ',') {
        const size_t k = strcspn(s, ",");
        if (k == n && memcmp(s, type, n) == 0)
            return true;
        s += k;
    }
    return false;
}

/* Which choices mean something */

enum {
    DYNAMIC = 1 << QS_METHOD_DYNAMIC,
    WEIGHTS = 1 << QS_METHOD_WEIGHT_ONLY,
    STATIC = 1 << QS_METHOD_STATIC
};
static const struct {
    const char *name;
    int methods;
} only_for[] = {
    {"threshold-rate", DYNAMIC | WEIGHTS},
    {"generate-test-model", DYNAMIC | WEIGHTS},
    {"activation-bits", STATIC},
    {"algo", STATIC},
    {"hist-percent", STATIC},
    {"same-scale", STATIC},
    {"compat", STATIC},
    {"fold-bn", STATIC},
    {"equalize", STATIC},
    {"weight-clip", STATIC},
    {"round", STATIC},
    {"bias-correction", STATIC},
    {"format", STATIC},
    {"observers", STATIC},
    {"data", STATIC},
    {"samples", STATIC},
    {"batch", STATIC},
    {"optimize", STATIC},
};

bool
qs_plan_applies(const struct qs_plan *plan, const struct qs_opt *opt)
{
    for (size_t i = 0; i < QS_LEN(only_for); i++)
        if (strcmp(only_for[i].name, opt->name) == 0)
            return (only_for[i].methods >> plan->method & 1) != 0;
    return true;
}

const char *
qs_plan_target_name(const struct qs_plan *plan)
{
    return targets[plan->target];
}

enum qs_round
qs_plan_round(const struct qs_plan *plan)
{
    if (plan->round != QS_ROUND_AUTO)
        return (enum qs_round)plan->round;
    return plan->method == QS_METHOD_STATIC && plan->compat != QS_COMPAT_PADDLE ? QS_ROUND_GREEDY
                                                                                : QS_ROUND_NEAREST;
}

enum qs_written
qs_plan_format(const struct qs_plan *plan)
{
    if (plan->method != QS_METHOD_STATIC)
        return QS_FORMAT_DYNAMIC;
    return plan->format == QS_FORMAT_AUTO ? QS_FORMAT_QDQ : (enum qs_written)plan->format;
}

/* Rules */

static int
find_algo(const char *name)
{
    for (int i = 0; qs_algo_names[i]; i++)
        if (strcmp(qs_algo_names[i], name) == 0)
            return i;
    return -1;
}

/* What stands after the last '='; false when it is nothing a rule can say. */
static bool
parse_says(const char *says, struct qs_rule *out)
{
    char *end = NULL;
    out->skip = strcmp(says, "skip") == 0;
    if (strncmp(says, "algo:", 5) == 0)
        out->algo = find_algo(says + 5);
    if (strncmp(says, "threshold:", 10) == 0) {
        out->threshold = strtod(says + 10, &end);
        return end != says + 10 && !*end && isfinite(out->threshold) && out->threshold > 0;
    }
    if (strncmp(says, "bits:", 5) != 0)
        return out->skip || out->algo >= 0;
    out->bits = (int)strtol(says + 5, &end, 10);
    return end != says + 5 && !*end;
}

enum qs_err
qs_rule_parse(struct qs_ctx *cx, const char *text, struct qs_rule *out)
{
    const char *eq = strrchr(text, '=');
    char why[128];
    *out = (struct qs_rule){.algo = -1};
    if (!eq || eq == text || !parse_says(eq + 1, out))
        return qs_fail(cx, QS_ERR_USAGE,
                       _("bad rule '%s': PATTERN=skip, PATTERN=bits:N, PATTERN=algo:NAME or "
                         "PATTERN=threshold:T expected"),
                       text);
    if (!out->skip && !qs_rule_is_range(out) && (out->bits < 2 || out->bits > 16))
        return qs_fail(cx, QS_ERR_USAGE, _("bad rule '%s': bits go from 2 to 16"), text);
    char *pattern = qs_xstrdup(text);
    pattern[eq - text] = '\0';
    out->pattern = qs_pattern_new(pattern, why, sizeof(why));
    free(pattern);
    return out->pattern ? QS_OK
                        : qs_fail(cx, QS_ERR_USAGE, _("bad pattern in rule '%s': %s"), text, why);
}

bool
qs_rule_is_range(const struct qs_rule *r)
{
    return r->algo >= 0 || r->threshold > 0;
}

void
qs_rule_release(struct qs_rule *r)
{
    qs_pattern_free(r->pattern);
    *r = (struct qs_rule){0};
}

static enum qs_err
check_op_types(struct qs_ctx *cx, const struct qs_plan *plan)
{
    for (const char *s = plan->op_types; s && *s; s += *s == ',') {
        char type[64];
        const size_t n = strcspn(s, ",");
        const size_t k = n < sizeof(type) - 1 ? n : sizeof(type) - 1;
        memcpy(type, s, k);
        type[k] = '\0';
        const struct qs_op *op = qs_op_find(type);
        const bool rounds = plan->method == QS_METHOD_STATIC && qs_quant_op_find(type);
        if (!rounds && (!op || !op->weight_slot))
            return qs_fail(cx, QS_ERR_USAGE,
                           _("'%s' is not an operator type with weights to quantize"), type);
        s += n;
    }
    return QS_OK;
}

/* Choices that belong to another method and are not at their default. */
static enum qs_err
check_applies(struct qs_ctx *cx, const struct qs_plan *plan)
{
    for (int i = 0; i < qs_n_plan_opts; i++) {
        const struct qs_opt *opt = &qs_plan_opts[i];
        const bool own_form =
            opt->offset == offsetof(struct qs_plan, format) && plan->format == QS_FORMAT_DYNAMIC;
        if (qs_plan_applies(plan, opt) || qs_opt_is_default(opt, plan) || own_form)
            continue;
        return qs_fail(cx, QS_ERR_USAGE, _("--%s does not go with method %s"), opt->name,
                       methods[plan->method]);
    }
    return QS_OK;
}

/* Integers of quantize_linear are int8 in the file. */
static enum qs_err
check_static_bits(struct qs_ctx *cx, const struct qs_plan *plan, const char *what, int bits)
{
    if (bits <= 8 || qs_plan_format(plan) != QS_FORMAT_QDQ)
        return QS_OK;
    return qs_fail(cx, QS_ERR_USAGE,
                   _("%s: format qdq holds at most 8 bits, not %d; --format fakequant takes up to "
                     "16"),
                   what, bits);
}

static enum qs_err
check_static(struct qs_ctx *cx, const struct qs_plan *plan)
{
    if (plan->method != QS_METHOD_STATIC)
        return QS_OK;
    if (plan->format == QS_FORMAT_DYNAMIC)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("method static writes format qdq or fakequant, not dynamic"));
    if (plan->algo == QS_ALGO_min_max && plan->compat == QS_COMPAT_PADDLE)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("algo min_max of PaddleSlim quantizes nothing; without --compat paddle "
                         "it is the larger end of the range"));
    const enum qs_err err = check_static_bits(cx, plan, "--weight-bits", plan->weight_bits);
    return err ? err : check_static_bits(cx, plan, "--activation-bits", plan->activation_bits);
}

static enum qs_err
check_parsed(struct qs_ctx *cx, const struct qs_plan *plan, const struct qs_rule *rule,
             const char *text)
{
    if (plan->method == QS_METHOD_DYNAMIC && rule->bits && rule->bits != 8 && rule->bits != 16)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("rule '%s': method dynamic takes 8 or 16 bits (weight-only takes any "
                         "from 2 to 16)"),
                       text);
    if (qs_rule_is_range(rule) && plan->method != QS_METHOD_STATIC)
        return qs_fail(cx, QS_ERR_USAGE, _("rule '%s': activations have ranges in method static"),
                       text);
    return plan->method == QS_METHOD_STATIC ? check_static_bits(cx, plan, text, rule->bits) : QS_OK;
}

static enum qs_err
check_rule(struct qs_ctx *cx, const struct qs_plan *plan, const char *text)
{
    struct qs_rule rule;
    enum qs_err err = qs_rule_parse(cx, text, &rule);
    if (!err)
        err = check_parsed(cx, plan, &rule, text);
    qs_rule_release(&rule);
    return err;
}

static enum qs_err
check_dynamic(struct qs_ctx *cx, const struct qs_plan *plan)
{
    if (plan->method != QS_METHOD_DYNAMIC)
        return QS_OK;
    if (plan->weight_bits != 8 && plan->weight_bits != 16)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("method dynamic takes 8 or 16 weight bits, not %d (weight-only takes any "
                         "from 2 to 16)"),
                       plan->weight_bits);
    if (plan->target == QS_TARGET_PADDLE)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("method dynamic makes integers that only Paddle-Lite reads; for Paddle "
                         "take --method weight-only"));
    return QS_OK;
}

enum qs_err
qs_plan_check(struct qs_ctx *cx, const struct qs_plan *plan)
{
    if (plan->generate_test_model && plan->method == QS_METHOD_WEIGHT_ONLY)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("--generate-test-model goes with method dynamic; for weight-only, "
                         "--target paddle writes the rounded weights as FP32"));
    if (plan->threshold_rate > 0 && plan->weight_type != QS_ABS_MAX)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("--threshold-rate goes with --weight-type abs_max: with one scale for "
                         "each channel nothing is clipped"));
    enum qs_err err = check_applies(cx, plan);
    if (!err)
        err = check_dynamic(cx, plan);
    if (!err)
        err = check_static(cx, plan);
    if (!err)
        err = check_op_types(cx, plan);
    for (int i = 0; i < plan->layer.n && !err; i++)
        err = check_rule(cx, plan, plan->layer.v[i]);
    return err;
}

/* Text */

void
qs_plan_print(const struct qs_plan *plan, struct qs_str *out)
{
    qs_str_printf(out, "%s\n", first_line);
    for (int i = 0; i < qs_n_plan_opts; i++) {
        const struct qs_opt *opt = &qs_plan_opts[i];
        if (!qs_plan_applies(plan, opt))
            continue;
        if (opt->type == QS_OPT_LIST) {
            for (int k = 0; k < plan->layer.n; k++)
                qs_str_printf(out, "%s = %s\n", opt->name, plan->layer.v[k]);
            continue;
        }
        if (opt->type == QS_OPT_TEXT && !*(char *const *)((const char *)plan + opt->offset))
            continue;
        qs_str_printf(out, "%s = ", opt->name);
        qs_opt_print(opt, plan, out);
        qs_str_add(out, "\n");
    }
}

static char *
trim(char *s)
{
    s += strspn(s, " \t\r");
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r", s[n - 1]))
        s[--n] = '\0';
    return s;
}

static enum qs_err
parse_line(struct qs_ctx *cx, char *line, const char *where, int number, struct qs_plan *plan)
{
    line = trim(line);
    if (!*line || *line == '#')
        return QS_OK;
    char *eq = strchr(line, '=');
    if (!eq)
        return qs_fail(cx, QS_ERR_USAGE, _("bad plan '%s': line %d: KEY = VALUE expected"), where,
                       number);
    *eq = '\0';
    const char *key = trim(line), *value = trim(eq + 1);
    const struct qs_opt *opt = qs_opts_find(qs_plan_opts, qs_n_plan_opts, key, strlen(key));
    if (!opt)
        return qs_fail(cx, QS_ERR_USAGE, _("bad plan '%s': line %d: unknown key '%s'"), where,
                       number, key);
    if (qs_opt_set(cx, opt, value, plan) != QS_OK)
        return qs_prefix(cx, _("bad plan '%s': line %d"), where, number);
    return QS_OK;
}

enum qs_err
qs_plan_parse(struct qs_ctx *cx, const char *text, const char *where, struct qs_plan *plan)
{
    char *copy = qs_xstrdup(text), *line = copy;
    enum qs_err err = QS_OK;
    for (int number = 1; line && !err; number++) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        err = parse_line(cx, line, where, number, plan);
        line = next;
    }
    free(copy);
    return err;
}

static void
print_option(const struct qs_plan *plan, const struct qs_opt *opt, struct qs_str *out)
{
    if (opt->type == QS_OPT_LIST) {
        for (int i = 0; i < plan->layer.n; i++) {
            qs_str_printf(out, " --%s ", opt->name);
            qs_str_add_quoted(out, plan->layer.v[i]);
        }
        return;
    }
    if (qs_opt_is_default(opt, plan) || !qs_plan_applies(plan, opt))
        return;
    qs_str_printf(out, " --%s", opt->name);
    if (opt->type == QS_OPT_FLAG)
        return;
    struct qs_str value;
    qs_str_init(&value);
    qs_opt_print(opt, plan, &value);
    qs_str_add(out, " ");
    qs_str_add_quoted(out, value.s);
    qs_str_release(&value);
}

void
qs_plan_print_command(const struct qs_plan *plan, struct qs_str *out)
{
    for (int i = 0; i < qs_n_plan_opts; i++)
        print_option(plan, &qs_plan_opts[i], out);
}

/* Files */

enum qs_err
qs_plan_save(struct qs_ctx *cx, const struct qs_plan *plan, const char *path, bool force)
{
    struct qs_str text;
    qs_str_init(&text);
    qs_plan_print(plan, &text);
    const enum qs_err err = qs_write_file(cx, path, force, text.s, text.n);
    qs_str_release(&text);
    return err;
}

enum qs_err
qs_plan_load(struct qs_ctx *cx, const char *path, struct qs_plan *plan)
{
    enum { LARGEST = 1 << 20 };
    char *text = NULL;
    size_t n;
    enum qs_err err = qs_read_text(cx, path, _("plan"), LARGEST, &text, &n);
    if (!err && strlen(text) != n)
        err = qs_fail(cx, QS_ERR_FORMAT, _("bad plan '%s': it is not text"), path);
    if (!err)
        err = qs_plan_parse(cx, text, path, plan);
    free(text);
    return err;
}
