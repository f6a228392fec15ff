/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers in which simulation and integers part. A value that lies between two integers may be
 * rounded to either, as sums in another order have it; every layer after that differs, ever more,
 * and none of them is wrong. So a layer is judged by what it adds: how far apart its outputs are
 * beside its rounded inputs.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/runnable.h"
#include "app/runner.h"
#include "app/verify.h"
#include "base/mem.h"
#include "data/preprocess.h"

struct sums { /* of squares */
    double signal, error;
};

struct search {
    const struct qs_opened *written;
    struct qs_runnable apart; /* the program without quantization, and its notes */
    bool *keep;               /* [n_var] inputs and outputs of quantized operators */
    struct qs_value *copy;    /* [n_var] as simulated */
    struct sums *out;         /* [n_var] of what is kept */
    struct sums *in;          /* [n_act] of rounded inputs */
};

static double
decibel(const struct sums *s)
{
    return s->error > 0 || isnan(s->error) ? 10 * log10(s->signal / s->error) : (double)INFINITY;
}

/* ---- both runs ---- */

static bool
is_kept(const struct search *s, int32_t var, const struct qs_value *v)
{
    return var >= 0 && var < s->written->model->n_var && s->keep[var] &&
           v->dtype == QS_DTYPE_float32;
}

static enum qs_err
copy_simulated(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    struct search *s = arg;
    (void)node;
    if (!is_kept(s, var, v))
        return QS_OK;
    qs_data_tensor_release(&s->copy[var]);
    const enum qs_err err = qs_data_tensor(cx, v->dtype, v->n, v->d, &s->copy[var]);
    if (!err)
        memcpy(s->copy[var].data, v->data, (size_t)v->count * sizeof(float));
    return err;
}

/* The integer that x, in steps, is rounded to. */
static double
rounded(const struct qs_quant_act *a, double x)
{
    const double most = (double)(1 << (a->bits - 1)) - 1, least = a->half_away ? -most : -most - 1;
    const double q = a->half_away ? round(x) : rint(x);
    return q > most ? most : q < least ? least : q;
}

/* Also what float arithmetic could have rounded to the other side counts as different. */
static void
compare_input(const struct qs_quant_act *a, const struct qs_value *x, const struct qs_value *y,
              struct sums *out)
{
    static const double either = 2e-6;
    const double by = ((double)(1 << (a->bits - 1)) - 1) / a->threshold;
    *out = (struct sums){0};
    for (int64_t k = 0; k < x->count; k++) {
        const double p = (double)x->f32[k] * by, q = rounded(a, p);
        double d = q - rounded(a, (double)y->f32[k] * by);
        if (fabs(fabs(p - floor(p)) - 0.5) < either * (1 + fabs(p)))
            d = d != 0 ? d : 1;
        out->signal += q * q;
        out->error += d * d;
    }
}

static void
compare_output(const struct qs_value *x, const struct qs_value *y, struct sums *out)
{
    *out = (struct sums){0};
    for (int64_t k = 0; k < x->count; k++) {
        const double p = (double)x->f32[k], d = p - (double)y->f32[k];
        out->signal += p * p;
        out->error += d * d;
    }
}

static enum qs_err
compare_integer(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    struct search *s = arg;
    (void)cx, (void)node;
    if (!is_kept(s, var, v) || !s->copy[var].data || s->copy[var].count != v->count)
        return QS_OK;
    compare_output(&s->copy[var], v, &s->out[var]);
    for (int i = 0; i < s->apart.notes.n_act; i++)
        if (s->apart.notes.act[i].var == var)
            compare_input(&s->apart.notes.act[i], &s->copy[var], v, &s->in[i]);
    return QS_OK;
}

static enum qs_err
run(struct qs_ctx *cx, struct search *s, int precision, struct qs_sample *sample,
    const struct qs_watch *watch)
{
    const struct qs_runner_options opt = {
        .engine.keep = s->keep, .precision = precision, .batch = 1};
    struct qs_runner *r = NULL;
    enum qs_err err = qs_runner_new(cx, s->written, &opt, &r);
    if (!err)
        err = qs_runner_run(cx, r, &sample, 1, watch);
    qs_runner_free(r);
    return err;
}

/* ---- which to name ---- */

/* Above what float arithmetic leaves alike, all is the same. */
double
qs_verify_lost_db(double in_db, double out_db)
{
    static const double same_db = 100;
    const double lost = (in_db < same_db ? in_db : same_db) - out_db;
    return isnan(lost) ? (double)INFINITY : lost;
}

static bool
is_named(const int *index, int n, int i)
{
    for (int k = 0; k < n; k++)
        if (index[k] == i)
            return true;
    return false;
}

int
qs_verify_worst(const double *lost_db, int n, int *index, int most)
{
    static const double much_db = 10;
    int named = 0;
    while (named < most) {
        int worst = -1;
        for (int i = 0; i < n && !(named == 0 && worst >= 0); i++)
            if (lost_db[i] > much_db && !is_named(index, named, i) &&
                (worst < 0 || lost_db[i] > lost_db[worst]))
                worst = i;
        if (worst < 0)
            break;
        index[named++] = worst;
    }
    return named;
}

/* ---- entry ---- */

static int32_t
output_of(const struct search *s, int i)
{
    const struct qs_node *node = &s->apart.model->block[0].node[s->apart.notes.node[i].node];
    const int32_t var = node->n_out > 0 && node->out[0].n > 0 ? node->out[0].var[0] : -1;
    return var < s->written->model->n_var ? var : -1;
}

static double
lost_in(const struct search *s, int i)
{
    const struct qs_quant_node *node = &s->apart.notes.node[i];
    const int32_t var = output_of(s, i);
    double in_db = (double)INFINITY;
    for (int k = 0; k < node->n_all; k++) {
        const double db = decibel(&s->in[node->all[k]]);
        in_db = db < in_db || isnan(db) ? db : in_db;
    }
    return var < 0 || !s->copy[var].data ? 0 : qs_verify_lost_db(in_db, decibel(&s->out[var]));
}

static void
name_layer(const struct search *s, int i, struct qs_verified *out)
{
    const struct qs_static_notes *notes = &s->apart.notes;
    const struct qs_model *m = s->apart.model;
    const int32_t var = output_of(s, i), weight = notes->node[i].weight;
    out->layer[out->n_layer++] = (struct qs_verified_layer){
        .name = qs_xstrdup(m->var[weight < 0 ? var : notes->weight[weight].var].name),
        .op_type = qs_xstrdup(m->block[0].node[notes->node[i].node].type),
        .sqnr_db = decibel(&s->out[var]),
    };
}

static void
name_layers(const struct search *s, struct qs_verified *out)
{
    enum { NAMED = 4 };
    const int n = s->apart.notes.n_node;
    double *lost_db = qs_xcalloc((size_t)n + 1, sizeof(*lost_db));
    int index[NAMED];
    for (int i = 0; i < n; i++)
        lost_db[i] = lost_in(s, i);
    const int named = qs_verify_worst(lost_db, n, index, NAMED);
    out->layer = qs_xcalloc(NAMED, sizeof(*out->layer));
    for (int i = 0; i < named; i++)
        name_layer(s, index[i], out);
    free(lost_db);
}

static enum qs_err
prepare(struct qs_ctx *cx, struct search *s)
{
    const size_t n_var = (size_t)s->written->model->n_var;
    const enum qs_err err = qs_runnable_init(cx, &s->apart, s->written, QS_PRECISION_INT8);
    if (err)
        return err;
    const struct qs_static_notes *notes = &s->apart.notes;
    s->keep = qs_xcalloc(n_var + 1, sizeof(*s->keep));
    s->copy = qs_xcalloc(n_var + 1, sizeof(*s->copy));
    s->out = qs_xcalloc(n_var + 1, sizeof(*s->out));
    s->in = qs_xcalloc((size_t)notes->n_act + 1, sizeof(*s->in));
    for (int i = 0; i < notes->n_node; i++) {
        const int32_t var = output_of(s, i);
        if (var >= 0)
            s->keep[var] = true;
        for (int k = 0; k < notes->node[i].n_all; k++)
            s->keep[notes->act[notes->node[i].all[k]].var] = true;
    }
    return QS_OK;
}

static void
release(struct search *s)
{
    for (int32_t v = 0; s->copy && v < s->written->model->n_var; v++)
        qs_data_tensor_release(&s->copy[v]);
    free(s->copy);
    free(s->keep);
    free(s->out);
    free(s->in);
    qs_runnable_release(&s->apart);
}

enum qs_err
qs_verify_layers(struct qs_ctx *cx, const struct qs_opened *written, struct qs_sample *sample,
                 struct qs_verified *out)
{
    struct search s = {.written = written};
    const struct qs_watch copy = {copy_simulated, &s}, compare = {compare_integer, &s};
    enum qs_err err = prepare(cx, &s);
    if (!err)
        err = run(cx, &s, QS_PRECISION_FP32, sample, &copy);
    if (!err)
        err = run(cx, &s, QS_PRECISION_INT8, sample, &compare);
    if (!err)
        name_layers(&s, out);
    release(&s);
    return err;
}
