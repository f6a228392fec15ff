/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/shape.h"

bool
qs_node_is_port(const struct qs_node *node)
{
    return strcmp(node->type, "feed") == 0 || strcmp(node->type, "fetch") == 0;
}

int64_t
qs_node_sub_block(const struct qs_model *m, const struct qs_node *node)
{
    const struct qs_attr *a = qs_node_attr(node, "sub_block");
    return a && a->type == QS_ATTR_BLOCK && a->i > 0 && a->i < m->n_block ? a->i : -1;
}

/* ---- operators ---- */

struct walk {
    const struct qs_model *m;
    bool *reached;
    const char **missing;
    int n, cap;
};

static void
note_missing(struct walk *w, const char *type)
{
    for (int i = 0; i < w->n; i++)
        if (strcmp(w->missing[i], type) == 0)
            return;
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 8;
        w->missing = qs_xrealloc(w->missing, (size_t)w->cap * sizeof(*w->missing));
    }
    w->missing[w->n++] = type;
}

/* Blocks form a tree: each belongs to the one node that runs it. */
static enum qs_err
reach(struct qs_ctx *cx, struct walk *w, int64_t id, int depth)
{
    const struct qs_block *b = &w->m->block[id];
    enum qs_err err = QS_OK;
    if (depth > QS_BLOCK_DEPTH_MOST)
        return qs_fail(cx, QS_ERR_FORMAT, _("blocks are nested more than %d deep"),
                       QS_BLOCK_DEPTH_MOST);
    if (w->reached[id])
        return qs_fail(cx, QS_ERR_FORMAT, _("block %" PRId64 " belongs to two operators"), id);
    w->reached[id] = true;
    for (int32_t i = 0; i < b->n_node && !err; i++) {
        const struct qs_node *node = &b->node[i];
        const int64_t sub = qs_node_sub_block(w->m, node);
        if (!qs_node_is_port(node) && (!node->op || !node->op->forward))
            note_missing(w, node->type);
        if (sub >= 0)
            err = reach(cx, w, sub, depth + 1);
    }
    return err;
}

static int
compare_type(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum qs_err
refuse(struct qs_ctx *cx, struct walk *w)
{
    struct qs_str text;
    qs_str_init(&text);
    qsort(w->missing, (size_t)w->n, sizeof(*w->missing), compare_type);
    for (int i = 0; i < w->n; i++)
        qs_str_printf(&text, "%s'%s'", i ? ", " : "", w->missing[i]);
    const enum qs_err err =
        qs_fail(cx, QS_ERR_UNSUPPORTED, _("the model cannot run: no implementation of %s"), text.s);
    qs_str_release(&text);
    return err;
}

enum qs_err
qs_check_operators(struct qs_ctx *cx, const struct qs_model *m, bool *reached)
{
    struct walk w = {.m = m, .reached = reached};
    if (m->n_block < 1)
        return qs_fail(cx, QS_ERR_FORMAT, _("the model has no block"));
    if (!reached)
        w.reached = qs_xcalloc((size_t)m->n_block, sizeof(*w.reached));
    enum qs_err err = reach(cx, &w, 0, 0);
    if (!err && w.n > 0)
        err = refuse(cx, &w);
    if (!reached)
        free(w.reached);
    free(w.missing);
    return err;
}

/* ---- inputs ---- */

enum qs_err
qs_check_inputs(struct qs_ctx *cx, const struct qs_model *m, const struct qs_value *in, int n)
{
    const int n_in = qs_model_inputs(m, NULL, 0);
    int32_t *var = qs_xcalloc((size_t)n_in + 1, sizeof(*var));
    enum qs_err err = QS_OK;
    qs_model_inputs(m, var, n_in);
    if (n != n_in)
        err = qs_fail(cx, QS_ERR_USAGE, _("the model has %d inputs, %d were given"), n_in, n);
    for (int i = 0; i < n && !err; i++) {
        const struct qs_var *v = &m->var[var[i]];
        const char *type = qs_dtype_name(v->dtype);
        if (!in[i].data)
            err = qs_fail(cx, QS_ERR_USAGE, _("input '%s' is not given"), v->name);
        else if (v->dtype >= 0 && in[i].dtype != v->dtype)
            err = qs_fail(cx, QS_ERR_FORMAT, _("input '%s' is of type %s, the model takes %s"),
                          v->name, qs_dtype_name(in[i].dtype), type ? type : "?");
    }
    free(var);
    return err;
}
