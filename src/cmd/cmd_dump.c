/* SPDX-License-Identifier: Apache-2.0 */
#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "model/text.h"

struct options {
    char *params;
    bool all_attributes;
};

static const struct qs_opt opts[] = {
    {"params", 0, QS_OPT_TEXT, offsetof(struct options, params), 0, 0, NULL, NULL, "FILE",
     N_("the combined parameter file, when it is not beside the program")},
    {"all-attributes", 0, QS_OPT_FLAG, offsetof(struct options, all_attributes), 0, 0, NULL, NULL,
     NULL, N_("also the bookkeeping attributes (op_callstack, op_role ...), lists in full")},
};

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    struct qs_opened *o = NULL;
    struct qs_str text;
    (void)n_arg;
    enum qs_err err = qs_app_open(cx, arg[0], opt->params, NULL, &o);
    if (err)
        return err;
    qs_str_init(&text);
    qs_text_model(o->model, opt->all_attributes, &text);
    if (common->json)
        err = qs_print_json(cx, json_pack("{s:o}", "text", qs_json_text(text.s)));
    else
        fwrite(text.s, 1, text.n, stdout);
    qs_str_release(&text);
    qs_app_close(o);
    return err;
}

const struct qs_cmd qs_cmd_dump = {
    .name = "dump",
    .args = "MODEL",
    .summary = N_("the text form of the graph"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
