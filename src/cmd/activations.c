/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/activations.h"

#include "base/i18n.h"
#include "base/mem.h"

/* The first operator that reads it rounded; of what is only observed, the one that makes it. */
static const char *
op_type_of(const struct qs_apart *a, int act)
{
    const struct qs_model *m = a->opened->model;
    const int32_t var = a->notes.act[act].var;
    for (int i = 0; i < a->notes.n_node; i++)
        for (int k = 0; k < a->notes.node[i].n_all; k++)
            if (a->notes.node[i].all[k] == act)
                return m->block[0].node[a->notes.node[i].node].type;
    if (a->opened->edges->n_writer[var] == 0)
        return "";
    const struct qs_ref r = a->opened->edges->writer[var][0];
    return m->block[r.block].node[r.node].type;
}

static const char *
rounding_of(const struct qs_quant_act *act)
{
    return act->observed ? "" : act->half_away ? "away" : "even";
}

void
qs_activations_print(const struct qs_apart *a, bool csv)
{
    static const char *const title[] = {"activation", "op_type",  "bits",
                                        "threshold",  "rounding", "observed"};
    static const enum qs_align align[] = {QS_LEFT, QS_LEFT, QS_RIGHT, QS_RIGHT, QS_LEFT, QS_RIGHT};
    struct qs_table *t = qs_table_new(QS_LEN(title), title, align);
    for (int i = 0; i < a->notes.n_act; i++) {
        const struct qs_quant_act *act = &a->notes.act[i];
        qs_table_cell(t, "%s", a->opened->model->var[act->var].name);
        qs_table_cell(t, "%s", op_type_of(a, i));
        qs_table_cell(t, "%d", act->bits);
        qs_table_cell(t, "%.6g", act->threshold);
        qs_table_cell(t, "%s", rounding_of(act));
        qs_table_cell(t, "%s", act->observed ? "true" : "false");
    }
    qs_table_print(t, stdout, csv);
}

json_t *
qs_activations_json(const struct qs_apart *a)
{
    json_t *list = json_array();
    for (int i = 0; i < a->notes.n_act; i++) {
        const struct qs_quant_act *act = &a->notes.act[i];
        const char *rounding = rounding_of(act);
        json_array_append_new(list,
                              json_pack("{s:o,s:s,s:i,s:o,s:s?,s:b}", "activation",
                                        qs_json_text(a->opened->model->var[act->var].name),
                                        "op_type", op_type_of(a, i), "bits", act->bits, "threshold",
                                        qs_json_real(act->threshold), "rounding",
                                        *rounding ? rounding : NULL, "observed", act->observed));
    }
    return list;
}
