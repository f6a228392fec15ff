/* SPDX-License-Identifier: Apache-2.0 */
#include "model/plan.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"

static const char *const methods[] = {"dynamic", "weight-only", NULL};
static const char *const weight_types[] = {"channel_wise_abs_max", "abs_max", NULL};
static const char *const targets[] = {"any", "paddle", "lite-arm", "lite-x86", NULL};

#define AT(member) offsetof(struct qs_plan, member)
const struct qs_opt qs_plan_opts[] = {
    {"method", 0, QS_OPT_CHOICE, AT(method), 0, 0, methods, "dynamic", "METHOD",
     N_("dynamic (integers that Paddle-Lite reads) or weight-only (any weight, any bits)")},
    {"op-types", 0, QS_OPT_TEXT, AT(op_types), 0, 0, NULL, NULL, "LIST",
     N_("operator types whose weights to quantize, comma-separated "
        "(dynamic: conv2d,depthwise_conv2d,mul; weight-only: all that have weights)")},
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
    {"layer", 0, QS_OPT_LIST, AT(layer), 0, 0, NULL, NULL, "RULE",
     N_("'PATTERN=skip' or 'PATTERN=bits:N' for weights whose name matches the glob or /regex/; "
        "repeatable, the last that matches decides")},
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

/* Rules */

enum qs_err
qs_rule_parse(struct qs_ctx *cx, const char *text, struct qs_rule *out)
{
    const char *eq = strrchr(text, '=');
    char why[128], *end = NULL;
    *out = (struct qs_rule){0};
    if (eq && strcmp(eq + 1, "skip") == 0)
        out->skip = true;
    else if (eq && strncmp(eq + 1, "bits:", 5) == 0)
        out->bits = (int)strtol(eq + 6, &end, 10);
    if (!eq || eq == text || (!out->skip && (!end || end == eq + 6 || *end)))
        return qs_fail(cx, QS_ERR_USAGE,
                       _("bad rule '%s': PATTERN=skip or PATTERN=bits:N expected"), text);
    if (!out->skip && (out->bits < 2 || out->bits > 16))
        return qs_fail(cx, QS_ERR_USAGE, _("bad rule '%s': bits go from 2 to 16"), text);
    char *pattern = qs_xstrdup(text);
    pattern[eq - text] = '\0';
    out->pattern = qs_pattern_new(pattern, why, sizeof(why));
    free(pattern);
    return out->pattern ? QS_OK
                        : qs_fail(cx, QS_ERR_USAGE, _("bad pattern in rule '%s': %s"), text, why);
}

void
qs_rule_release(struct qs_rule *r)
{
    qs_pattern_free(r->pattern);
    *r = (struct qs_rule){0};
}

static enum qs_err
check_op_types(struct qs_ctx *cx, const char *list)
{
    for (const char *s = list; s && *s; s += *s == ',') {
        char type[64];
        const size_t n = strcspn(s, ",");
        const size_t k = n < sizeof(type) - 1 ? n : sizeof(type) - 1;
        memcpy(type, s, k);
        type[k] = '\0';
        const struct qs_op *op = qs_op_find(type);
        if (!op || !op->weight_slot)
            return qs_fail(cx, QS_ERR_USAGE,
                           _("'%s' is not an operator type with weights to quantize"), type);
        s += n;
    }
    return QS_OK;
}

enum qs_err
qs_plan_check(struct qs_ctx *cx, const struct qs_plan *plan)
{
    const bool dynamic = plan->method == QS_METHOD_DYNAMIC;
    if (dynamic && plan->weight_bits != 8 && plan->weight_bits != 16)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("method dynamic takes 8 or 16 weight bits, not %d (weight-only takes any "
                         "from 2 to 16)"),
                       plan->weight_bits);
    if (plan->generate_test_model && !dynamic)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("--generate-test-model goes with method dynamic; for weight-only, "
                         "--target paddle writes the rounded weights as FP32"));
    if (plan->threshold_rate > 0 && plan->weight_type != QS_ABS_MAX)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("--threshold-rate goes with --weight-type abs_max: with one scale for "
                         "each channel nothing is clipped"));
    if (dynamic && plan->target == QS_TARGET_PADDLE)
        return qs_fail(cx, QS_ERR_USAGE,
                       _("method dynamic makes integers that only Paddle-Lite reads; for Paddle "
                         "take --method weight-only"));
    if (check_op_types(cx, plan->op_types) != QS_OK)
        return cx->err;
    for (int i = 0; i < plan->layer.n; i++) {
        struct qs_rule rule;
        const enum qs_err err = qs_rule_parse(cx, plan->layer.v[i], &rule);
        if (err)
            return err;
        const int bits = rule.bits;
        qs_rule_release(&rule);
        if (dynamic && bits && bits != 8 && bits != 16)
            return qs_fail(cx, QS_ERR_USAGE,
                           _("rule '%s': method dynamic takes 8 or 16 bits (weight-only takes any "
                             "from 2 to 16)"),
                           plan->layer.v[i]);
    }
    return QS_OK;
}

/* Text */

void
qs_plan_print(const struct qs_plan *plan, struct qs_str *out)
{
    qs_str_printf(out, "%s\n", first_line);
    for (int i = 0; i < qs_n_plan_opts; i++) {
        const struct qs_opt *opt = &qs_plan_opts[i];
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

/* Quotes for a POSIX shell where needed. */
static void
add_quoted(struct qs_str *out, const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-.,:/=+@%";
    if (*s && s[strspn(s, plain)] == '\0') {
        qs_str_add(out, s);
        return;
    }
    qs_str_add(out, "'");
    for (; *s; s++)
        if (*s == '\'')
            qs_str_add(out, "'\\''");
        else
            qs_str_addn(out, s, 1);
    qs_str_add(out, "'");
}

static void
print_option(const struct qs_plan *plan, const struct qs_opt *opt, struct qs_str *out)
{
    if (opt->type == QS_OPT_LIST) {
        for (int i = 0; i < plan->layer.n; i++) {
            qs_str_printf(out, " --%s ", opt->name);
            add_quoted(out, plan->layer.v[i]);
        }
        return;
    }
    if (qs_opt_is_default(opt, plan))
        return;
    qs_str_printf(out, " --%s", opt->name);
    if (opt->type == QS_OPT_FLAG)
        return;
    struct qs_str value;
    qs_str_init(&value);
    qs_opt_print(opt, plan, &value);
    qs_str_add(out, " ");
    add_quoted(out, value.s);
    qs_str_release(&value);
}

void
qs_plan_print_command(const struct qs_plan *plan, struct qs_str *out)
{
    for (int i = 0; i < qs_n_plan_opts; i++)
        print_option(plan, &qs_plan_opts[i], out);
}
