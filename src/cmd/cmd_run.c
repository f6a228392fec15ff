/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"

struct options {
    char *params, *output;
    struct qs_strv input;
    int precision;
    bool all, exact, force;
};

static const struct qs_opt opts[] = {
    {"input", 'i', QS_OPT_LIST, offsetof(struct options, input), 0, 0, NULL, NULL, "[NAME=]FILE",
     N_("an .npy file for an input; repeatable")},
    {"output", 'o', QS_OPT_TEXT, offsetof(struct options, output), 0, 0, NULL, NULL, "DIR",
     N_("folder for one .npy file per output")},
    {"precision", 0, QS_OPT_CHOICE, offsetof(struct options, precision), 0, 0, qs_precision_names,
     "fp32", "PRECISION", N_("arithmetic to run in")},
    {"all", 0, QS_OPT_FLAG, offsetof(struct options, all), 0, 0, NULL, NULL, NULL,
     N_("write every intermediate tensor, too")},
    {"exact", 0, QS_OPT_FLAG, offsetof(struct options, exact), 0, 0, NULL, NULL, NULL,
     N_("compute as Paddle does, operator by operator; slower")},
    {"force", 0, QS_OPT_FLAG, offsetof(struct options, force), 0, 0, NULL, NULL, NULL,
     N_("replace existing files")},
    {"params", 0, QS_OPT_TEXT, offsetof(struct options, params), 0, 0, NULL, NULL, "FILE",
     N_("the combined parameter file, when it is elsewhere")},
};

static enum qs_err
print_json(struct qs_ctx *cx, const struct qs_executed *done)
{
    json_t *list = json_array();
    for (int i = 0; i < done->n; i++) {
        const struct qs_executed_tensor *t = &done->tensor[i];
        json_array_append_new(list,
                              json_pack("{s:o,s:o,s:o,s:s}", "name", qs_json_text(t->name), "file",
                                        qs_json_text(t->file), "dims", qs_json_dims(t->d, t->n),
                                        "dtype", qs_dtype_name(t->dtype)));
    }
    return qs_print_json(cx, json_pack("{s:o,s:o,s:s,s:I,s:I}", "outputs", list, "seconds",
                                       qs_json_real(done->seconds), "engine", done->engine,
                                       "param_bytes", (json_int_t)done->param_bytes, "peak_bytes",
                                       (json_int_t)done->peak_bytes));
}

static void
print_table(const struct qs_executed *done)
{
    const char *const title[] = {_("name"), _("type"), _("dims"), _("file")};
    static const enum qs_align align[] = {QS_LEFT, QS_LEFT, QS_LEFT, QS_LEFT};
    struct qs_table *table = qs_table_new(4, title, align);
    for (int i = 0; i < done->n; i++) {
        const struct qs_executed_tensor *t = &done->tensor[i];
        char dims[128];
        qs_table_cell(table, "%s", t->name);
        qs_table_cell(table, "%s", qs_dtype_name(t->dtype));
        qs_table_cell(table, "%s", qs_format_dims(dims, sizeof(dims), t->d, t->n));
        qs_table_cell(table, "%s", t->file);
    }
    qs_table_print(table, stdout, false);
}

static enum qs_err
execute(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt,
        const struct qs_opened *o)
{
    const struct qs_execute_options how = {
        .inputs = &opt->input,
        .output = opt->output,
        .all = opt->all,
        .exact = opt->exact,
        .force = opt->force,
        .precision = opt->precision,
    };
    struct qs_executed done;
    enum qs_err err = qs_app_execute(cx, o, &how, &done);
    if (err)
        return err;
    if (common->json)
        err = print_json(cx, &done);
    else
        print_table(&done);
    qs_executed_release(&done);
    return err;
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    struct qs_opened *o = NULL;
    (void)n_arg;
    if (!opt->output)
        return qs_fail(cx, QS_ERR_USAGE, _("no output folder: give --output DIR"));
    if (opt->precision == QS_PRECISION_INT8 && (opt->exact || opt->all))
        return qs_fail(cx, QS_ERR_USAGE, _("--exact and --all compute in fp32 only"));
    enum qs_err err = qs_app_open(cx, arg[0], opt->params, NULL, &o);
    if (err)
        return err;
    err = execute(cx, common, opt, o);
    qs_app_close(o);
    return err;
}

const struct qs_cmd qs_cmd_run = {
    .name = "run",
    .args = "MODEL",
    .summary = N_("run a model on arrays and write what it computes"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
