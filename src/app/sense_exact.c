/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scan for models that the fast engine cannot run: each task is a pair of whole models in the
 * exact engine that goes through all samples.
 *
 *   rank       for each variant: the model with a second, rounded copy of every layer beside it
 *              that reads the same input; and the model with all layers rounded
 *   evaluate   for each chosen layer and variant: the model as it is, and with this layer alone
 *              rounded (or all others)
 */
#include <stdlib.h>
#include <string.h>

#include "app/sense.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "engine/exec.h"

struct task {
    int layer; /* -1: rank */
    int variant;
    bool others;
};

struct exact {
    struct scan *s;
    struct qs_model *model; /* runnable form */
    struct qs_model *clean_model, *tried_model;
    struct qs_exec *clean, *tried;
    struct task now;
    struct qs_inputs in;
    struct sense_measure measure;
    double *add;
    int32_t *layer_of;    /* [n_var of clean_model] rank: layer whose output this is, or -1 */
    int32_t *twin_of;     /* [the same] layer whose rounded output this is, or -1 */
    struct qs_value made; /* own copy of the last layer's output */
};

/* ---- models ---- */

static int32_t
new_var(struct qs_model *m, const char *name, const char *what, int number)
{
    char *text = qs_xasprintf("%s@%s.%d", name, what, number);
    const int32_t id = qs_model_add_var(m, 0, text);
    free(text);
    return id;
}

/* A pair of nodes before node `at` that rounds a variable; returns what the second makes. */
static int32_t
add_rounding(struct qs_ctx *cx, struct qs_model *m, int at, int32_t x, float threshold, int bits,
             enum qs_err *err)
{
    const char *name = m->var[x].name;
    const int32_t scale = new_var(m, name, "scale", at);
    const int32_t q = new_var(m, name, "rounded", at), dq = new_var(m, name, "input", at);
    const int64_t one = 1;
    struct qs_buf *buf = NULL;
    *err = qs_buf_new(cx, sizeof(float), &buf);
    if (*err)
        return x;
    memcpy(buf->data, &threshold, sizeof(threshold));
    m->var[scale].persistable = 1;
    qs_model_set_data(m, scale, QS_DTYPE_float32, 1, &one, buf, 0);
    static const char *const type[] = {"quantize_linear", "dequantize_linear"};
    const int32_t from[] = {x, q}, to[] = {q, dq};
    struct qs_node *node = qs_block_insert(m, 0, at, 2);
    for (int i = 0; i < 2; i++) {
        qs_node_set_type(m, &node[i], type[i]);
        qs_node_set_in(m, &node[i], "X", &from[i], 1);
        qs_node_set_in(m, &node[i], "Scale", &scale, 1);
        qs_node_set_out(m, &node[i], "Y", &to[i], 1);
        qs_node_set_int(m, &node[i], "bit_length", bits);
        qs_node_set_int(m, &node[i], "quant_axis", -1);
    }
    return dq;
}

/* Replaces a variable in the inputs of a node. */
static void
replace_input(struct qs_model *m, struct qs_node *node, int32_t old, int32_t new)
{
    for (int i = 0; i < node->n_in; i++)
        for (int k = 0; k < node->in[i].n; k++)
            if (node->in[i].var[k] == old) {
                int32_t *var = qs_xmalloc((size_t)node->in[i].n * sizeof(*var));
                memcpy(var, node->in[i].var, (size_t)node->in[i].n * sizeof(*var));
                var[k] = new;
                qs_node_set_in(m, node, node->in[i].name, var, node->in[i].n);
                free(var);
            }
}

static int32_t
rounded_weight(const struct scan *s, struct qs_model *m, const struct sense_layer *l, int b, int at)
{
    const struct qs_tensor *t = s->o->model->var[l->layer->var].data;
    const int32_t w = new_var(m, m->var[l->layer->var].name, "weight", at);
    m->var[w].persistable = 1;
    qs_model_set_data(m, w, QS_DTYPE_float32, t->n_dims, t->dims, qs_buf_ref(l->rounded[b]), 0);
    return w;
}

/* Rounds what node k reads, at place `at` of the program; later nodes move. */
static enum qs_err
round_node(struct qs_ctx *cx, const struct scan *s, struct qs_model *m, int k, int at,
           const struct sense_variant *v)
{
    const struct sense_node *n = &s->node[k];
    const struct sense_layer *l = &s->layer[n->layer];
    enum qs_err err = QS_OK;
    if (v->mode != QS_SENSE_ACTIVATIONS)
        replace_input(m, &m->block[0].node[at], l->layer->var, rounded_weight(s, m, l, v->b, at));
    if (v->mode == QS_SENSE_WEIGHTS)
        return QS_OK;
    const int32_t x = add_rounding(cx, m, at, n->input, n->threshold[v->b], s->bits[v->b], &err);
    replace_input(m, &m->block[0].node[at + 2], n->input, x);
    return err;
}

/* The variant of a layer in the tried model; -1: as it is. */
static int
variant_of(const struct scan *s, const struct task *t, int layer)
{
    if (s->at.phase == SENSE_TRY)
        return s->config[layer] - 1;
    return t->layer < 0 || (layer == t->layer) != t->others ? t->variant : -1;
}

static enum qs_err
make_rounded(struct qs_ctx *cx, struct exact *e, const struct task *t, struct qs_model **out)
{
    const struct scan *s = e->s;
    struct qs_model *m = qs_model_clone(e->model);
    enum qs_err err = QS_OK;
    int at = -1; /* of node k; those of one node with several weights come one after the other */
    for (int k = s->n_node - 1; k >= 0 && !err; k--) {
        const int v = variant_of(s, t, s->node[k].layer), n = m->block[0].n_node;
        if (k == s->n_node - 1 || s->node[k].node != s->node[k + 1].node)
            at = s->node[k].node;
        if (v >= 0)
            err = round_node(cx, s, m, k, at, &s->variant[v]);
        at += m->block[0].n_node - n;
    }
    qs_model_index(m);
    *out = m;
    return err;
}

/* The output that counts of operators with side outputs, or the first; -1. */
static int32_t
main_output(const struct qs_node *node)
{
    static const char *const slot[] = {"Out", "Hidden"};
    for (size_t i = 0; i < QS_LEN(slot); i++)
        if (qs_node_output(node, slot[i], 0) >= 0)
            return qs_node_output(node, slot[i], 0);
    return node->n_out > 0 && node->out[0].n > 0 ? node->out[0].var[0] : -1;
}

/* Outputs of a twin get variables of their own; returns the one that counts. */
static int32_t
rename_outputs(struct qs_model *m, struct qs_node *node, int at)
{
    for (int i = 0; i < node->n_out; i++) {
        const struct qs_slot *slot = &node->out[i];
        int32_t *var = qs_xmalloc((size_t)(slot->n + 1) * sizeof(*var));
        for (int k = 0; k < slot->n; k++)
            var[k] = new_var(m, m->var[slot->var[k]].name, "twin", at);
        qs_node_set_out(m, node, slot->name, var, slot->n);
        free(var);
    }
    return main_output(node);
}

/* The model with a rounded twin behind every layer. */
static enum qs_err
make_twins(struct qs_ctx *cx, struct exact *e, int variant, struct qs_model **out)
{
    const struct scan *s = e->s;
    struct qs_model *m = qs_model_clone(e->model);
    int32_t *twin = qs_xcalloc((size_t)s->n_node, sizeof(*twin));
    enum qs_err err = QS_OK;
    for (int k = s->n_node - 1; k >= 0 && !err; k--) {
        const int at = s->node[k].node + 1;
        struct qs_node *node = qs_block_insert(m, 0, at, 1);
        *node = node[-1];
        twin[k] = rename_outputs(m, &m->block[0].node[at], at);
        err = round_node(cx, s, m, k, at, &s->variant[variant]);
    }
    qs_model_index(m);
    e->layer_of = qs_xcalloc((size_t)m->n_var, sizeof(*e->layer_of));
    e->twin_of = qs_xcalloc((size_t)m->n_var, sizeof(*e->twin_of));
    memset(e->layer_of, -1, (size_t)m->n_var * sizeof(*e->layer_of));
    memset(e->twin_of, -1, (size_t)m->n_var * sizeof(*e->twin_of));
    for (int k = 0; k < s->n_node; k++) {
        const struct qs_node *node = &s->o->model->block[0].node[s->node[k].node];
        if (twin[k] < 0)
            continue;
        e->twin_of[twin[k]] = s->node[k].layer;
        e->layer_of[main_output(node)] = s->node[k].layer;
    }
    free(twin);
    *out = m;
    return err;
}

/* ---- tasks ---- */

static int
n_tasks(const struct scan *s)
{
    int n = 0;
    for (int i = 0; i < s->n_layer; i++)
        n += s->layer[i].chosen;
    return s->at.phase == SENSE_RANK       ? s->n_variant
           : s->at.phase == SENSE_EVALUATE ? n * s->n_variant * (1 + s->choices.others)
                                           : 1;
}

static struct task
task_at(const struct scan *s, int64_t number)
{
    const int kinds = s->choices.others ? 2 : 1;
    if (s->at.phase != SENSE_EVALUATE)
        return (struct task){-1, (int)number, false};
    int64_t left = number / kinds / s->n_variant;
    int i = 0;
    while (!s->layer[i].chosen || left-- > 0)
        i++;
    return (struct task){i, (int)(number / kinds % s->n_variant), number % kinds == 1};
}

static void
end_task(struct exact *e)
{
    qs_exec_free(e->clean);
    qs_exec_free(e->tried);
    qs_model_unref(e->clean_model);
    qs_model_unref(e->tried_model);
    free(e->layer_of);
    free(e->twin_of);
    e->clean = e->tried = NULL;
    e->clean_model = e->tried_model = NULL;
    e->layer_of = e->twin_of = NULL;
}

static enum qs_err
begin_task(struct qs_ctx *cx, struct exact *e, int64_t number)
{
    e->now = task_at(e->s, number);
    const bool twins = e->s->at.phase == SENSE_RANK;
    enum qs_err err = twins ? make_twins(cx, e, e->now.variant, &e->clean_model) : QS_OK;
    if (!twins)
        e->clean_model = qs_model_ref(e->model);
    if (!err)
        err = make_rounded(cx, e, &e->now, &e->tried_model);
    if (!err)
        err = qs_exec_new(cx, e->clean_model, &e->clean);
    if (!err)
        err = qs_exec_new(cx, e->tried_model, &e->tried);
    return err;
}

/* ---- samples ---- */

/* A layer's output is kept until that of its twin, right behind it, is there. */
static enum qs_err
made(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    struct exact *e = arg;
    (void)cx;
    (void)node;
    if (e->layer_of[var] >= 0 && v->dtype == QS_DTYPE_float32) {
        free(e->made.data);
        e->made = *v;
        e->made.data = memcpy(qs_xmalloc((size_t)v->count * sizeof(float) + 1), v->data,
                              (size_t)v->count * sizeof(float));
    }
    if (e->twin_of[var] >= 0 && e->made.data) {
        double *row = qs_sense_row(e->s, e->add, e->twin_of[var], e->now.variant);
        qs_sense_energies(v, &e->made, &row[SUM_SIGNAL], &row[SUM_NOISE]);
    }
    return QS_OK;
}

static void
outputs(const struct qs_exec *e, struct qs_value out[2])
{
    out[0] = *qs_exec_out(e, 0);
    out[1] = *qs_exec_out(e, qs_exec_n_out(e) - 1);
}

static enum qs_err
measure(struct qs_ctx *cx, struct exact *e, const struct qs_sample *sample)
{
    const struct task *t = &e->now;
    struct qs_value clean[2], tried[2];
    double ignored = 0, *ab, *cosine, *base = NULL;
    outputs(e->clean, clean);
    outputs(e->tried, tried);
    if (t->layer >= 0) {
        double *row = qs_sense_row(e->s, e->add, t->layer, t->variant);
        ab = t->others ? &row[SUM_OTHERS_A] : &row[SUM_A];
        cosine = t->others ? &ignored : &row[SUM_COSINE];
        base = t->others ? NULL : &row[SUM_CLEAN_A];
        row[SUM_COUNT] += !t->others;
    } else {
        ab = qs_sense_all(e->s, e->add, t->variant);
        cosine = ab + 2;
        base = t->variant > 0 ? NULL : qs_sense_base(e->s, e->add);
        if (base)
            base[2] += 1;
    }
    enum qs_err err = qs_sense_measure_sample(cx, &e->measure, sample, tried, clean, ab, cosine);
    if (err || !base)
        return err;
    return qs_sense_measure_sample(cx, &e->measure, sample, clean, clean, base, &ignored);
}

static enum qs_err
run_sample(struct qs_ctx *cx, struct exact *e, struct qs_sample *sample)
{
    const struct qs_watch watch = {made, e};
    memset(e->add, 0, (size_t)e->s->n_sum * sizeof(*e->add));
    enum qs_err err = qs_inputs_bind(cx, &e->in, &sample, 1);
    if (!err)
        err = qs_exec_run(cx, e->clean, e->in.value, e->in.n, e->layer_of ? &watch : NULL);
    if (!err)
        err = qs_exec_run(cx, e->tried, e->in.value, e->in.n, NULL);
    if (!err)
        err = measure(cx, e, sample);
    qs_inputs_drop(&e->in);
    return err && err != QS_ERR_CANCELLED
               ? qs_prefix(cx, _("cannot run on sample '%s'"), e->s->data->name[sample->i])
               : err;
}

static enum qs_err
run_task(struct qs_ctx *cx, struct exact *e)
{
    struct scan *s = e->s;
    struct qs_sample *sample = NULL;
    enum qs_err err = begin_task(cx, e, s->at.task);
    qs_dataset_seek(s->data, s->at.sample);
    while (!err && !(err = qs_sense_next(cx, s, &sample)) && sample) {
        err = run_sample(cx, e, sample);
        if (!err)
            qs_sense_commit(cx, s, &e->add, 1, sample->i);
        qs_progress(cx, qs_sense_phase_text(s), s->at.task * s->data->n + s->at.sample,
                    s->tasks * s->data->n);
        qs_sample_free(sample);
    }
    end_task(e);
    s->told = s->told || !err;
    return err;
}

enum qs_err
qs_sense_exact(struct qs_ctx *cx, struct scan *s)
{
    struct exact e = {.s = s};
    enum qs_err err = qs_app_runnable(cx, s->o, &e.model);
    qs_inputs_init(&e.in, s->o);
    e.add = qs_xcalloc((size_t)s->n_sum, sizeof(*e.add));
    if (!err)
        err = qs_sense_measure_init(cx, s, &e.measure);
    s->tasks = n_tasks(s);
    while (!err && s->at.task < s->tasks) {
        err = run_task(cx, &e);
        if (!err) {
            s->at.task++;
            s->at.sample = 0;
        }
    }
    qs_sense_measure_release(&e.measure);
    qs_inputs_release(&e.in);
    free(e.add);
    free(e.made.data);
    qs_model_unref(e.model);
    return err;
}
