/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/run_output.h"

struct options {
    char *from_sensitivity, *max_size, *max_drop, *output, *params;
    bool check, force;
    struct qs_plan plan;
};

#define AT(member) offsetof(struct options, member)
static const struct qs_opt opts[] = {
    {"from-sensitivity", 's', QS_OPT_TEXT, AT(from_sensitivity), 0, 0, NULL, NULL, "RUN",
     N_("the run of 'qslim sensitivity' to go by")},
    {"max-drop", 0, QS_OPT_TEXT, AT(max_drop), 0, 0, NULL, NULL, "D",
     N_("the metric may be worse by D: points of an accuracy or hmean, such as 0.5")},
    {"max-size", 0, QS_OPT_TEXT, AT(max_size), 0, 0, NULL, NULL, "S",
     /* xgettext:no-c-format */
     N_("program and parameters may have S bytes, such as 2M, or 40% of what they have")},
    {"check", 0, QS_OPT_FLAG, AT(check), 0, 0, NULL, NULL, NULL,
     N_("measure the plan on the data of the scan, and go on until the bound holds there")},
    {"output", 'o', QS_OPT_TEXT, AT(output), 0, 0, NULL, NULL, "FILE",
     N_("write the plan to a file")},
    {"params", 0, QS_OPT_TEXT, AT(params), 0, 0, NULL, NULL, "FILE",
     N_("the combined parameter file, when it is not beside the program")},
    {"force", 0, QS_OPT_FLAG, AT(force), 0, 0, NULL, NULL, NULL,
     N_("replace an existing plan file")},
};
#undef AT

/* ---- bounds ---- */

static enum qs_err
parse_drop(struct qs_ctx *cx, const char *text, double *out, bool *points)
{
    char *end;
    *out = -1;
    if (!text)
        return QS_OK;
    *out = strtod(text, &end);
    const bool percent = end != text && strcmp(end, "%") == 0;
    if (end == text || (*end && !percent) || !(*out >= 0 && *out < 1e9))
        return qs_fail(cx, QS_ERR_USAGE,
                       _("--max-drop takes a number such as 0.5 or 0.5%%, not '%s'"), text);
    *points = !percent;
    if (percent)
        *out /= 100;
    return QS_OK;
}

static enum qs_err
parse_max_size(struct qs_ctx *cx, const char *text, int64_t whole, int64_t *out)
{
    static const struct qs_opt bytes = {"max-size", 0,    QS_OPT_SIZE, 0,    0,
                                        0,          NULL, NULL,        NULL, NULL};
    char *end;
    *out = -1;
    if (!text)
        return QS_OK;
    const double percent = strtod(text, &end);
    if (end == text || strcmp(end, "%") != 0)
        return qs_opt_set(cx, &bytes, text, out);
    if (!(percent >= 0 && percent <= 1000))
        return qs_fail(cx, QS_ERR_USAGE, _("--max-size takes a size in bytes or in %%, not '%s'"),
                       text);
    *out = (int64_t)(percent / 100 * (double)whole);
    return QS_OK;
}

/* ---- output ---- */

/* The walk as comments, so that the whole is a plan file. */
static void
describe(const struct qs_proposal *p, int64_t run, const char *prefix, struct qs_str *out)
{
    char a[16], b[16];
    qs_str_printf(out, _("%sfrom run %" PRId64 ": %s of %s (%.1f %%)\n"), prefix, run,
                  qs_format_bytes(a, sizeof(a), p->bytes),
                  qs_format_bytes(b, sizeof(b), p->bytes_float),
                  100.0 * (double)p->bytes / (double)p->bytes_float);
    qs_str_printf(out, _("%s    bytes  drop of %s (measured)  change\n"), prefix, p->metric);
    for (int i = 0; i < p->n_front; i++) {
        const struct qs_front_point *f = &p->front[i];
        qs_str_printf(out, "%s%c %8" PRId64 "  %.6g", prefix, f->chosen ? '*' : ' ', f->bytes,
                      f->drop);
        if (!isnan(f->measured))
            qs_str_printf(out, " (%.6g)", f->measured);
        qs_str_printf(out, "%s%s\n", *f->change ? "  " : "", f->change);
    }
}

static json_t *
front_json(const struct qs_proposal *p)
{
    json_t *front = json_array();
    for (int i = 0; i < p->n_front; i++) {
        const struct qs_front_point *f = &p->front[i];
        json_array_append_new(
            front, json_pack("{s:o,s:I,s:o,s:o,s:b}", "change", qs_json_text(f->change), "bytes",
                             (json_int_t)f->bytes, "drop", qs_json_real(f->drop), "measured",
                             qs_json_real(f->measured), "chosen", f->chosen));
    }
    return front;
}

static enum qs_err
print_json(struct qs_ctx *cx, const struct qs_proposal *p, int64_t run)
{
    struct qs_str text;
    qs_str_init(&text);
    qs_plan_print(&p->plan, &text);
    const enum qs_err err =
        qs_print_json(cx, json_pack("{s:I,s:o,s:o,s:b,s:I,s:I,s:o}", "run_id", (json_int_t)run,
                                    "plan", qs_json_text(text.s), "metric", qs_json_text(p->metric),
                                    "meets", p->meets, "bytes", (json_int_t)p->bytes, "bytes_float",
                                    (json_int_t)p->bytes_float, "front", front_json(p)));
    qs_str_release(&text);
    return err;
}

static enum qs_err
deliver(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt,
        const struct qs_proposal *p, int64_t run)
{
    struct qs_str text, walk;
    enum qs_err err = QS_OK;
    qs_str_init(&text);
    qs_str_init(&walk);
    qs_plan_print(&p->plan, &text);
    describe(p, run, "# ", &text);
    describe(p, run, "", &walk);
    if (opt->output)
        err = qs_write_file(cx, opt->output, opt->force, text.s, text.n);
    if (!err && common->json)
        err = print_json(cx, p, run);
    else if (!err)
        fputs(opt->output ? walk.s : text.s, stdout);
    qs_str_release(&text);
    qs_str_release(&walk);
    return err;
}

static enum qs_err
not_met(struct qs_ctx *cx, const struct qs_proposal *p, const struct options *opt)
{
    const struct qs_front_point *end = &p->front[p->n_front - 1];
    if (opt->max_drop)
        return qs_fail(cx, QS_ERR_BOUND, _("no plan keeps '%s' within %s: the best loses %.6g"),
                       p->metric, opt->max_drop, isnan(end->measured) ? end->drop : end->measured);
    return qs_fail(cx, QS_ERR_BOUND, _("no plan is within %s: the smallest has %" PRId64 " bytes"),
                   opt->max_size, p->bytes);
}

/* ---- running ---- */

static bool
any_given(const struct qs_common *common)
{
    for (int i = 0; i < qs_n_plan_opts; i++)
        if (common->given[i])
            return true;
    return false;
}

static enum qs_err
propose(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt,
        const struct qs_opened *o, const struct qs_run *scan)
{
    struct qs_proposal p;
    struct qs_propose_options how = {.base = any_given(common) ? &opt->plan : NULL,
                                     .check = opt->check};
    enum qs_err err = parse_drop(cx, opt->max_drop, &how.max_drop, &how.points);
    if (!err)
        err = parse_max_size(cx, opt->max_size, o->model->program_bytes + o->model->params_bytes,
                             &how.max_bytes);
    if (err)
        return err;
    err = qs_app_propose(cx, o, scan, &how, &p);
    if (err)
        return err;
    err = deliver(cx, common, opt, &p, scan->id);
    if (!err && !p.meets)
        err = not_met(cx, &p, opt);
    qs_proposal_release(&p);
    return err;
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    struct qs_opened *o = NULL;
    struct qs_run scan = {0};
    (void)n_arg;
    if (!opt->from_sensitivity)
        return qs_fail(cx, QS_ERR_USAGE, _("plan needs --from-sensitivity RUN"));
    enum qs_err err = qs_run_by_text(cx, common->db, opt->from_sensitivity, &scan);
    if (!err)
        err = qs_app_open(cx, arg[0], opt->params, NULL, &o);
    if (!err)
        err = propose(cx, common, opt, o, &scan);
    qs_app_close(o);
    qs_run_release(&scan);
    return err;
}

const struct qs_cmd qs_cmd_plan = {
    .name = "plan",
    .args = "MODEL",
    .summary = N_("propose a plan that keeps a bound on metric or size, from a sensitivity scan"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .more = qs_plan_opts,
    .n_more = &qs_n_plan_opts,
    .more_offset = offsetof(struct options, plan),
    .opt_size = sizeof(struct options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
