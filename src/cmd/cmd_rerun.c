/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/run_output.h"
#include "kernels/cpu.h"

struct options {
    char *output;
    bool force;
};

static const struct qs_opt opts[] = {
    {"output", 'o', QS_OPT_TEXT, offsetof(struct options, output), 0, 0, NULL, NULL, "DIR",
     N_("keep the files in this folder (default: they are compared and removed)")},
    {"force", 0, QS_OPT_FLAG, offsetof(struct options, force), 0, 0, NULL, NULL, NULL,
     N_("replace existing output files")},
};

/* What differs between the run of old and its repetition; "" when the bytes are the same. */
static void
compare(const struct qs_run *old, const struct qs_run *new, struct qs_str *out)
{
    if (strcmp(old->model_digest, new->model_digest) != 0)
        qs_str_printf(out, "%s\n", _("the model is not the one of that run"));
    if (strcmp(old->version, new->version) != 0)
        qs_str_printf(out, _("qslim %s then, %s now\n"), old->version, new->version);
    if (old->n_file != new->n_file)
        qs_str_printf(out, _("%d files then, %d now\n"), old->n_file, new->n_file);
    for (int i = 0; i < old->n_file && i < new->n_file; i++)
        if (strcmp(old->file[i].sha256, new->file[i].sha256) != 0)
            qs_str_printf(out, _("'%s': sha256 %.12s... then, %.12s... now\n"), new->file[i].path,
                          old->file[i].sha256, new->file[i].sha256);
}

static bool
files_equal(const struct qs_run *old, const struct qs_run *new)
{
    bool equal = old->n_file == new->n_file &&new->n_file > 0;
    for (int i = 0; equal && i < old->n_file; i++)
        equal = strcmp(old->file[i].sha256, new->file[i].sha256) == 0;
    return equal;
}

static void
remove_files(const struct qs_run *run, const char *folder)
{
    static const char *const below[] = {"quantized_model", "test_model"};
    for (int i = 0; i < run->n_file; i++)
        if (run->file[i].path)
            unlink(run->file[i].path);
    for (size_t i = 0; i < QS_LEN(below); i++) {
        char *path = qs_xasprintf("%s/%s", folder, below[i]);
        rmdir(path);
        free(path);
    }
    rmdir(folder);
}

static enum qs_err
temp_folder(struct qs_ctx *cx, char **out)
{
    const char *base = getenv("TMPDIR");
    *out = qs_xasprintf("%s/qslim-rerun.XXXXXX", base && *base ? base : "/tmp");
    if (mkdtemp(*out))
        return QS_OK;
    return qs_fail(cx, QS_ERR_IO, _("cannot create the temporary folder '%s'"), *out);
}

static enum qs_err
repeat(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt,
       const struct qs_run *old, const char *folder, struct qs_run *new)
{
    struct qs_opened *o = NULL;
    struct qs_plan plan;
    const struct qs_quantize_options q = {
        .output = folder, .force = opt->force || !opt->output, .db = common->db, .parent = old->id};
    char where[32];
    snprintf(where, sizeof(where), _("run %lld"), (long long)old->id);
    qs_plan_init(&plan);
    enum qs_err err = qs_plan_parse(cx, old->plan, where, &plan);
    if (!err)
        err = qs_app_open(cx, old->model_path, NULL, NULL, &o);
    if (!err)
        err = qs_app_quantize(cx, o, &plan, &q, new);
    qs_app_close(o);
    qs_plan_release(&plan);
    return err;
}

static enum qs_err
report(struct qs_ctx *cx, const struct qs_run *old, const struct qs_run *new, bool json)
{
    struct qs_str diff;
    enum qs_err err = QS_OK;
    const bool same = files_equal(old, new);
    qs_str_init(&diff);
    compare(old, new, &diff);
    if (json)
        err = qs_print_json(cx, json_pack("{s:I,s:I,s:b,s:o}", "run_id", (json_int_t) new->id,
                                          "parent", (json_int_t)old->id, "same", same,
                                          "differences", qs_json_text(diff.s)));
    else
        printf("%s%s", same ? _("same bytes\n") : _("the bytes differ\n"), diff.s);
    qs_str_release(&diff);
    if (!err && !same)
        return qs_fail(cx, QS_ERR_FAILED, _("run %lld could not be repeated byte for byte"),
                       (long long)old->id);
    return err;
}

/* Ranges of activations come from sums in float, whose last bits depend on the instruction set. */
static void
use_kernels_of(struct qs_ctx *cx, const struct qs_common *common, const struct qs_run *old)
{
    if (strcmp(old->method, "static") != 0 || common->cpu || !*old->isa)
        return;
    if (!qk_cpu_cap(old->isa) || strcmp(qk_cpu_name(), old->isa) != 0)
        qs_note(cx, _("run %lld used %s, which this machine lacks: the bytes may differ"),
                (long long)old->id, old->isa);
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    struct qs_run old = {0}, new = {0};
    char *folder = opt->output ? qs_xstrdup(opt->output) : NULL;
    (void)n_arg;
    enum qs_err err = qs_run_by_text(cx, common->db, arg[0], &old);
    if (!err && strcmp(old.kind, "quantize") != 0)
        err = qs_fail(cx, QS_ERR_UNSUPPORTED, _("run %s is of kind '%s', not quantize"), arg[0],
                      old.kind);
    if (!err)
        use_kernels_of(cx, common, &old);
    if (!err && !folder)
        err = temp_folder(cx, &folder);
    if (!err)
        err = repeat(cx, common, opt, &old, folder, &new);
    if (!err)
        err = report(cx, &old, &new, common->json);
    if (folder && !opt->output)
        remove_files(&new, folder);
    free(folder);
    qs_run_release(&old);
    qs_run_release(&new);
    return err;
}

const struct qs_cmd qs_cmd_rerun = {
    .name = "rerun",
    .args = "ID",
    .summary = N_("repeat a stored run and say whether the output bytes are the same"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
