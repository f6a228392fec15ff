/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/put_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/quant_ops.h"

static void
start(struct qs_put *p, struct qs_ctx *cx, struct qs_model *m, const struct qs_static_notes *notes,
      const struct qs_put_options *opt)
{
    const size_t n_var = (size_t)m->n_var + 1;
    *p = (struct qs_put){.cx = cx, .m = m, .notes = notes, .opt = opt, .n_var = m->n_var};
    p->before = qs_model_clone(m);
    p->edges = qs_edges_new(p->before);
    p->alias = qs_xmalloc(n_var * sizeof(*p->alias));
    p->version = qs_xcalloc(n_var, sizeof(*p->version));
    p->range_of = qs_xmalloc(n_var * sizeof(*p->range_of));
    p->act = qs_xcalloc(2 * (size_t)notes->n_act + 1, sizeof(*p->act));
    p->weight = qs_xcalloc((size_t)notes->n_weight + 1, sizeof(*p->weight));
    for (int v = 0; v < m->n_var; v++) {
        p->alias[v] = v;
        p->range_of[v] = -1;
    }
    for (int i = 0; i < 2 * notes->n_act; i++)
        p->act[i].rounded = p->act[i].scale = -1;
    for (int i = notes->n_act - 1; i >= 0; i--)
        p->range_of[notes->act[i].var] = i;
    for (int i = 0; i < notes->n_weight; i++)
        p->weight[i] = -1;
}

static enum qs_err
finish(struct qs_put *p, enum qs_err err)
{
    struct qs_block *b = &p->m->block[0];
    if (!err) {
        b->node = (struct qs_node *)(void *)qs_arena_memdup(&p->m->arena, p->node,
                                                            (size_t)p->n_node * sizeof(*p->node));
        b->n_node = p->n_node;
        qs_model_index(p->m);
    }
    qs_edges_free(p->edges);
    qs_model_unref(p->before);
    free(p->node);
    free(p->alias);
    free(p->version);
    free(p->range_of);
    free(p->act);
    free(p->weight);
    return err;
}

/* An operator that is not in the notes must not read a weight of theirs. */
static enum qs_err
check_readers(const struct qs_put *p)
{
    for (int i = 0; i < p->notes->n_weight; i++) {
        const int32_t var = p->notes->weight[i].var;
        for (int k = 0; k < p->edges->n_reader[var]; k++) {
            const struct qs_ref r = p->edges->reader[var][k];
            const int at = r.block == 0 ? qs_static_find_node(p->notes, r.node) : -1;
            if (at < 0 || p->notes->node[at].weight != i)
                return qs_fail(p->cx, QS_ERR_UNSUPPORTED,
                               _("weight '%s' is also read by an operator that is not quantized"),
                               p->m->var[var].name);
        }
    }
    return QS_OK;
}

enum qs_err
qs_put_all(struct qs_ctx *cx, struct qs_model *m, const struct qs_static_notes *notes,
           const struct qs_put_options *opt, enum qs_err (*put)(struct qs_put *p, int i))
{
    struct qs_put p;
    start(&p, cx, m, notes, opt);
    enum qs_err err = check_readers(&p);
    for (int i = 0; i < p.before->block[0].n_node && !err; i++)
        err = put(&p, i);
    return finish(&p, err);
}

/* Nodes */

static struct qs_node *
append(struct qs_put *p, const struct qs_node *node)
{
    if (p->n_node == p->cap_node) {
        p->cap_node = p->cap_node ? 2 * p->cap_node : 256;
        p->node = qs_xrealloc(p->node, (size_t)p->cap_node * sizeof(*p->node));
    }
    p->node[p->n_node] = *node;
    return &p->node[p->n_node++];
}

struct qs_node *
qs_put_node(struct qs_put *p, int i)
{
    return append(p, &p->before->block[0].node[i]);
}

struct qs_node *
qs_put_new(struct qs_put *p, const char *type)
{
    struct qs_node *node = append(p, &(struct qs_node){.is_target = -1});
    qs_node_set_type(p->m, node, type);
    qs_node_set_int(p->m, node, "op_role", 0);
    return node;
}

void
qs_put_slot(struct qs_put *p, struct qs_node *node, bool out, const char *slot, int32_t var)
{
    if (out)
        qs_node_set_out(p->m, node, slot, &var, 1);
    else
        qs_node_set_in(p->m, node, slot, &var, 1);
}

/* Variables */

static bool
is_taken(const struct qs_put *p, const char *name)
{
    const int32_t old = qs_model_find_var(p->before, 0, name);
    if (old >= 0 && p->m->var[old].declared)
        return true;
    for (int v = p->n_var; v < p->m->n_var; v++)
        if (strcmp(p->m->var[v].name, name) == 0)
            return true;
    return false;
}

/* A variable of that name that was taken off the list of the block comes back; -1: there is none.
 */
static int32_t
old_var(struct qs_put *p, const char *name)
{
    const int32_t id = qs_model_find_var(p->before, 0, name);
    if (id < 0 || p->before->var[id].block != 0)
        return -1;
    struct qs_var *v = &p->m->var[id];
    if (v->data)
        qs_buf_unref(v->data->buf);
    *v = (struct qs_var){.name = v->name,
                         .container = QS_LOD_TENSOR,
                         .dtype = QS_DTYPE_float32,
                         .n_dims = -1,
                         .need_check_feed = -1,
                         .is_parameter = -1,
                         .stop_gradient = -1};
    return id;
}

static int32_t
new_var(struct qs_put *p, const char *wanted)
{
    char *name = qs_xstrdup(wanted);
    for (int k = 1; is_taken(p, name); k++) {
        free(name);
        name = qs_xasprintf("%s_%d", wanted, k);
    }
    int32_t id = old_var(p, name);
    if (id < 0)
        id = qs_model_add_var(p->m, 0, name);
    struct qs_var *v = &p->m->var[id];
    v->persistable = 0;
    v->has_lod_level = 1;
    qs_model_declare(p->m, id);
    free(name);
    return id;
}

static int32_t
new_var_of(struct qs_put *p, int32_t var, const char *suffix)
{
    char *name = qs_xasprintf("%s%s", p->m->var[var].name, suffix);
    const int32_t id = new_var(p, name);
    free(name);
    return id;
}

int32_t
qs_put_var(struct qs_put *p, int32_t like, const char *suffix)
{
    const int32_t id = new_var_of(p, like, suffix);
    struct qs_var *v = &p->m->var[id];
    const struct qs_var *from = &p->m->var[like];
    v->n_dims = from->n_dims;
    v->dims = from->dims;
    v->lod_level = from->lod_level;
    return id;
}

static enum qs_err
fill_param(struct qs_put *p, int32_t id, const double *values, int64_t n, int n_dims)
{
    const int64_t dims[] = {n_dims == 2 ? 1 : n, n};
    const int32_t dtype = values ? QS_DTYPE_float32 : QS_DTYPE_int32;
    struct qs_var *v = &p->m->var[id];
    struct qs_buf *b = NULL;
    const enum qs_err err = qs_buf_new(p->cx, (size_t)n * sizeof(float), &b);
    if (err)
        return err;
    memset(b->data, 0, (size_t)n * sizeof(float));
    for (int64_t i = 0; i < n && values; i++)
        ((float *)(void *)b->data)[i] = (float)values[i];
    v->persistable = 1;
    v->dtype = dtype;
    v->n_dims = 1;
    v->dims = (const int64_t *)qs_arena_memdup(&p->m->arena, &n, sizeof(n));
    qs_model_set_data(p->m, id, dtype, n_dims, dims, b, 0);
    return QS_OK;
}

enum qs_err
qs_put_param(struct qs_put *p, const char *name, const double *values, int64_t n, int n_dims,
             int32_t *out)
{
    *out = new_var(p, name);
    return fill_param(p, *out, values, n, n_dims);
}

enum qs_err
qs_put_param_of(struct qs_put *p, int32_t var, const char *suffix, const double *values, int64_t n,
                int n_dims, int32_t *out)
{
    *out = new_var_of(p, var, suffix);
    return fill_param(p, *out, values, n, n_dims);
}

double
qs_put_threshold(const struct qs_put *p, double t)
{
    return p->opt->paddle || t >= 1e-8 ? t : 1e-8;
}

double *
qs_put_thresholds(const struct qs_put *p, const struct qs_quant_weight *w)
{
    double *v = qs_xcalloc((size_t)w->n_scales, sizeof(*v));
    for (int64_t c = 0; c < w->n_scales; c++)
        v[c] = qs_put_threshold(p, w->threshold[c]);
    return v;
}

/* Who reads what */

static bool
rounds(const struct qs_put *p, const struct qs_quant_node *q, int32_t var, int *act)
{
    for (int i = 0; q && i < q->n_all; i++)
        if (p->notes->act[q->all[i]].var == var) {
            *act = q->all[i];
            return true;
        }
    return false;
}

static int32_t
name_of_input(const struct qs_put *p, const struct qs_quant_node *q, int shift, int32_t var,
              bool use_alias)
{
    int act;
    if (q && q->weight >= 0 && p->notes->weight[q->weight].var == var && p->weight[q->weight] >= 0)
        return p->weight[q->weight];
    if (rounds(p, q, var, &act))
        return p->act[shift + act].rounded;
    return use_alias ? p->alias[var] : var;
}

void
qs_put_rename(struct qs_put *p, struct qs_node *node, const struct qs_quant_node *q, int shift,
              const char *names)
{
    for (int s = 0; s < node->n_in; s++) {
        const struct qs_slot slot = node->in[s];
        int32_t *var = qs_xmalloc((size_t)slot.n * sizeof(*var) + 1);
        bool changed = false;
        for (int i = 0; i < slot.n; i++) {
            var[i] = name_of_input(p, q, shift, slot.var[i],
                                   !names || qs_quant_op_has(names, slot.name));
            changed = changed || var[i] != slot.var[i];
        }
        if (changed)
            qs_node_set_in(p->m, node, slot.name, var, slot.n);
        free(var);
    }
}

void
qs_put_written(struct qs_put *p, const struct qs_node *node)
{
    for (int s = 0; s < node->n_out; s++)
        for (int i = 0; i < node->out[s].n; i++) {
            const int32_t v = node->out[s].var[i];
            p->version[v]++;
            p->alias[v] = v;
        }
}

bool
qs_put_plain_reader(const struct qs_put *p, int i, int32_t var)
{
    for (int k = 0; k < p->edges->n_reader[var]; k++) {
        const struct qs_ref r = p->edges->reader[var][k];
        if (r.block != 0 || r.node <= i)
            continue;
        const struct qs_node *node = &p->before->block[0].node[r.node];
        const struct qs_quant_op *op = qs_quant_op_find(node->type);
        const int at = qs_static_find_node(p->notes, r.node);
        int act;
        if (op && !rounds(p, at < 0 ? NULL : &p->notes->node[at], var, &act) &&
            qs_quant_op_reads(op, node, var))
            return true;
    }
    return false;
}

const struct qs_quant_act *
qs_put_range(const struct qs_put *p, int32_t var)
{
    const int at = var < p->n_var ? p->range_of[var] : -1;
    return at < 0 ? NULL : &p->notes->act[at];
}
