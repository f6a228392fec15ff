/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/run_output.h"

struct options {
    char *data, *params, *algo;
    int samples, batch, bits, compat, format, max_pixels;
    double hist_percent;
    bool all, csv, exact, no_store;
};

static const char *const compats[] = {"none", "paddle", NULL};
static const char *const formats[] = {"qdq", "fakequant", NULL};

static const struct qs_opt opts[] = {
    {"data", 'd', QS_OPT_TEXT, offsetof(struct options, data), 0, 0, NULL, NULL, "FILE",
     N_("the data file: samples like those the model will see")},
    {"samples", 'n', QS_OPT_INT, offsetof(struct options, samples), 0, 1 << 30, NULL, "0", "N",
     N_("use the first N samples; 0: all")},
    {"batch", 0, QS_OPT_INT, offsetof(struct options, batch), 1, QS_CALIBRATE_BATCH_MOST, NULL, "1",
     "N", N_("run N samples at once where they have the same shape")},
    {"bits", 'b', QS_OPT_INT, offsetof(struct options, bits), 2, 16, NULL, "8", "N",
     N_("bits of activations")},
    {"algo", 'a', QS_OPT_TEXT, offsetof(struct options, algo), 0, 0, NULL, NULL, "A,...",
     N_("only these calibrators")},
    {"hist-percent", 0, QS_OPT_FLOAT, offsetof(struct options, hist_percent), 0.5, 1, NULL,
     "0.9999", "P", N_("share of values that hist and percentile keep")},
    {"compat", 0, QS_OPT_CHOICE, offsetof(struct options, compat), 0, 0, compats, "none", "WHAT",
     N_("compute exactly what PaddleSlim computes")},
    {"format", 0, QS_OPT_CHOICE, offsetof(struct options, format), 0, 0, formats, "qdq", "F",
     N_("with --compat paddle: the format whose mse and emd to compute")},
    {"all", 0, QS_OPT_FLAG, offsetof(struct options, all), 0, 0, NULL, NULL, NULL,
     N_("observe everything that operators make")},
    {"exact", 0, QS_OPT_FLAG, offsetof(struct options, exact), 0, 0, NULL, NULL, NULL,
     N_("run operator by operator, as Paddle does, not in the fast engine")},
    {"csv", 0, QS_OPT_FLAG, offsetof(struct options, csv), 0, 0, NULL, NULL, NULL,
     N_("print the table as comma-separated values")},
    {"max-pixels", 0, QS_OPT_INT, offsetof(struct options, max_pixels), 1, 1 << 30, NULL,
     "67108864", "N", N_("refuse larger pictures")},
    {"params", 0, QS_OPT_TEXT, offsetof(struct options, params), 0, 0, NULL, NULL, "FILE",
     N_("the combined parameter file, when it is not beside the program")},
    {"no-store", 0, QS_OPT_FLAG, offsetof(struct options, no_store), 0, 0, NULL, NULL, NULL,
     N_("do not record this run")},
};

/* ---- which calibrators ---- */

static int
algo_by_name(const char *name, size_t n)
{
    for (int i = 0; i < QS_N_ALGO; i++)
        if (strlen(qs_algo_names[i]) == n && strncmp(qs_algo_names[i], name, n) == 0)
            return i;
    return -1;
}

/* A list "avg,kl" as a set; NULL: all. */
static enum qs_err
parse_algos(struct qs_ctx *cx, const char *list, int *set)
{
    *set = 0;
    for (const char *at = list; at && *at;) {
        const size_t n = strcspn(at, ",");
        const int algo = algo_by_name(at, n);
        if (algo < 0)
            return qs_fail(cx, QS_ERR_USAGE, _("no calibrator '%.*s': see qslim-calibrate(1)"),
                           (int)n, at);
        *set |= 1 << algo;
        at += n + (at[n] == ',');
    }
    if (*set == 0)
        *set = (1 << QS_N_ALGO) - 1;
    return QS_OK;
}

/* ---- output ---- */

static json_t *
per_algo(const double *value, int algos)
{
    json_t *o = json_object();
    for (int i = 0; i < QS_N_ALGO; i++)
        if (algos >> i & 1)
            json_object_set_new(o, qs_algo_names[i], qs_json_real(value[i]));
    return o;
}

static json_t *
activation_json(const struct qs_run_activation *row, const struct qs_observed *s, int algos)
{
    json_t *o = json_object();
    json_object_set_new(o, "var", qs_json_text(row->var));
    json_object_set_new(o, "op_type", qs_json_text(row->op_type));
    json_object_set_new(o, "min", qs_json_real(s->min));
    json_object_set_new(o, "max", qs_json_real(s->max));
    json_object_set_new(o, "n_samples", json_integer(s->n_samples));
    json_object_set_new(o, "n_bad", json_integer(s->n_bad));
    json_object_set_new(o, "n_values", json_integer(s->n_values));
    json_object_set_new(o, "n_zero", json_integer(s->n_zero));
    json_object_set_new(o, "thresholds", per_algo(s->threshold, algos));
    json_object_set_new(o, "sqnr_db", per_algo(s->sqnr_db, algos));
    json_object_set_new(o, "best", json_string(qs_algo_names[s->best]));
    return o;
}

static enum qs_err
print_json(struct qs_ctx *cx, const struct qs_calibrated *c, const struct qs_run *run, int algos)
{
    json_t *o = qs_run_json(run, false), *list = json_array();
    for (int i = 0; i < c->n; i++)
        json_array_append_new(list, activation_json(&run->activation[i], &c->seen[i], algos));
    json_object_set_new(o, "activations", list);
    json_object_set_new(o, "samples", json_integer(c->samples));
    json_object_set_new(o, "broken", json_integer(c->broken));
    json_object_set_new(o, "bad", json_integer(c->bad));
    json_object_set_new(o, "engine", json_string(c->engine));
    json_object_set_new(o, "peak_bytes", json_integer(c->peak_bytes));
    return qs_print_json(cx, o);
}

/* min_max is the range and the threshold of abs_max: it needs no column of its own. */
static bool
has_column(int algo, int algos)
{
    return (algos >> algo & 1) && algo != QS_ALGO_min_max;
}

enum { COLUMNS_MOST = 5 + 2 * QS_N_ALGO };
struct columns {
    const char *title[COLUMNS_MOST];
    enum qs_align align[COLUMNS_MOST];
    int n;
};

static void
add_column(struct columns *c, const char *title, enum qs_align align)
{
    c->title[c->n] = title;
    c->align[c->n++] = align;
}

static void
set_columns(struct columns *c, int algos)
{
    c->n = 0;
    add_column(c, _("activation"), QS_LEFT);
    add_column(c, _("operator"), QS_LEFT);
    add_column(c, _("min"), QS_RIGHT);
    add_column(c, _("max"), QS_RIGHT);
    add_column(c, _("best"), QS_LEFT);
    for (int i = 0; i < QS_N_ALGO; i++)
        if (has_column(i, algos)) {
            add_column(c, qs_algo_names[i], QS_RIGHT);
            add_column(c, "dB", QS_RIGHT);
        }
}

static void
print_table(const struct qs_calibrated *c, const struct qs_run *run, const struct options *opt,
            int algos)
{
    struct columns columns;
    set_columns(&columns, algos);
    struct qs_table *t = qs_table_new(columns.n, columns.title, columns.align);
    for (int i = 0; i < c->n; i++) {
        const struct qs_observed *s = &c->seen[i];
        qs_table_cell(t, "%s", run->activation[i].var);
        qs_table_cell(t, "%s", run->activation[i].op_type);
        qs_table_number(t, "%.5g", s->min, "");
        qs_table_number(t, "%.5g", s->max, "");
        qs_table_cell(t, "%s", s->n_values > 0 ? qs_algo_names[s->best] : "");
        for (int a = 0; a < QS_N_ALGO; a++)
            if (has_column(a, algos)) {
                qs_table_number(t, opt->csv ? "%.9g" : "%.5g", s->threshold[a], "");
                qs_table_number(t, "%.1f", s->sqnr_db[a], "");
            }
    }
    qs_table_print(t, stdout, opt->csv);
}

static void
print_summary(const struct qs_calibrated *c, const struct qs_run *run)
{
    char memory[16];
    printf(_("%" PRId64 " samples in %.2f s, %s"), c->samples, c->seconds,
           qs_format_bytes(memory, sizeof(memory), c->peak_bytes));
    if (c->broken)
        printf(_("; %" PRId64 " could not be read"), c->broken);
    if (c->bad)
        printf(_("; %" PRId64 " with NaN or infinity"), c->bad);
    if (run->id)
        printf(_("; run %" PRId64), run->id);
    putchar('\n');
}

/* ---- the command ---- */

static enum qs_err
calibrate(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt,
          const struct qs_opened *o, int algos)
{
    const int32_t n_var = o->model->n_var;
    bool *all = opt->all ? qs_xcalloc((size_t)n_var + 1, sizeof(*all)) : NULL;
    const struct qs_calibrate_options how = {
        .data = opt->data,
        .samples = opt->samples,
        .batch = opt->batch,
        .max_pixels = opt->max_pixels,
        .exact = opt->exact,
        .calib = {.bits = opt->bits,
                  .hist_percent = opt->hist_percent,
                  .paddle = opt->compat == 1,
                  .qdq = opt->format == 0,
                  .algos = algos},
        .want = all,
        .algo = QS_ALGO_auto,
    };
    struct qs_calibrated c;
    struct qs_run run;
    if (all)
        qs_app_calibrate_want(o->model, true, all);
    enum qs_err err = qs_app_calibrate_run(cx, o, &how, opt->no_store, common->db, &c, &run);
    if (!err && common->json)
        err = print_json(cx, &c, &run, algos);
    else if (!err) {
        print_table(&c, &run, opt, algos);
        if (!opt->csv)
            print_summary(&c, &run);
    }
    qs_calibrated_release(&c);
    qs_run_release(&run);
    free(all);
    return err;
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    struct qs_opened *o = NULL;
    int algos;
    (void)n_arg;
    if (!opt->data)
        return qs_fail(cx, QS_ERR_USAGE, _("calibrate needs --data FILE"));
    enum qs_err err = parse_algos(cx, opt->algo, &algos);
    if (!err)
        err = qs_app_open(cx, arg[0], opt->params, NULL, &o);
    if (!err)
        err = calibrate(cx, common, opt, o, algos);
    qs_app_close(o);
    return err;
}

const struct qs_cmd qs_cmd_calibrate = {
    .name = "calibrate",
    .args = "MODEL",
    .summary = N_("see what activations are like and what each calibrator makes of them"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
