/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/preflight.h"
#include "cmd/run_output.h"
#include "cmd/verify_output.h"

struct options {
    char *output, *params, *plan_file, *save_plan, *targets;
    bool dry_run, force, no_store, no_verify;
    int verify_samples;
    struct qs_plan plan; /* parsed by the plan's own descriptors */
};

static const struct qs_opt opts[] = {
    {"output", 'o', QS_OPT_TEXT, offsetof(struct options, output), 0, 0, NULL, NULL, "DIR",
     N_("folder for the quantized model")},
    {"dry-run", 0, QS_OPT_FLAG, offsetof(struct options, dry_run), 0, 0, NULL, NULL, NULL,
     N_("write nothing, only show what would be done, with sizes and errors")},
    {"force", 0, QS_OPT_FLAG, offsetof(struct options, force), 0, 0, NULL, NULL, NULL,
     N_("replace existing output files")},
    {"no-store", 0, QS_OPT_FLAG, offsetof(struct options, no_store), 0, 0, NULL, NULL, NULL,
     N_("do not record this run")},
    {"no-verify", 0, QS_OPT_FLAG, offsetof(struct options, no_verify), 0, 0, NULL, NULL, NULL,
     N_("method static: do not run what was written")},
    {"verify-samples", 0, QS_OPT_INT, offsetof(struct options, verify_samples), 1,
     QS_VERIFY_SAMPLES_MOST, NULL, "32", "N",
     N_("method static: run what was written on the first N samples, simulated and in integers")},
    {"plan", 0, QS_OPT_TEXT, offsetof(struct options, plan_file), 0, 0, NULL, NULL, "FILE",
     N_("take the choices from a saved plan; options override it")},
    {"save-plan", 0, QS_OPT_TEXT, offsetof(struct options, save_plan), 0, 0, NULL, NULL, "FILE",
     N_("save the choices as a plan file")},
    {"targets", 0, QS_OPT_TEXT, offsetof(struct options, targets), 0, 0, NULL, NULL, "FILE",
     N_("more rows of what targets do with quantized operators, see qslim-targets(5)")},
    {"params", 0, QS_OPT_TEXT, offsetof(struct options, params), 0, 0, NULL, NULL, "FILE",
     N_("the combined parameter file, when it is not beside the program")},
};

/* Values of the file, then those the command line has; its rules come after those of the file. */
static enum qs_err
merge_plan_file(struct qs_ctx *cx, const char *path, const struct qs_plan *line, const bool *given,
                struct qs_plan *plan)
{
    enum qs_err err = qs_plan_load(cx, path, plan);
    for (int i = 0; i < qs_n_plan_opts && !err; i++) {
        const struct qs_opt *opt = &qs_plan_opts[i];
        struct qs_str value;
        if (!given[i])
            continue;
        if (opt->type == QS_OPT_LIST) {
            for (int k = 0; k < line->layer.n; k++)
                qs_strv_add(&plan->layer, line->layer.v[k]);
            continue;
        }
        qs_str_init(&value);
        qs_opt_print(opt, line, &value);
        err = qs_opt_set(cx, opt, value.s, plan);
        qs_str_release(&value);
    }
    return err;
}

static enum qs_err
make_plan(struct qs_ctx *cx, const struct options *opt, const bool *given, struct qs_plan *plan)
{
    if (!opt->plan_file) {
        qs_plan_copy(plan, &opt->plan);
        return qs_plan_check(cx, plan);
    }
    qs_plan_init(plan);
    const enum qs_err err = merge_plan_file(cx, opt->plan_file, &opt->plan, given, plan);
    return err ? err : qs_plan_check(cx, plan);
}

static enum qs_err
print(struct qs_ctx *cx, const struct qs_run *run, const struct qs_quantize_options *q, bool json)
{
    const struct qs_preflight *p = q->dry_run ? q->preflight : NULL;
    if (json) {
        json_t *root = qs_run_json(run, true);
        if (p)
            json_object_set_new(root, "targets", qs_preflight_json(p));
        if (strcmp(run->method, "static") == 0)
            json_object_set_new(root, "verified", qs_verified_json(q->verified));
        return qs_print_json(cx, root);
    }
    struct qs_run rest = *run; /* the metrics are those of the verification, in its table */
    rest.n_metric = 0;
    qs_run_print(&rest, true);
    qs_verified_print(q->verified);
    if (p && strcmp(run->method, "static") == 0)
        qs_preflight_print(p);
    return QS_OK;
}

static enum qs_err
quantize(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt,
         const struct qs_plan *plan, const char *model)
{
    struct qs_opened *o = NULL;
    struct qs_run run = {0};
    struct qs_preflight preflight = {0};
    struct qs_verified verified = {0};
    const struct qs_quantize_options q = {.output = opt->output,
                                          .targets = opt->targets,
                                          .preflight = &preflight,
                                          .force = opt->force,
                                          .dry_run = opt->dry_run,
                                          .no_store = opt->no_store,
                                          .verify = opt->no_verify ? 0 : opt->verify_samples,
                                          .verified = &verified,
                                          .db = common->db};
    enum qs_err err = qs_app_open(cx, model, opt->params, NULL, &o);
    if (!err)
        err = qs_app_quantize(cx, o, plan, &q, &run);
    if (!err && opt->save_plan)
        err = qs_plan_save(cx, plan, opt->save_plan, opt->force);
    if (!err)
        err = print(cx, &run, &q, common->json);
    qs_preflight_release(&preflight);
    qs_verified_release(&verified);
    qs_run_release(&run);
    qs_app_close(o);
    return err;
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    struct qs_plan plan;
    (void)n_arg;
    if (!opt->output && !opt->dry_run)
        return qs_fail(cx, QS_ERR_USAGE, _("quantize needs -o DIR (or --dry-run)"));
    enum qs_err err = make_plan(cx, opt, common->given, &plan);
    if (!err)
        err = quantize(cx, common, opt, &plan, arg[0]);
    qs_plan_release(&plan);
    return err;
}

const struct qs_cmd qs_cmd_quantize = {
    .name = "quantize",
    .args = "MODEL",
    .summary = N_("quantize the weights by a plan, write the model, store the run"),
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
