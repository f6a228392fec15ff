/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/preflight.h"

#include "base/i18n.h"
#include "base/mem.h"

void
qs_preflight_print(const struct qs_preflight *p)
{
    static const char *const key[] = {N_("target"),  N_("int8"),  N_("fused"),      N_("float"),
                                      N_("refused"), N_("wrong"), N_("conversions")};
    static const enum qs_align align[] = {QS_LEFT,  QS_RIGHT, QS_RIGHT, QS_RIGHT,
                                          QS_RIGHT, QS_RIGHT, QS_RIGHT};
    const char *title[QS_LEN(key)];
    for (size_t i = 0; i < QS_LEN(key); i++)
        title[i] = _(key[i]);
    struct qs_table *table = qs_table_new(QS_LEN(title), title, align);
    for (int i = 0; i < p->n; i++) {
        const struct qs_preflight_target *t = &p->target[i];
        qs_table_cell(table, "%s", t->name);
        qs_table_cell(table, "%d", t->count[QS_VERDICT_INT8]);
        qs_table_cell(table, "%d", t->count[QS_VERDICT_FUSED]);
        qs_table_cell(table, "%d", t->count[QS_VERDICT_FLOAT]);
        qs_table_cell(table, "%d", t->count[QS_VERDICT_REFUSED]);
        qs_table_cell(table, "%d", t->count[QS_VERDICT_WRONG]);
        qs_table_cell(table, "%d", t->to_int8 + t->to_float);
    }
    qs_table_print(table, stdout, false);
    for (int i = 0; i < p->n; i++)
        for (int k = 0; k < p->target[i].n_problem; k++) {
            const struct qs_preflight_problem *b = &p->target[i].problem[k];
            printf(b->verdict == QS_VERDICT_WRONG ? _("%s: %d %s wrong: %s\n")
                                                  : _("%s: %d %s refused: %s\n"),
                   p->target[i].name, b->n, b->op_type, b->note);
        }
}

static json_t *
problems_json(const struct qs_preflight_target *t)
{
    json_t *list = json_array();
    for (int i = 0; i < t->n_problem; i++)
        json_array_append_new(
            list, json_pack("{s:o,s:s,s:i,s:o}", "op_type", qs_json_text(t->problem[i].op_type),
                            "verdict", qs_verdict_name(t->problem[i].verdict), "n", t->problem[i].n,
                            "note", qs_json_text(t->problem[i].note)));
    return list;
}

json_t *
qs_preflight_json(const struct qs_preflight *p)
{
    json_t *list = json_array();
    for (int i = 0; i < p->n; i++) {
        const struct qs_preflight_target *t = &p->target[i];
        json_t *o = json_pack("{s:o}", "target", qs_json_text(t->name));
        for (int v = 0; v < QS_N_VERDICT; v++)
            json_object_set_new(o, qs_verdict_name((enum qs_verdict)v), json_integer(t->count[v]));
        json_object_set_new(o, "to_int8", json_integer(t->to_int8));
        json_object_set_new(o, "to_float", json_integer(t->to_float));
        json_object_set_new(o, "problems", problems_json(t));
        json_array_append_new(list, o);
    }
    return list;
}
