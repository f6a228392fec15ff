/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/verify_output.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/i18n.h"
#include "base/mem.h"

static json_t *
metrics_json(const struct qs_verified *v)
{
    json_t *o = json_object();
    for (int i = 0; i < v->n_metric; i++) {
        const double *value = v->metric[i].value;
        json_object_set_new(o, v->metric[i].name,
                            json_pack("{s:o,s:o,s:o}", "fp32", qs_json_real(value[QS_VERIFY_FP32]),
                                      "simulated", qs_json_real(value[QS_VERIFY_SIMULATED]), "int8",
                                      qs_json_real(value[QS_VERIFY_INTEGER])));
    }
    return o;
}

static json_t *
layers_json(const struct qs_verified *v)
{
    json_t *list = json_array();
    for (int i = 0; i < v->n_layer; i++)
        json_array_append_new(list,
                              json_pack("{s:o,s:o,s:o}", "name", qs_json_text(v->layer[i].name),
                                        "op_type", qs_json_text(v->layer[i].op_type), "sqnr_db",
                                        qs_json_real(v->layer[i].sqnr_db)));
    return list;
}

json_t *
qs_verified_json(const struct qs_verified *v)
{
    if (v->samples == 0 && !v->reason)
        return json_null();
    return json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "samples", (json_int_t)v->samples, "reason",
                     v->reason ? qs_json_text(v->reason) : json_null(), "metrics", metrics_json(v),
                     "cosine", v->samples ? qs_json_real(v->cosine) : json_null(), "difference",
                     v->samples ? qs_json_real(v->difference) : json_null(), "ok",
                     v->samples ? json_boolean(v->ok) : json_null(), "layers", layers_json(v));
}

void
qs_verified_print(const struct qs_verified *v)
{
    const char *const title[] = {_("verified"), _("FP32"), _("simulated"), _("integers")};
    static const enum qs_align align[] = {QS_LEFT, QS_RIGHT, QS_RIGHT, QS_RIGHT};
    if (v->samples == 0)
        return;
    struct qs_table *t = qs_table_new(QS_LEN(title), title, align);
    for (int i = 0; i < v->n_metric; i++) {
        struct qs_metric_look look = {"", "%g", true};
        qs_app_metric_look(v->metric[i].name, &look);
        qs_table_cell(t, "%s", v->metric[i].name);
        for (int k = 0; k < QS_N_VERIFY_WAY; k++)
            qs_table_number(t, look.format, v->metric[i].value[k], "-");
    }
    qs_table_print(t, stdout, false);
    printf(_("%" PRId64 " samples; cosine of integers with simulated %.6f\n"), v->samples,
           v->cosine);
}
