/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scan with probes of the fast engine. Samples of one shape that come one after the other are
 * a block; threads share out the units of a block, each with a probe of its own:
 *
 *   rank       a sample in one variant. Two probes go through the model side by side, one clean,
 *              one with every layer rounded. Before each layer the clean one is saved, runs the
 *              layer rounded, goes back and runs it clean.
 *   evaluate   some layers of a sample. The probe stands before a layer, is saved, and runs to the
 *              end once for each variant of the layer; then it goes on to the next layer, clean.
 *
 * A unit runs its sample from the start, so what it gives does not depend on how a block was cut.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/runner.h"
#include "app/sense.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "base/str.h"
#include "engine/probe.h"

enum { SHAPES_MOST = 4, PROBES_PER_UNIT = 2 };

/* Probes for inputs of one shape. */
struct family {
    struct qs_sample *like; /* a sample of that shape, without data */
    struct qs_probe *root, **probe;
    int n_probe, cap;
    struct qs_probe **idle; /* [cap] */
    int n_idle;
    int64_t state_bytes; /* the largest before a layer */
    int64_t used;        /* number of the last block */
};

struct slot {
    struct qs_sample *sample;
    struct qs_inputs in;
    double *add;
};

/* rank: from is the variant; evaluate: layers from .. to - 1. */
struct unit {
    int slot, from, to;
};

struct fast {
    struct scan *s;
    struct qs_ctx *cx;            /* of the scan */
    struct qs_model *model;       /* runnable form */
    struct qs_probe_layer *layer; /* [n_node] */
    struct family family[SHAPES_MOST];
    int n_family;
    struct family *now; /* of the block */
    struct slot *slot;
    int n_slot, width; /* samples of the block; units side by side */
    struct unit *unit;
    int n_unit;
    struct qs_sample *next; /* read, but of another shape; NULL */
    int64_t blocks;
    pthread_mutex_t lock; /* below, and idle probes */
    int64_t done, total;  /* of the phase, in runs from a layer on times layers that remain */
};

/* ---- probes ---- */

static void
free_family(struct family *f)
{
    for (int i = 0; i < f->n_probe; i++)
        qs_probe_free(f->probe[i]);
    free(f->probe);
    free(f->idle);
    free(f->like);
    *f = (struct family){0};
}

static void
make_variants(struct fast *f)
{
    const struct scan *s = f->s;
    f->layer = qs_xcalloc((size_t)s->n_node + 1, sizeof(*f->layer));
    for (int i = 0; i < s->n_node; i++) {
        const struct sense_node *node = &s->node[i];
        const struct sense_layer *l = &s->layer[node->layer];
        struct qs_probe_variant *v = qs_xcalloc((size_t)s->n_variant, sizeof(*v));
        for (int k = 0; k < s->n_variant; k++) {
            const struct sense_variant *from = &s->variant[k];
            if (from->mode != QS_SENSE_ACTIVATIONS)
                v[k].weight = (const float *)(const void *)l->rounded[from->b]->data;
            if (from->mode != QS_SENSE_WEIGHTS)
                v[k].threshold = node->threshold[from->b];
            v[k].bits = from->bits;
            v[k].integers = l->integers ? &l->integers[from->b] : NULL;
        }
        f->layer[i] = (struct qs_probe_layer){.node = node->node,
                                              .var = l->layer->var,
                                              .input = node->input,
                                              .n_variant = s->n_variant,
                                              .variant = v};
    }
}

static enum qs_err
make_family(struct fast *f, const struct slot *slot, struct family *y)
{
    y->like = qs_xmalloc(sizeof(*y->like));
    *y->like = *slot->sample;
    enum qs_err err =
        qs_probe_new(f->cx, f->model, slot->in.value, slot->in.n, f->layer, f->s->n_node, &y->root);
    if (err)
        return err;
    y->probe = qs_xmalloc(sizeof(*y->probe));
    y->idle = qs_xmalloc(sizeof(*y->idle));
    y->probe[0] = y->idle[0] = y->root;
    y->n_probe = y->n_idle = y->cap = 1;
    for (int i = 0; i < f->s->n_node; i++) {
        const int64_t bytes = qs_probe_state_bytes(y->root, i);
        y->state_bytes = bytes > y->state_bytes ? bytes : y->state_bytes;
    }
    return QS_OK;
}

/* Makes probes until there are n. */
static enum qs_err
have_probes(struct fast *f, struct family *y, int n)
{
    enum qs_err err = QS_OK;
    if (n > y->cap) {
        y->cap = n;
        y->probe = qs_xrealloc(y->probe, (size_t)n * sizeof(*y->probe));
        y->idle = qs_xrealloc(y->idle, (size_t)n * sizeof(*y->idle));
    }
    while (y->n_probe < n && !err) {
        struct qs_probe *p = NULL;
        err = qs_probe_share(f->cx, y->root, &p);
        if (!err)
            y->probe[y->n_probe++] = y->idle[y->n_idle++] = p;
    }
    return err;
}

static struct qs_probe *
take_probe(struct fast *f)
{
    pthread_mutex_lock(&f->lock);
    struct qs_probe *p = f->now->idle[--f->now->n_idle];
    pthread_mutex_unlock(&f->lock);
    return p;
}

static void
give_probe(struct fast *f, struct qs_probe *p)
{
    pthread_mutex_lock(&f->lock);
    f->now->idle[f->now->n_idle++] = p;
    pthread_mutex_unlock(&f->lock);
}

/* ---- memory ---- */

/* How many units of the family fit side by side. */
static enum qs_err
choose_width(struct fast *f, const struct family *y)
{
    const int64_t unit = PROBES_PER_UNIT * qs_probe_tensor_bytes(y->root) + y->state_bytes;
    const int64_t first = unit - qs_probe_tensor_bytes(y->root); /* the root is there */
    const int64_t left = f->s->memory - qs_sense_resident() - first;
    if (left < 0)
        return qs_sense_too_little(f->cx, f->s, f->s->memory - left);
    const int64_t n = 1 + left / (unit ? unit : 1);
    f->width = n < f->cx->threads ? (int)n : f->cx->threads;
    return QS_OK;
}

/* Room for another family: the one that was used longest ago goes. */
static struct family *
make_room(struct fast *f)
{
    if (f->n_family < SHAPES_MOST && (f->n_family == 0 || qs_sense_resident() < f->s->memory / 2))
        return &f->family[f->n_family++];
    struct family *oldest = &f->family[0];
    for (int i = 1; i < f->n_family; i++)
        if (f->family[i].used < oldest->used)
            oldest = &f->family[i];
    free_family(oldest);
    return oldest;
}

static enum qs_err
find_family(struct fast *f, const struct slot *slot)
{
    enum qs_err err = QS_OK;
    struct family *y = NULL;
    for (int i = 0; i < f->n_family && !y; i++)
        if (f->family[i].root && qs_samples_alike(f->family[i].like, slot->sample))
            y = &f->family[i];
    if (!y) {
        y = make_room(f);
        err = make_family(f, slot, y);
    }
    if (!err)
        err = choose_width(f, y);
    if (!err)
        err = have_probes(f, y, PROBES_PER_UNIT * f->width);
    y->used = ++f->blocks;
    f->now = y;
    return err;
}

/* ---- a unit ---- */

/* What a unit holds while it runs. */
struct work {
    struct qs_ctx *cx; /* of the thread */
    struct fast *f;
    struct scan *s;
    struct slot *slot;
    struct sense_measure measure;
    struct qs_probe *p, *q; /* q: rank */
    void *state;
    struct qs_value clean[2]; /* first and last output, nothing rounded; own */
    struct qs_value copy;     /* of what a layer made */
    int64_t copy_bytes;
};

static enum qs_err
stopped(struct qs_ctx *cx, struct fast *f)
{
    while (atomic_load(&f->cx->pause) && !atomic_load(&f->cx->cancel))
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    return atomic_load(&f->cx->cancel)
               ? qs_fail(cx, QS_ERR_CANCELLED, "%s", qs_err_text(QS_ERR_CANCELLED))
               : QS_OK;
}

static void
count(struct work *w, int64_t n)
{
    struct fast *f = w->f;
    pthread_mutex_lock(&f->lock);
    f->done += n;
    qs_progress(f->cx, qs_sense_phase_text(f->s), f->done, f->total);
    pthread_mutex_unlock(&f->lock);
}

static void
outputs(const struct qs_probe *p, struct qs_value out[2])
{
    const int n = qs_probe_n_out(p);
    out[0] = *qs_probe_out(p, 0);
    out[1] = *qs_probe_out(p, n - 1);
}

static void
set_layer(const struct scan *s, struct qs_probe *p, int layer, int variant)
{
    for (int k = s->layer[layer].first_node; k < s->n_node; k++)
        if (s->node[k].layer == layer)
            qs_probe_set(p, k, variant);
}

static void
set_all(const struct scan *s, struct qs_probe *p, int variant)
{
    for (int k = 0; k < s->n_node; k++)
        qs_probe_set(p, k, variant);
}

static enum qs_err
begin(struct work *w, struct qs_probe *p)
{
    return qs_probe_begin(w->cx, p, w->slot->in.value, w->slot->in.n);
}

static enum qs_err
measure(struct work *w, const struct qs_probe *p, const struct qs_value clean[2], double *ab,
        double *cosine)
{
    struct qs_value out[2];
    outputs(p, out);
    return qs_sense_measure_sample(w->cx, &w->measure, w->slot->sample, out, clean, ab, cosine);
}

/* ---- rank ---- */

static void
keep_copy(struct work *w, const struct qs_value *v)
{
    const int64_t bytes = v->count * (int64_t)sizeof(float);
    if (bytes > w->copy_bytes) {
        free(w->copy.data);
        w->copy.data = qs_xmalloc((size_t)bytes);
        w->copy_bytes = bytes;
    }
    void *data = w->copy.data;
    w->copy = *v;
    w->copy.data = data;
    if (v->dtype == QS_DTYPE_float32)
        memcpy(data, v->data, (size_t)bytes);
}

/* What all layers of the step of node k, which is the last of them, add: q runs them. */
static enum qs_err
rank_grown(struct work *w, int k, int variant)
{
    const struct qs_value *v;
    double none = 0;
    enum qs_err err = qs_probe_step(w->cx, w->q, k);
    if (!err)
        err = qs_probe_layer_out(w->cx, w->q, k, &v);
    for (int i = qs_probe_first(w->p, k); i <= k && !err; i++)
        qs_sense_energies(
            v, &w->copy, &none,
            &qs_sense_row(w->s, w->slot->add, w->s->node[i].layer, variant)[SUM_GROWN]);
    return err;
}

/* Layer of node k: p stands before it, and afterwards behind it, clean, unless the next layer runs
 * in the same step. */
static enum qs_err
rank_node(struct work *w, int k, int variant)
{
    double *row = qs_sense_row(w->s, w->slot->add, w->s->node[k].layer, variant);
    const bool last =
        k + 1 == w->s->n_node || qs_probe_first(w->p, k + 1) != qs_probe_first(w->p, k);
    const struct qs_value *v;
    enum qs_err err = qs_probe_step(w->cx, w->p, k);
    if (err)
        return err;
    qs_probe_save(w->p, w->state);
    qs_probe_set(w->p, k, variant + 1);
    err = qs_probe_layer_out(w->cx, w->p, k, &v);
    qs_probe_set(w->p, k, 0);
    if (err)
        return err;
    keep_copy(w, v);
    qs_probe_load(w->p, k, w->state);
    err = qs_probe_layer_out(w->cx, w->p, k, &v);
    if (err)
        return err;
    qs_sense_energies(&w->copy, v, &row[SUM_SIGNAL], &row[SUM_NOISE]);
    keep_copy(w, v);
    if (!last)
        qs_probe_load(w->p, k, w->state);
    return last ? rank_grown(w, k, variant) : QS_OK;
}

static enum qs_err
rank_totals(struct work *w, int variant)
{
    struct qs_value clean[2];
    double *all = qs_sense_all(w->s, w->slot->add, variant);
    double *base = qs_sense_base(w->s, w->slot->add), same = 0;
    enum qs_err err = qs_probe_finish(w->cx, w->p);
    if (!err)
        err = qs_probe_finish(w->cx, w->q);
    if (err)
        return err;
    outputs(w->p, clean);
    err = measure(w, w->q, clean, all, &all[2]);
    if (err || variant > 0)
        return err;
    base[2] += 1;
    return measure(w, w->p, clean, base, &same);
}

static enum qs_err
rank(struct work *w, int variant)
{
    enum qs_err err = begin(w, w->p);
    set_all(w->s, w->q, variant + 1);
    if (!err)
        err = begin(w, w->q);
    for (int k = 0; k < w->s->n_node && !err; k++) {
        err = stopped(w->cx, w->f);
        if (!err)
            err = rank_node(w, k, variant);
        count(w, 1);
    }
    if (!err)
        err = rank_totals(w, variant);
    set_all(w->s, w->q, 0);
    return err;
}

/* ---- evaluate ---- */

static enum qs_err
run_clean(struct work *w)
{
    struct qs_value out[2];
    enum qs_err err = begin(w, w->p);
    if (!err)
        err = qs_probe_finish(w->cx, w->p);
    if (err)
        return err;
    outputs(w->p, out);
    for (int i = 0; i < 2; i++) {
        const size_t bytes = (size_t)out[i].count * (size_t)qs_dtype_bytes(out[i].dtype);
        w->clean[i] = out[i];
        w->clean[i].data = memcpy(qs_xmalloc(bytes + 1), out[i].data, bytes);
    }
    return QS_OK;
}

/* Runs from where p stands, layer i in a variant, to the end. */
static enum qs_err
try_layer(struct work *w, int i, int from_variant, int to_variant, double *ab, double *cosine)
{
    set_layer(w->s, w->p, i, to_variant);
    enum qs_err err = stopped(w->cx, w->f);
    if (!err)
        err = qs_probe_finish(w->cx, w->p);
    if (!err)
        err = measure(w, w->p, w->clean, ab, cosine);
    set_layer(w->s, w->p, i, from_variant);
    qs_probe_load(w->p, w->s->layer[i].first_node, w->state);
    count(w, w->s->n_node - w->s->layer[i].first_node);
    return err;
}

/* Each chosen layer alone. */
static enum qs_err
alone(struct work *w, int from, int to)
{
    const struct scan *s = w->s;
    double clean[2] = {0}, same = 0;
    enum qs_err err = qs_sense_measure_sample(w->cx, &w->measure, w->slot->sample, w->clean,
                                              w->clean, clean, &same);
    if (!err)
        err = begin(w, w->p);
    for (int i = from; i < to && !err; i++) {
        if (!s->layer[i].chosen)
            continue;
        err = qs_probe_step(w->cx, w->p, s->layer[i].first_node);
        if (!err)
            qs_probe_save(w->p, w->state);
        for (int v = 0; v < s->n_variant && !err; v++) {
            double *row = qs_sense_row(s, w->slot->add, i, v);
            row[SUM_CLEAN_A] += clean[0];
            row[SUM_CLEAN_B] += clean[1];
            row[SUM_COUNT] += 1;
            err = try_layer(w, i, 0, v + 1, &row[SUM_A], &row[SUM_COSINE]);
        }
    }
    return err;
}

/* All layers but each chosen one, in one variant. */
static enum qs_err
all_but(struct work *w, int from, int to, int v)
{
    const struct scan *s = w->s;
    double ignored = 0;
    set_all(s, w->p, v + 1);
    enum qs_err err = begin(w, w->p);
    for (int i = from; i < to && !err; i++) {
        if (!s->layer[i].chosen)
            continue;
        err = qs_probe_step(w->cx, w->p, s->layer[i].first_node);
        if (err)
            break;
        qs_probe_save(w->p, w->state);
        err =
            try_layer(w, i, v + 1, 0, &qs_sense_row(s, w->slot->add, i, v)[SUM_OTHERS_A], &ignored);
    }
    set_all(s, w->p, 0);
    return err;
}

static enum qs_err
evaluate(struct work *w, int from, int to)
{
    enum qs_err err = run_clean(w);
    if (!err)
        err = alone(w, from, to);
    for (int v = 0; v < w->s->n_variant && !err && w->s->choices.others; v++)
        err = all_but(w, from, to, v);
    return err;
}

/* ---- try ---- */

static enum qs_err
try_config(struct work *w)
{
    const struct scan *s = w->s;
    double *base = qs_sense_base(s, w->slot->add), *all = qs_sense_all(s, w->slot->add, 0),
           same = 0;
    enum qs_err err = run_clean(w);
    for (int i = 0; i < s->n_layer; i++)
        set_layer(s, w->p, i, s->config[i]);
    if (!err)
        err = begin(w, w->p);
    if (!err)
        err = qs_probe_finish(w->cx, w->p);
    if (!err)
        err = measure(w, w->p, w->clean, all, &all[2]);
    set_all(s, w->p, 0);
    base[2] += 1;
    count(w, 1);
    return err ? err
               : qs_sense_measure_sample(w->cx, &w->measure, w->slot->sample, w->clean, w->clean,
                                         base, &same);
}

/* ---- units of a block ---- */

static enum qs_err
run_unit(struct qs_ctx *cx, void *arg, int64_t i)
{
    struct fast *f = arg;
    const struct unit *u = &f->unit[i];
    const bool ranks = f->s->at.phase == SENSE_RANK;
    struct work w = {.cx = cx, .f = f, .s = f->s, .slot = &f->slot[u->slot]};
    cx->threads = 1;
    enum qs_err err = qs_sense_measure_init(cx, f->s, &w.measure);
    w.p = take_probe(f);
    w.q = ranks ? take_probe(f) : NULL;
    w.state = qs_xmalloc((size_t)f->now->state_bytes + 1);
    if (!err)
        err = ranks                              ? rank(&w, u->from)
              : f->s->at.phase == SENSE_EVALUATE ? evaluate(&w, u->from, u->to)
                                                 : try_config(&w);
    if (err && err != QS_ERR_CANCELLED)
        (void)qs_prefix(cx, _("cannot run on sample '%s'"), f->s->data->name[w.slot->sample->i]);
    qs_sense_measure_release(&w.measure);
    give_probe(f, w.p);
    if (w.q)
        give_probe(f, w.q);
    free(w.state);
    free(w.clean[0].data);
    free(w.clean[1].data);
    free(w.copy.data);
    return err;
}

/* Cost of what follows layer i, up to a factor. */
static int64_t
weight_of(const struct scan *s, int i)
{
    return s->layer[i].chosen ? s->n_node - s->layer[i].first_node : 0;
}

static int64_t
all_weights(const struct scan *s)
{
    int64_t sum = 0;
    for (int i = 0; i < s->n_layer; i++)
        sum += weight_of(s, i);
    return sum;
}

/* The layers of a sample in n parts that cost about the same. */
static void
cut_layers(struct fast *f, int slot, int n)
{
    const struct scan *s = f->s;
    const int64_t all = all_weights(s);
    int64_t sum = 0;
    int from = 0, part = 1;
    for (int i = 0; i < s->n_layer; i++) {
        sum += weight_of(s, i);
        if (sum * n < all * part && i < s->n_layer - 1)
            continue;
        f->unit[f->n_unit++] = (struct unit){slot, from, i + 1};
        from = i + 1;
        part = all ? (int)(sum * n / all) + 1 : part;
    }
}

static void
cut_block(struct fast *f)
{
    const int64_t phase = f->s->at.phase;
    const int parts = phase == SENSE_RANK       ? f->s->n_variant
                      : phase == SENSE_EVALUATE ? (f->width + f->n_slot - 1) / f->n_slot
                                                : 1;
    f->n_unit = 0;
    f->unit = qs_xrealloc(f->unit, (size_t)f->n_slot * (size_t)(parts + 1) * sizeof(*f->unit));
    for (int i = 0; i < f->n_slot; i++)
        if (phase == SENSE_EVALUATE)
            cut_layers(f, i, parts);
        else
            for (int v = 0; v < parts; v++)
                f->unit[f->n_unit++] = (struct unit){i, v, v + 1};
}

/* Threads of the loop: no more than there are probes for. */
static enum qs_err
run_units(struct fast *f)
{
    const int threads = f->cx->threads;
    f->cx->threads = f->width;
    const enum qs_err err = qs_parallel_for(f->cx, f->n_unit, run_unit, f);
    f->cx->threads = threads;
    return err;
}

/* ---- blocks ---- */

static enum qs_err
add_slot(struct fast *f, struct qs_sample *sample)
{
    f->slot = qs_xrealloc(f->slot, (size_t)(f->n_slot + 1) * sizeof(*f->slot));
    struct slot *slot = &f->slot[f->n_slot++];
    *slot = (struct slot){.sample = sample};
    slot->add = qs_xcalloc((size_t)f->s->n_sum, sizeof(*slot->add));
    qs_inputs_init(&slot->in, f->s->o);
    return qs_inputs_bind(f->cx, &slot->in, &slot->sample, 1);
}

static void
drop_slots(struct fast *f)
{
    for (int i = 0; i < f->n_slot; i++) {
        qs_inputs_release(&f->slot[i].in);
        qs_sample_free(f->slot[i].sample);
        free(f->slot[i].add);
    }
    f->n_slot = 0;
}

static enum qs_err
read_next(struct fast *f, struct qs_sample **out)
{
    *out = f->next;
    f->next = NULL;
    return *out ? QS_OK : qs_sense_next(f->cx, f->s, out);
}

/* Samples of one shape, as many as can run side by side; none at the end. */
static enum qs_err
read_block(struct fast *f)
{
    struct qs_sample *sample;
    enum qs_err err = read_next(f, &sample);
    if (err || !sample)
        return err;
    err = add_slot(f, sample);
    if (!err)
        err = find_family(f, &f->slot[0]);
    while (!err && f->n_slot < f->width && !(err = read_next(f, &sample)) && sample) {
        if (!qs_samples_alike(sample, f->slot[0].sample)) {
            f->next = sample;
            break;
        }
        err = add_slot(f, sample);
    }
    return err;
}

static enum qs_err
run_block(struct fast *f)
{
    enum qs_err err = read_block(f);
    if (!err && f->n_slot > 0) {
        cut_block(f);
        err = run_units(f);
    }
    if (!err && f->n_slot > 0) {
        double **add = qs_xcalloc((size_t)f->n_slot, sizeof(*add));
        for (int i = 0; i < f->n_slot; i++)
            add[i] = f->slot[i].add;
        qs_sense_commit(f->cx, f->s, add, f->n_slot, f->slot[f->n_slot - 1].sample->i);
        free(add);
    }
    return err;
}

static void
count_phase(struct fast *f)
{
    const struct scan *s = f->s;
    const int64_t n = s->n_variant;
    const int64_t each = s->at.phase == SENSE_RANK ? n * s->n_node
                         : s->at.phase == SENSE_EVALUATE
                             ? n * all_weights(s) * (1 + s->choices.others)
                             : 1;
    f->total = each * s->data->n;
    f->done = each * s->at.sample;
}

enum qs_err
qs_sense_fast(struct qs_ctx *cx, struct scan *s)
{
    struct fast f = {.s = s, .cx = cx};
    bool more = true;
    enum qs_err err = qs_app_runnable(cx, s->o, &f.model);
    pthread_mutex_init(&f.lock, NULL);
    make_variants(&f);
    s->tasks = 1;
    count_phase(&f);
    qs_dataset_seek(s->data, s->at.sample);
    while (!err && more) {
        err = run_block(&f);
        more = f.n_slot > 0;
        drop_slots(&f);
    }
    qs_sample_free(f.next);
    for (int i = 0; i < f.n_family; i++)
        free_family(&f.family[i]);
    for (int i = 0; i < s->n_node; i++)
        free((void *)(uintptr_t)f.layer[i].variant);
    free(f.layer);
    free(f.slot);
    free(f.unit);
    qs_model_unref(f.model);
    pthread_mutex_destroy(&f.lock);
    return err;
}
