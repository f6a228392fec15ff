/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variables that a watch of the fast engine sees. What a kept variable holds after a node counts
 * as read by someone else, so nothing is fused across it; it lives until it was shown. Variables
 * are shown in program order: one that fusion makes early waits for those before it.
 */
#include "engine/lower.h"

void
qs_keep_node(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    for (int i = 0; i < node->n_out; i++)
        for (int j = 0; j < node->out[i].n; j++) {
            const int32_t var = node->out[i].var[j];
            const int id = f->now[var];
            if (!f->keep[var] || id < 0 || !f->value[id].known)
                continue;
            struct kept *k = qs_arena_grow(&f->arena, (void **)&f->kept, f->n_kept, &f->cap_kept,
                                           sizeof(*f->kept));
            *k = (struct kept){.node = number, .var = var, .value = id};
            f->value[id].kept = true;
            f->n_kept++;
        }
}

void
qs_keep_place(struct qs_fast *f)
{
    int step = -1;
    for (int i = 0; i < f->n_kept; i++) {
        const struct value *v = &f->value[f->kept[i].value];
        step = v->made > step ? v->made : step;
        f->kept[i].step = step;
        if (v->layout != PLAIN && v->count > f->shown_floats)
            f->shown_floats = v->count;
    }
}

enum qs_err
qs_keep_prepare(struct qs_ctx *cx, struct qs_fast *f)
{
    enum qs_err err = QS_OK;
    for (int i = 0; i < f->n_kept && !err; i++)
        if (f->value[f->kept[i].value].param)
            err = qs_fast_load_param(cx, f, &f->value[f->kept[i].value]);
    return err || f->shown_floats == 0 ? err : qs_floats_new(cx, f->shown_floats, &f->shown);
}

enum qs_err
qs_keep_show(struct qs_ctx *cx, struct qs_fast *f, const struct qs_watch *watch, int step)
{
    enum qs_err err = QS_OK;
    while (f->next_kept < f->n_kept && f->kept[f->next_kept].step == step && !err) {
        const struct kept *k = &f->kept[f->next_kept++];
        const struct value *v = &f->value[k->value];
        struct qs_value shown = qs_fast_plain_value(v);
        if (v->layout != PLAIN) {
            qs_image_to_plain(f, v, f->shown);
            shown.data = f->shown;
        }
        if (shown.data)
            err = watch->made(cx, watch->arg, k->node, k->var, &shown);
    }
    return err;
}
