/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"

struct options {
    char *model, *x, *y;
    bool csv;
};

static const struct qs_opt opts[] = {
    {"model", 'm', QS_OPT_TEXT, offsetof(struct options, model), 0, 0, NULL, NULL, "MODEL",
     N_("the model, or its digest (default: that of the newest run)")},
    {"x", 'x', QS_OPT_TEXT, offsetof(struct options, x), 0, 0, NULL, NULL, "WHAT",
     N_("bytes, seconds or a metric (default: bytes)")},
    {"y", 'y', QS_OPT_TEXT, offsetof(struct options, y), 0, 0, NULL, NULL, "WHAT",
     N_("the same (default: the metric that most runs have)")},
    {"csv", 0, QS_OPT_FLAG, offsetof(struct options, csv), 0, 0, NULL, NULL, NULL,
     N_("list as comma-separated values")},
};

static enum qs_err
print_json(struct qs_ctx *cx, const struct qs_pareto *p)
{
    json_t *points = json_array();
    for (int i = 0; i < p->n; i++)
        json_array_append_new(
            points,
            json_pack("{s:I,s:o,s:o,s:b,s:o}", "run_id", (json_int_t)p->point[i].run, "x",
                      qs_json_real(p->point[i].x), "y", qs_json_real(p->point[i].y), "on_front",
                      p->point[i].on_front, "label", qs_json_text(p->point[i].label)));
    return qs_print_json(cx, json_pack("{s:o,s:o,s:o,s:b,s:b,s:o}", "model", qs_json_text(p->model),
                                       "x", qs_json_text(p->x), "y", qs_json_text(p->y),
                                       "x_less_is_better", p->x_less, "y_less_is_better", p->y_less,
                                       "points", points));
}

static void
print_value(struct qs_table *t, const char *name, double v, bool csv)
{
    struct qs_metric_look look;
    if (csv || !qs_app_metric_look(name, &look)) {
        qs_table_cell(t, csv ? "%.9g" : "%.10g", v);
        return;
    }
    qs_table_number(t, look.format, v, NULL);
}

static void
print_table(const struct qs_pareto *p, bool csv)
{
    const char *const title[] = {csv ? "front" : "", csv ? "run" : _("run"), p->x, p->y,
                                 csv ? "label" : _("what")};
    static const enum qs_align align[] = {QS_LEFT, QS_RIGHT, QS_RIGHT, QS_RIGHT, QS_LEFT};
    if (!csv)
        printf("%s\n", p->model);
    struct qs_table *t = qs_table_new(QS_LEN(title), title, align);
    for (int i = 0; i < p->n; i++) {
        const struct qs_pareto_point *point = &p->point[i];
        qs_table_cell(t, "%s", csv ? (point->on_front ? "1" : "0") : point->on_front ? "*" : " ");
        qs_table_cell(t, "%" PRId64, point->run);
        print_value(t, p->x, point->x, csv);
        print_value(t, p->y, point->y, csv);
        qs_table_cell(t, "%s", point->label);
    }
    qs_table_print(t, stdout, csv);
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    struct qs_pareto p;
    (void)arg;
    (void)n_arg;
    enum qs_err err = qs_app_pareto(cx, common->db, opt->model, opt->x, opt->y, &p);
    if (!err && common->json)
        err = print_json(cx, &p);
    else if (!err)
        print_table(&p, opt->csv);
    qs_pareto_release(&p);
    return err;
}

const struct qs_cmd qs_cmd_pareto = {
    .name = "pareto",
    .args = "",
    .summary = N_("the runs of a model by size and metric, and which of them nothing beats"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 0,
    .max_args = 0,
    .run = run,
};
