/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch norms behind convolutions become part of the convolution's filter and an addition, as
 * Paddle's conv_bn_fuse_pass and conv_eltwiseadd_bn_fuse_pass do
 * (framework/ir/conv_bn_fuse_pass.cc), in the same float32 steps: factor = g / sqrt(variance +
 * epsilon) filter[o] *= factor[o]         bias = (old bias - mean) * factor + beta The output keeps
 * the name of the batch norm's.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "passes/float_passes.h"

struct fold {
    struct qs_model *m;
    struct qs_edges *edges;
    struct qs_node *conv, *add, *bn; /* add NULL: the convolution has no bias of its own */
    int32_t bias_var;
    int64_t channels;
    const float *scale, *beta, *mean, *variance, *bias; /* [channels]; bias NULL */
    float *copy;                                        /* all of them, aligned */
};

/* A parameter of the batch norm: it may name its mean and variance as outputs too. */
static const float *
norm_param(const struct fold *f, int32_t var, float *copy)
{
    const struct qs_tensor *t = var >= 0 ? f->m->var[var].data : NULL;
    if (!t || t->dtype != QS_DTYPE_float32 || t->n != f->channels)
        return NULL;
    memcpy(copy, t->buf->data + t->offset, t->bytes);
    return copy;
}

/* Finds what follows the convolution: [addition of a bias,] batch norm. */
static bool
match(struct fold *f, struct qs_node *conv)
{
    const int32_t w = qs_node_input(conv, "Filter", 0), y = qs_node_output(conv, "Output", 0);
    const struct qs_tensor *filter = qs_float_param(f->m, f->edges, w, -1);
    struct qs_node *next = qs_only_reader(f->m, f->edges, y);
    if (!filter || !next || f->edges->n_reader[w] != 1 || qs_node_input(conv, "Bias", 0) >= 0)
        return false;
    f->conv = conv;
    f->channels = qs_conv_channels(conv, filter);
    f->bias_var = f->channels > 0 ? qs_bias_of(f->m, f->edges, next, y, f->channels) : -1;
    f->add = f->bias_var >= 0 ? next : NULL;
    f->bn = f->add ? qs_only_reader(f->m, f->edges, qs_node_output(next, "Out", 0)) : next;
    return f->channels > 0 && f->bn && qs_is_fixed_norm(f->bn);
}

/* Copies the parameters to aligned memory; false: one is missing or of another size. */
static bool
read_params(struct fold *f)
{
    const size_t n = (size_t)f->channels;
    f->copy = qs_xcalloc(5 * n, sizeof(float));
    f->scale = norm_param(f, qs_node_input(f->bn, "Scale", 0), f->copy);
    f->beta = norm_param(f, qs_node_input(f->bn, "Bias", 0), f->copy + n);
    f->mean = norm_param(f, qs_node_input(f->bn, "Mean", 0), f->copy + 2 * n);
    f->variance = norm_param(f, qs_node_input(f->bn, "Variance", 0), f->copy + 3 * n);
    f->bias = norm_param(f, f->bias_var, f->copy + 4 * n);
    return f->scale && f->beta && f->mean && f->variance;
}

static enum qs_err
fold_filter(struct qs_ctx *cx, struct fold *f, const float *factor)
{
    float *w;
    const int32_t var = qs_node_input(f->conv, "Filter", 0);
    const enum qs_err err = qs_own_data(cx, f->m, var, &w);
    const struct qs_tensor *t = f->m->var[var].data;
    for (int64_t i = 0; !err && i < t->n; i++)
        w[i] *= factor[qs_conv_channel_at(f->conv, t, i)];
    return err;
}

/* The new parameter with what is left of the batch norm. */
static enum qs_err
make_bias(struct qs_ctx *cx, struct fold *f, const float *factor, int number, int32_t *var)
{
    struct qs_buf *buf;
    char *name = qs_xasprintf("fuse_conv_bn/conv2d_eltwise_y_in/%d", number);
    const enum qs_err err = qs_buf_new(cx, (size_t)f->channels * sizeof(float), &buf);
    if (!err) {
        float *bias = (float *)(void *)buf->data;
        for (int64_t c = 0; c < f->channels; c++)
            bias[c] = ((f->bias ? f->bias[c] : 0.0f) - f->mean[c]) * factor[c] + f->beta[c];
        *var = qs_model_add_var(f->m, 0, name);
        struct qs_var *v = &f->m->var[*var];
        v->persistable = 1;
        v->has_lod_level = 1;
        v->n_dims = 1;
        v->dims = (const int64_t *)qs_arena_memdup(&f->m->arena, &f->channels, sizeof(f->channels));
        qs_model_declare(f->m, *var);
        qs_model_set_data(f->m, *var, QS_DTYPE_float32, 1, &f->channels, buf, 0);
    }
    free(name);
    return err;
}

/* The batch norm, or the addition before it, becomes the addition of `bias`. */
static void
relink(struct fold *f, int32_t bias, bool *gone)
{
    const struct qs_block *b = &f->m->block[0];
    const int32_t y = qs_node_output(f->bn, "Y", 0);
    const int32_t x = qs_node_output(f->conv, "Output", 0);
    struct qs_node *node = f->bn;
    if (f->add)
        gone[f->add - b->node] = true;
    *node = (struct qs_node){.is_target = node->is_target, .unknown = node->unknown};
    qs_node_set_type(f->m, node, "elementwise_add");
    qs_node_set_in(f->m, node, "X", &x, 1);
    qs_node_set_in(f->m, node, "Y", &bias, 1);
    qs_node_set_out(f->m, node, "Out", &y, 1);
    qs_node_set_int(f->m, node, "axis", 1);
}

static enum qs_err
fold_one(struct qs_ctx *cx, struct fold *f, int number, bool *gone, bool *done)
{
    enum qs_err err = QS_OK;
    *done = read_params(f);
    if (*done) {
        const float epsilon = (float)qs_attr_float(f->bn, "epsilon", 1e-5);
        float *factor = qs_xcalloc((size_t)f->channels, sizeof(*factor));
        int32_t bias = -1;
        for (int64_t c = 0; c < f->channels; c++)
            factor[c] = f->scale[c] / sqrtf(f->variance[c] + epsilon);
        err = fold_filter(cx, f, factor);
        if (!err)
            err = make_bias(cx, f, factor, number, &bias);
        if (!err)
            relink(f, bias, gone);
        free(factor);
    }
    free(f->copy);
    return err;
}

enum qs_err
qs_fold_bn(struct qs_ctx *cx, struct qs_model *m, int *n)
{
    struct fold f = {.m = m, .edges = qs_edges_new(m)};
    const int n_node = m->block[0].n_node;
    bool *gone = qs_xcalloc((size_t)n_node + 1, sizeof(*gone)), done;
    enum qs_err err = QS_OK;
    *n = 0;
    for (int i = 0; i < n_node && !err; i++) {
        struct qs_node *node = &m->block[0].node[i];
        if (!qs_is_conv(node) || !match(&f, node))
            continue;
        err = fold_one(cx, &f, *n, gone, &done);
        *n += !err && done;
    }
    qs_block_remove(m, 0, gone);
    qs_edges_free(f.edges);
    qs_model_index(m);
    qs_model_forget_unused(m, NULL);
    free(gone);
    return err;
}
