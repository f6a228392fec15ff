/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/run_output.h"

struct options {
    char *data, *metric, *reference, *params, *reference_params, *predictions;
    int samples, batch, max_pixels, precision;
    double min_accuracy;
    bool exact, no_store, force;
};

static const struct qs_opt opts[] = {
    {"data", 'd', QS_OPT_TEXT, offsetof(struct options, data), 0, 0, NULL, NULL, "FILE",
     N_("the data file: samples and labels")},
    {"samples", 'n', QS_OPT_INT, offsetof(struct options, samples), 0, 1 << 30, NULL, "0", "N",
     N_("use the first N samples; 0: all")},
    {"metric", 'm', QS_OPT_TEXT, offsetof(struct options, metric), 0, 0, NULL, NULL, "M,...",
     N_("only these metrics")},
    {"reference", 'r', QS_OPT_TEXT, offsetof(struct options, reference), 0, 0, NULL, NULL, "MODEL",
     N_("compare the outputs with those of this model, too")},
    {"precision", 0, QS_OPT_CHOICE, offsetof(struct options, precision), 0, 0, qs_precision_names,
     "fp32", "PRECISION", N_("arithmetic to run in")},
    {"batch", 0, QS_OPT_INT, offsetof(struct options, batch), 0, QS_EVAL_BATCH_MOST, NULL, "0", "N",
     N_("put up to N samples together; 0: as many as pay")},
    {"exact", 0, QS_OPT_FLAG, offsetof(struct options, exact), 0, 0, NULL, NULL, NULL,
     N_("compute as Paddle does, operator by operator; slower")},
    {"min-accuracy", 0, QS_OPT_FLOAT, offsetof(struct options, min_accuracy), 0, 1e9, NULL, "0",
     "X", N_("exit with status 3 when the first metric is below X")},
    {"predictions", 0, QS_OPT_TEXT, offsetof(struct options, predictions), 0, 0, NULL, NULL, "FILE",
     N_("write what is predicted, a line of JSON for each sample")},
    {"max-pixels", 0, QS_OPT_INT, offsetof(struct options, max_pixels), 1, 1 << 30, NULL,
     "67108864", "N", N_("refuse larger pictures")},
    {"params", 0, QS_OPT_TEXT, offsetof(struct options, params), 0, 0, NULL, NULL, "FILE",
     N_("the combined parameter file, when it is not beside the program")},
    {"reference-params", 0, QS_OPT_TEXT, offsetof(struct options, reference_params), 0, 0, NULL,
     NULL, "FILE", N_("the same for the reference")},
    {"no-store", 0, QS_OPT_FLAG, offsetof(struct options, no_store), 0, 0, NULL, NULL, NULL,
     N_("do not record this run")},
    {"force", 0, QS_OPT_FLAG, offsetof(struct options, force), 0, 0, NULL, NULL, NULL,
     N_("replace an existing file of predictions")},
};

static enum qs_err
print_json(struct qs_ctx *cx, const struct qs_evaluated *e)
{
    json_t *o = qs_run_json(&e->run, true);
    json_object_del(o, "layers");
    json_object_del(o, "files");
    json_object_set_new(o, "samples", json_integer(e->samples));
    json_object_set_new(o, "broken", json_integer(e->broken));
    json_object_set_new(o, "engine", json_string(e->engine));
    json_object_set_new(o, "images_per_second", qs_json_real(e->images_per_second));
    return qs_print_json(cx, o);
}

static void
print_table(const struct qs_evaluated *e)
{
    const char *const title[] = {_("metric"), _("value"), _("low"), _("high"), ""};
    static const enum qs_align align[] = {QS_LEFT, QS_RIGHT, QS_RIGHT, QS_RIGHT, QS_LEFT};
    struct qs_table *t = qs_table_new(QS_LEN(title), title, align);
    for (int i = 0; i < e->run.n_metric; i++) {
        const struct qs_run_metric *m = &e->run.metric[i];
        struct qs_metric_look look = {"", "%g", true};
        qs_app_metric_look(m->name, &look);
        qs_table_cell(t, "%s", m->name);
        qs_table_number(t, look.format, m->value, NULL);
        qs_table_number(t, look.format, m->low, NULL);
        qs_table_number(t, look.format, m->high, NULL);
        qs_table_cell(t, "%s", look.unit);
    }
    qs_table_print(t, stdout, false);
    printf(_("%" PRId64 " samples, %.1f per second"), e->samples, e->images_per_second);
    if (e->broken)
        printf(_("; %" PRId64 " could not be read"), e->broken);
    if (e->run.id)
        printf(_("; run %" PRId64), e->run.id);
    putchar('\n');
}

static enum qs_err
check_bound(struct qs_ctx *cx, const struct qs_evaluated *e, double least)
{
    const struct qs_run_metric *m = &e->run.metric[0];
    struct qs_metric_look look = {"", "%g", true};
    if (least <= 0)
        return QS_OK;
    if (qs_app_metric_look(m->name, &look) && !look.higher_is_better)
        return qs_fail(cx, QS_ERR_USAGE, _("--min-accuracy cannot bound '%s': less is better"),
                       m->name);
    if (m->value >= least)
        return QS_OK;
    return qs_fail(cx, QS_ERR_BOUND, _("'%s' is %.6g, below %.6g"), m->name, m->value, least);
}

static enum qs_err
evaluate(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt,
         const struct qs_opened *o, const struct qs_opened *reference)
{
    const struct qs_evaluate_options how = {
        .data = opt->data,
        .samples = opt->samples,
        .metrics = opt->metric,
        .max_pixels = opt->max_pixels,
        .batch = opt->batch,
        .exact = opt->exact,
        .precision = opt->precision,
        .predictions = opt->predictions,
        .force = opt->force,
        .no_store = opt->no_store,
        .db = common->db,
    };
    struct qs_evaluated e;
    enum qs_err err = qs_app_evaluate(cx, o, reference, &how, &e);
    if (!err && common->json)
        err = print_json(cx, &e);
    else if (!err)
        print_table(&e);
    if (!err)
        err = check_bound(cx, &e, opt->min_accuracy);
    qs_evaluated_release(&e);
    return err;
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    struct qs_opened *o = NULL, *reference = NULL;
    (void)n_arg;
    if (!opt->data)
        return qs_fail(cx, QS_ERR_USAGE, _("eval needs --data FILE"));
    if (opt->precision == QS_PRECISION_INT8 && opt->exact)
        return qs_fail(cx, QS_ERR_USAGE, _("--exact computes in fp32 only"));
    enum qs_err err = qs_app_open(cx, arg[0], opt->params, NULL, &o);
    if (!err && opt->reference)
        err = qs_app_open(cx, opt->reference, opt->reference_params, NULL, &reference);
    if (!err)
        err = evaluate(cx, common, opt, o, reference);
    qs_app_close(reference);
    qs_app_close(o);
    return err;
}

const struct qs_cmd qs_cmd_eval = {
    .name = "eval",
    .args = "MODEL",
    .summary = N_("run a model on labelled data and say how good it is"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
