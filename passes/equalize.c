/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "passes/float_passes.h"

enum { ROUNDS_MOST = 40 };
static const double still = 1e-3; /* of log s: nothing moves */

/* A layer and the only one that reads it. */
struct pair {
    const struct qs_node *first, *second;
    int32_t w1, w2, bias; /* bias -1: none */
    int64_t channels;
};

struct equalize {
    struct qs_model *m;
    struct qs_edges *edges;
    float **own; /* [n_var] data that may be written; NULL: not touched */
    struct pair *pair;
    int n_pair;
    double *r1, *r2; /* [most channels] */
};

/* ---- finding pairs ---- */

/* A filter of floats that no other node reads. */
static const struct qs_tensor *
filter_of(const struct equalize *q, const struct qs_node *conv)
{
    const int32_t w = qs_node_input(conv, "Filter", 0);
    if (w < 0 || q->edges->n_reader[w] != 1 || qs_node_input(conv, "Bias", 0) >= 0)
        return NULL;
    return qs_float_param(q->m, q->edges, w, -1);
}

/* Input channels that the filter tells apart: all, or one each of a depthwise convolution; -1 of
 * other groups. */
static int64_t
input_channels(const struct qs_node *conv, const struct qs_tensor *filter)
{
    const int64_t groups = qs_attr_int(conv, "groups", 1);
    const bool transposed = strcmp(conv->type, "conv2d_transpose") == 0;
    if (groups == 1)
        return transposed ? filter->dims[0] : filter->dims[1];
    return !transposed && filter->dims[1] == 1 && filter->dims[0] == groups ? groups : -1;
}

/* The input channel that element i of the filter reads. */
static int64_t
input_channel_at(const struct qs_node *conv, const struct qs_tensor *filter, int64_t i)
{
    const int64_t taps = filter->dims[2] * filter->dims[3], first = i / (taps * filter->dims[1]);
    const bool by_first =
        strcmp(conv->type, "conv2d_transpose") == 0 || qs_attr_int(conv, "groups", 1) > 1;
    return by_first ? first : i / taps % filter->dims[1];
}

/* Passes over what keeps factors of channels: a bias, a relu. */
static struct qs_node *
reader_through(const struct equalize *q, int32_t y, int64_t channels, int32_t *bias)
{
    struct qs_node *next = qs_only_reader(q->m, q->edges, y);
    *bias = next ? qs_bias_of(q->m, q->edges, next, y, channels) : -1;
    if (*bias >= 0 && q->edges->n_reader[*bias] != 1)
        return NULL;
    if (*bias >= 0)
        next = qs_only_reader(q->m, q->edges, qs_node_output(next, "Out", 0));
    if (next && (strcmp(next->type, "relu") == 0 || strcmp(next->type, "leaky_relu") == 0))
        next = qs_only_reader(q->m, q->edges, qs_node_output(next, "Out", 0));
    return next;
}

static void
find_pair(struct equalize *q, const struct qs_node *conv)
{
    struct pair p = {.first = conv, .w1 = qs_node_input(conv, "Filter", 0)};
    const struct qs_tensor *w1 = filter_of(q, conv);
    p.channels = w1 ? qs_conv_channels(conv, w1) : -1;
    if (p.channels < 1)
        return;
    p.second = reader_through(q, qs_node_output(conv, "Output", 0), p.channels, &p.bias);
    const struct qs_tensor *w2 = p.second && qs_is_conv(p.second) ? filter_of(q, p.second) : NULL;
    if (!w2 || qs_conv_channels(p.second, w2) < 1 || input_channels(p.second, w2) != p.channels)
        return;
    p.w2 = qs_node_input(p.second, "Filter", 0);
    q->pair[q->n_pair++] = p;
}

static enum qs_err
own_pair(struct qs_ctx *cx, struct equalize *q, const struct pair *p)
{
    const int32_t var[] = {p->w1, p->w2, p->bias};
    enum qs_err err = QS_OK;
    for (size_t i = 0; i < QS_LEN(var) && !err; i++)
        if (var[i] >= 0 && !q->own[var[i]])
            err = qs_own_data(cx, q->m, var[i], &q->own[var[i]]);
    return err;
}

/* ---- scaling ---- */

typedef int64_t channel_fn(const struct qs_node *conv, const struct qs_tensor *t, int64_t i);

static void
ranges(const struct equalize *q, const struct qs_node *conv, int32_t var, channel_fn *at,
       int64_t channels, double *r)
{
    const struct qs_tensor *t = q->m->var[var].data;
    memset(r, 0, (size_t)channels * sizeof(*r));
    for (int64_t i = 0; i < t->n; i++) {
        const double w = fabs((double)q->own[var][i]);
        double *to = &r[at(conv, t, i)];
        *to = w > *to ? w : *to;
    }
}

static void
scale(struct equalize *q, const struct qs_node *conv, int32_t var, channel_fn *at, const double *s,
      bool divide)
{
    const struct qs_tensor *t = q->m->var[var].data;
    for (int64_t i = 0; i < t->n; i++) {
        const double f = s[at(conv, t, i)];
        q->own[var][i] = (float)(divide ? q->own[var][i] / f : q->own[var][i] * f);
    }
}

/* Returns the largest |log s|. */
static double
balance(struct equalize *q, const struct pair *p)
{
    double moved = 0;
    ranges(q, p->first, p->w1, qs_conv_channel_at, p->channels, q->r1);
    ranges(q, p->second, p->w2, input_channel_at, p->channels, q->r2);
    for (int64_t c = 0; c < p->channels; c++) {
        const bool dead = !(q->r1[c] > 0 && q->r2[c] > 0) || !isfinite(q->r1[c] + q->r2[c]);
        q->r1[c] = dead ? 1 : sqrt(q->r1[c] / q->r2[c]);
        moved = fmax(moved, fabs(log(q->r1[c])));
    }
    scale(q, p->first, p->w1, qs_conv_channel_at, q->r1, true);
    scale(q, p->second, p->w2, input_channel_at, q->r1, false);
    for (int64_t c = 0; p->bias >= 0 && c < p->channels; c++)
        q->own[p->bias][c] = (float)(q->own[p->bias][c] / q->r1[c]);
    return moved;
}

static enum qs_err
balance_all(struct qs_ctx *cx, struct equalize *q)
{
    enum qs_err err = QS_OK;
    int64_t most = 1;
    double moved = 1;
    for (int i = 0; i < q->n_pair && !err; i++) {
        most = q->pair[i].channels > most ? q->pair[i].channels : most;
        err = own_pair(cx, q, &q->pair[i]);
    }
    q->r1 = qs_xcalloc((size_t)most, sizeof(*q->r1));
    q->r2 = qs_xcalloc((size_t)most, sizeof(*q->r2));
    for (int round = 0; round < ROUNDS_MOST && moved > still && !err; round++) {
        moved = 0;
        for (int i = 0; i < q->n_pair; i++)
            moved = fmax(moved, balance(q, &q->pair[i]));
        err = qs_check_cancel(cx);
    }
    return err;
}

enum qs_err
qs_equalize(struct qs_ctx *cx, struct qs_model *m, int *n)
{
    const struct qs_block *b = &m->block[0];
    struct equalize q = {.m = m, .edges = qs_edges_new(m)};
    q.own = qs_xcalloc((size_t)m->n_var + 1, sizeof(*q.own));
    q.pair = qs_xcalloc((size_t)b->n_node + 1, sizeof(*q.pair));
    for (int i = 0; i < b->n_node; i++)
        if (qs_is_conv(&b->node[i]))
            find_pair(&q, &b->node[i]);
    const enum qs_err err = balance_all(cx, &q);
    *n = q.n_pair;
    qs_edges_free(q.edges);
    free(q.own);
    free(q.pair);
    free(q.r1);
    free(q.r2);
    return err;
}
