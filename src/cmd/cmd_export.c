/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"

static const char *const to_names[] = {"lite", "paddle", "qdq", "fakequant", "fp32", NULL};
static const enum qs_export_form form_of[] = {QS_EXPORT_AS_IS, QS_EXPORT_AS_IS, QS_EXPORT_QDQ,
                                              QS_EXPORT_FAKEQUANT, QS_EXPORT_FP32};
enum { TO_LITE = 0 };
static const char *const lite_targets[] = {"arm", "x86", NULL};

struct options {
    char *output, *params;
    int to, lite_target;
    bool force;
};

static const struct qs_opt opts[] = {
    {"output", 'o', QS_OPT_TEXT, offsetof(struct options, output), 0, 0, NULL, NULL, "DIR",
     N_("folder for the written model")},
    {"to", 0, QS_OPT_CHOICE, offsetof(struct options, to), 0, 0, to_names, "lite", "FORM",
     N_("lite: run paddle_lite_opt on the result when it is on the PATH; paddle: only write "
        ".pdmodel and .pdiparams; qdq, fakequant, fp32: write a quantized model in that form")},
    {"lite-target", 0, QS_OPT_CHOICE, offsetof(struct options, lite_target), 0, 0, lite_targets,
     "arm", "TARGET", N_("the processor that paddle_lite_opt optimizes for: arm or x86")},
    {"force", 0, QS_OPT_FLAG, offsetof(struct options, force), 0, 0, NULL, NULL, NULL,
     N_("replace existing output files")},
    {"params", 0, QS_OPT_TEXT, offsetof(struct options, params), 0, 0, NULL, NULL, "FILE",
     N_("the combined parameter file, when it is not beside the program")},
};

static json_t *
verdict_json(const struct qs_lite_verdict *v)
{
    if (!v->ran)
        return json_null();
    return json_pack("{s:b,s:o,s:o,s:I}", "accepted", v->accepted, "output",
                     qs_json_text(v->output), "nb", v->accepted ? qs_json_text(v->nb) : json_null(),
                     "nb_bytes", (json_int_t)v->nb_bytes);
}

static enum qs_err
print(struct qs_ctx *cx, const struct qs_file_info file[2], const struct qs_lite_verdict *v,
      bool json)
{
    if (json) {
        json_t *files = json_array();
        for (int i = 0; i < 2; i++)
            json_array_append_new(
                files, json_pack("{s:o,s:I,s:s}", "path", qs_json_text(file[i].path), "bytes",
                                 (json_int_t)file[i].bytes, "sha256", file[i].sha256));
        return qs_print_json(cx, json_pack("{s:o,s:o}", "files", files, "opt", verdict_json(v)));
    }
    for (int i = 0; i < 2; i++)
        printf("%s  %s  %" PRId64 "\n", file[i].sha256, file[i].path, file[i].bytes);
    if (v->accepted)
        printf(_("paddle_lite_opt: accepted, %s, %" PRId64 " bytes\n"), v->nb, v->nb_bytes);
    return QS_OK;
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    struct qs_opened *o = NULL;
    struct qs_file_info file[2] = {0};
    struct qs_lite_verdict verdict = {0};
    const struct qs_export_options how = {
        .output = opt->output,
        .force = opt->force,
        .form = form_of[opt->to],
        .lite_target = opt->to == TO_LITE ? lite_targets[opt->lite_target] : NULL};
    (void)n_arg;
    if (!opt->output)
        return qs_fail(cx, QS_ERR_USAGE, _("export needs -o DIR"));
    enum qs_err err = qs_app_open(cx, arg[0], opt->params, NULL, &o);
    if (!err)
        err = qs_app_export(cx, o, &how, file, &verdict);
    if (!err && opt->to == TO_LITE && !verdict.ran)
        qs_warn(cx, "%s",
                _("paddle_lite_opt is not on the PATH: the model is written but not tried"));
    if (!err)
        err = print(cx, file, &verdict, common->json);
    if (!err && verdict.ran && !verdict.accepted)
        err = qs_fail(cx, QS_ERR_FAILED, _("paddle_lite_opt refuses '%s': %s"), file[0].path,
                      verdict.output);
    qs_lite_verdict_release(&verdict);
    qs_file_info_release(&file[0]);
    qs_file_info_release(&file[1]);
    qs_app_close(o);
    return err;
}

const struct qs_cmd qs_cmd_export = {
    .name = "export",
    .args = "MODEL",
    .summary = N_("write .pdmodel and .pdiparams ready for Paddle-Lite, and try its opt tool"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
