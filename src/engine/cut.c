/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cut.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/check.h"
#include "model/shape.h"

/* ---- which nodes ---- */

static void
own_block(struct qs_cut *c, int64_t block, int32_t node)
{
    const struct qs_block *b = &c->m->block[block];
    c->owner[block] = node;
    for (int32_t i = 0; i < b->n_node; i++) {
        const int64_t sub = qs_node_sub_block(c->m, &b->node[i]);
        if (sub > 0 && c->owner[sub] < 0)
            own_block(c, sub, node);
    }
}

struct qs_cut *
qs_cut_new(const struct qs_model *m)
{
    struct qs_cut *c = qs_xcalloc(1, sizeof(*c));
    const struct qs_block *b = &m->block[0];
    c->m = m;
    c->edges = qs_edges_new(m);
    c->owner = qs_xmalloc((size_t)m->n_block * sizeof(*c->owner));
    for (int i = 0; i < m->n_block; i++)
        c->owner[i] = -1;
    for (int32_t i = 0; i < b->n_node; i++) {
        const int64_t sub = qs_node_sub_block(m, &b->node[i]);
        if (sub > 0)
            own_block(c, sub, i);
    }
    c->left = qs_xcalloc((size_t)b->n_node + 1, sizeof(*c->left));
    return c;
}

static void
drop_parts(struct qs_cut *c)
{
    qs_model_unref(c->first);
    qs_model_unref(c->rest);
    free(c->first_node);
    free(c->rest_node);
    free(c->in);
    free(c->out);
    c->first = c->rest = NULL;
    c->first_node = c->rest_node = NULL;
    c->in = c->out = NULL;
}

void
qs_cut_free(struct qs_cut *c)
{
    if (!c)
        return;
    drop_parts(c);
    qs_edges_free(c->edges);
    free(c->owner);
    free(c->left);
    free(c);
}

/* The node of block 0 that a reader or writer is or belongs to; -1: none that runs. */
static int32_t
runs_in(const struct qs_cut *c, struct qs_ref ref)
{
    return ref.block == 0 ? ref.node : c->owner[ref.block];
}

static const struct qs_node *
node_at(const struct qs_cut *c, int32_t node)
{
    return &c->m->block[0].node[node];
}

static bool
is_left(const struct qs_cut *c, struct qs_ref ref)
{
    const int32_t node = runs_in(c, ref);
    return node >= 0 && c->left[node];
}

static bool
any_left(const struct qs_cut *c, const struct qs_ref *ref, int n)
{
    for (int i = 0; i < n; i++)
        if (is_left(c, ref[i]))
            return true;
    return false;
}

static bool
leave_all(struct qs_cut *c, const struct qs_ref *ref, int n)
{
    bool grown = false;
    for (int i = 0; i < n; i++) {
        const int32_t node = runs_in(c, ref[i]);
        if (node < 0 || c->left[node] || qs_node_is_port(node_at(c, node)))
            continue;
        c->left[node] = grown = true;
    }
    return grown;
}

/* Leaves what must go with the users of a variable; true when that was something new. */
static bool
follow(struct qs_cut *c, int32_t var)
{
    const struct qs_edges *e = c->edges;
    bool written = any_left(c, e->writer[var], e->n_writer[var]), grown = false;
    if (e->n_writer[var] + (c->m->var[var].data != NULL) > 1 &&
        (written || any_left(c, e->reader[var], e->n_reader[var]))) {
        grown = leave_all(c, e->writer[var], e->n_writer[var]);
        written = any_left(c, e->writer[var], e->n_writer[var]);
    }
    return (written && leave_all(c, e->reader[var], e->n_reader[var])) || grown;
}

static bool
pays(const struct qs_cut *c)
{
    const struct qs_block *b = &c->m->block[0];
    for (int32_t i = 0; i < b->n_node; i++)
        if (!c->left[i] && b->node[i].op && b->node[i].op->macs)
            return true;
    return false;
}

bool
qs_cut_leave(struct qs_cut *c, int32_t node)
{
    bool grown = true;
    if (node < 0 || c->left[node] || qs_node_is_port(node_at(c, node)))
        return false;
    drop_parts(c);
    c->left[node] = true;
    while (grown) {
        grown = false;
        for (int32_t v = 0; v < c->m->n_var; v++)
            grown |= follow(c, v);
    }
    return pays(c);
}

/* ---- the parts ---- */

/* Whether a node of the rest writes the variable. */
static bool
is_made_by_rest(const struct qs_cut *c, int32_t var)
{
    return any_left(c, c->edges->writer[var], c->edges->n_writer[var]);
}

static bool
is_port_of_rest(const struct qs_cut *c, const struct qs_node *node)
{
    return strcmp(node->type, "fetch") == 0 && qs_node_input(node, "X", 0) >= 0 &&
           is_made_by_rest(c, qs_node_input(node, "X", 0));
}

/* Whether something else than a node of the rest writes it: a feed or a node of the first part. */
static bool
is_given(const struct qs_cut *c, int32_t var)
{
    const struct qs_edges *e = c->edges;
    for (int i = 0; i < e->n_writer[var]; i++)
        if (runs_in(c, e->writer[var][i]) >= 0 && !is_left(c, e->writer[var][i]))
            return true;
    return false;
}

static int
index_of(const int32_t *list, int n, int32_t var)
{
    int i = 0;
    while (i < n && list[i] != var)
        i++;
    return i < n ? i : -1;
}

/* Ports of a model, the caller's. */
static int32_t *
ports_of(const struct qs_model *m, int (*list)(const struct qs_model *m, int32_t *out, int most),
         int *n)
{
    *n = list(m, NULL, 0);
    int32_t *var = qs_xcalloc((size_t)*n + 1, sizeof(*var));
    list(m, var, *n);
    return var;
}

/* A clone without the nodes of the other part, with new ports of var[n] before the others or behind
 * them; *number is the caller's. */
static struct qs_model *
make_part(const struct qs_cut *c, bool rest, const int32_t *var, int n, int32_t **number)
{
    struct qs_model *part = qs_model_clone(c->m);
    const int32_t n_node = c->m->block[0].n_node;
    bool *gone = qs_xcalloc((size_t)n_node + 1, sizeof(*gone));
    int32_t *at = qs_xmalloc(((size_t)n_node + (size_t)n + 1) * sizeof(*at));
    int k = 0;
    for (int32_t i = 0; i < n_node; i++) {
        gone[i] = (c->left[i] || is_port_of_rest(c, node_at(c, i))) != rest;
        if (!gone[i])
            at[k++] = i;
    }
    qs_block_remove(part, 0, gone);
    const int first = rest ? 0 : k;
    struct qs_node *port = qs_block_insert(part, 0, first, n);
    memmove(at + first + n, at + first, (size_t)(k - first) * sizeof(*at));
    for (int i = 0; i < n; i++) {
        at[first + i] = -1;
        qs_node_set_type(part, &port[i], rest ? "feed" : "fetch");
        (rest ? qs_node_set_out : qs_node_set_in)(part, &port[i], rest ? "Out" : "X", &var[i], 1);
        qs_node_set_int(part, &port[i], "col", i);
    }
    free(gone);
    *number = at;
    return part;
}

/* Who gives what the rest reads, and the outputs of the model. */
static void
find_ports(struct qs_cut *c)
{
    int n_given, n_first, n_rest;
    int32_t *given = ports_of(c->m, qs_model_inputs, &n_given);
    int32_t *first = ports_of(c->first, qs_model_outputs, &n_first);
    int32_t *rest = ports_of(c->rest, qs_model_outputs, &n_rest);
    int32_t *in = ports_of(c->rest, qs_model_inputs, &c->n_in);
    int32_t *out = ports_of(c->m, qs_model_outputs, &c->n_out);
    c->in = qs_xcalloc((size_t)c->n_in + 1, sizeof(*c->in));
    c->out = qs_xcalloc((size_t)c->n_out + 1, sizeof(*c->out));
    for (int i = 0; i < c->n_in; i++) {
        const int k = index_of(given, n_given, in[i]);
        c->in[i] = (struct qs_cut_port){k < 0, k >= 0 ? k : index_of(first, n_first, in[i])};
        c->rest->var[in[i]].dtype = -1; /* that of the value */
    }
    for (int i = 0; i < c->n_out; i++) {
        const bool made = is_made_by_rest(c, out[i]);
        c->out[i] = (struct qs_cut_port){!made, made ? index_of(rest, n_rest, out[i])
                                                     : index_of(first, n_first, out[i])};
    }
    free(given);
    free(first);
    free(rest);
    free(in);
    free(out);
}

void
qs_cut_make(struct qs_cut *c)
{
    const struct qs_edges *e = c->edges;
    int32_t *read = qs_xcalloc((size_t)c->m->n_var + 1, sizeof(*read));
    int32_t *kept = qs_xcalloc((size_t)c->m->n_var + 1, sizeof(*kept));
    int n_read = 0, n_kept = 0, n_in, n_out;
    int32_t *in = ports_of(c->m, qs_model_inputs, &n_in);
    int32_t *out = ports_of(c->m, qs_model_outputs, &n_out);
    for (int32_t v = 0; v < c->m->n_var; v++) {
        if (!any_left(c, e->reader[v], e->n_reader[v]) || !is_given(c, v))
            continue;
        read[n_read++] = v;
        if (index_of(in, n_in, v) < 0 && index_of(out, n_out, v) < 0)
            kept[n_kept++] = v;
    }
    drop_parts(c);
    c->first = make_part(c, false, kept, n_kept, &c->first_node);
    c->rest = make_part(c, true, read, n_read, &c->rest_node);
    find_ports(c);
    free(read);
    free(kept);
    free(in);
    free(out);
}

bool
qs_cut_retry(struct qs_cut **c, const struct qs_model *m, int32_t refused)
{
    const int32_t node = refused < 0 || !*c ? refused : (*c)->first_node[refused];
    if (!*c)
        *c = qs_cut_new(m);
    if (qs_cut_leave(*c, node)) {
        qs_cut_make(*c);
        return true;
    }
    qs_cut_free(*c);
    *c = NULL;
    return false;
}

int32_t
qs_cut_find(const struct qs_cut *c, int32_t node)
{
    for (int32_t i = 0; i < c->first->block[0].n_node; i++)
        if (c->first_node[i] == node)
            return i;
    return -1;
}

/* What a noted port rounds stays so for all that follows in the first part. */
static bool
is_noted_for_both(const struct qs_cut *c, int32_t node)
{
    const int32_t var = qs_node_input(node_at(c, node), "X", 0);
    return qs_node_is_port(node_at(c, node)) && var >= 0 &&
           any_left(c, c->edges->reader[var], c->edges->n_reader[var]);
}

bool
qs_cut_notes(const struct qs_cut *c, const struct qs_static_notes *from,
             struct qs_static_notes *out)
{
    *out = *from;
    out->node = qs_xcalloc((size_t)from->n_node + 1, sizeof(*out->node));
    for (int i = 0; i < from->n_node; i++) {
        out->node[i] = from->node[i];
        out->node[i].node = qs_cut_find(c, from->node[i].node);
        if (out->node[i].node >= 0 && !is_noted_for_both(c, from->node[i].node))
            continue;
        free(out->node);
        out->node = NULL;
        return false;
    }
    return true;
}
