/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/sense_output.h"

#include <inttypes.h>
#include <math.h>

#include "base/i18n.h"
#include "base/mem.h"

static json_t *
row_json(const struct qs_run_sensitivity *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "weight", qs_json_text(r->weight));
    json_object_set_new(o, "op_type", qs_json_text(r->op_type));
    json_object_set_new(o, "mode", qs_json_text(r->mode));
    json_object_set_new(o, "bits", json_integer(r->bits));
    json_object_set_new(o, "metric", qs_json_real(r->metric));
    json_object_set_new(o, "drop", qs_json_real(r->drop));
    json_object_set_new(o, "others_metric", qs_json_real(r->others_metric));
    json_object_set_new(o, "others_drop", qs_json_real(r->others_drop));
    json_object_set_new(o, "cosine", qs_json_real(r->cosine));
    json_object_set_new(o, "sqnr_db", qs_json_real(r->sqnr_db));
    json_object_set_new(o, "accumulated_db", qs_json_real(r->accumulated_db));
    json_object_set_new(o, "weight_db", qs_json_real(r->weight_db));
    json_object_set_new(o, "bytes_float", json_integer(r->bytes_float));
    json_object_set_new(o, "bytes_quant", json_integer(r->bytes_quant));
    return o;
}

json_t *
qs_sensitivity_json(const struct qs_run *run)
{
    json_t *rows = json_array();
    for (int i = 0; i < run->n_sensitivity; i++)
        json_array_append_new(rows, row_json(&run->sensitivity[i]));
    return rows;
}

/* The drop beside the largest. */
static void
bar(struct qs_table *t, double drop, double most)
{
    enum { WIDTH = 20 };
    static const char full[WIDTH + 1] = "####################";
    const double share = drop > 0 && most > 0 ? drop / most : 0;
    qs_table_cell(t, "%.*s", (int)lrint(share * WIDTH), full);
}

static bool
has_others(const struct qs_run *run)
{
    for (int i = 0; i < run->n_sensitivity; i++)
        if (!isnan(run->sensitivity[i].others_metric))
            return true;
    return false;
}

static double
largest_drop(const struct qs_run *run)
{
    return run->n_sensitivity && !isnan(run->sensitivity[0].drop) ? run->sensitivity[0].drop : 0;
}

static void
print_row(struct qs_table *t, const struct qs_run_sensitivity *r, double most, bool others)
{
    qs_table_cell(t, "%s", r->weight);
    qs_table_cell(t, "%s", r->op_type);
    qs_table_cell(t, "%s", _(r->mode));
    qs_table_cell(t, "%d", r->bits);
    qs_table_number(t, "%.6g", r->metric, "-");
    qs_table_number(t, "%.3g", r->drop, "-");
    bar(t, r->drop, most);
    qs_table_number(t, "%.3g", 1 - r->cosine, "-");
    qs_table_number(t, "%.1f", r->sqnr_db, "-");
    qs_table_number(t, "%.1f", r->accumulated_db, "-");
    qs_table_number(t, "%.1f", r->weight_db, "-");
    if (others)
        qs_table_number(t, "%.3g", r->others_drop, "-");
}

void
qs_sensitivity_print(const struct qs_run *run, const char *metric)
{
    const char *const title[] = {
        _("weight"), _("operator"), _("mode"),      _("bits"),   metric,         _("drop"),
        "",          _("1-cosine"), _("output dB"), _("all dB"), _("weight dB"), _("but it")};
    static const enum qs_align align[] = {QS_LEFT,  QS_LEFT,  QS_LEFT,  QS_RIGHT,
                                          QS_RIGHT, QS_RIGHT, QS_LEFT,  QS_RIGHT,
                                          QS_RIGHT, QS_RIGHT, QS_RIGHT, QS_RIGHT};
    const bool others = has_others(run);
    struct qs_table *t = qs_table_new(QS_LEN(title) - !others, title, align);
    for (int i = 0; i < run->n_sensitivity; i++)
        print_row(t, &run->sensitivity[i], largest_drop(run), others);
    qs_table_print(t, stdout, false);
}

void
qs_sensitivity_csv(const struct qs_run *run)
{
    static const char *const title[] = {
        "weight",         "op_type",       "mode",        "bits",       "metric",
        "drop",           "others_metric", "others_drop", "cosine",     "sqnr_db",
        "accumulated_db", "weight_db",     "bytes_float", "bytes_quant"};
    struct qs_table *t = qs_table_new(QS_LEN(title), title, NULL);
    for (int i = 0; i < run->n_sensitivity; i++) {
        const struct qs_run_sensitivity *r = &run->sensitivity[i];
        const double value[] = {r->metric, r->drop,    r->others_metric,  r->others_drop,
                                r->cosine, r->sqnr_db, r->accumulated_db, r->weight_db};
        qs_table_cell(t, "%s", r->weight);
        qs_table_cell(t, "%s", r->op_type);
        qs_table_cell(t, "%s", r->mode);
        qs_table_cell(t, "%d", r->bits);
        for (size_t k = 0; k < QS_LEN(value); k++)
            qs_table_number(t, "%.9g", value[k], "");
        qs_table_cell(t, "%" PRId64, r->bytes_float);
        qs_table_cell(t, "%" PRId64, r->bytes_quant);
    }
    qs_table_print(t, stdout, true);
}
