/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One walk over the main block in program order. What a quantization operator writes becomes an
 * alias of the variable behind it, so names that are written twice cost nothing: an alias holds
 * from its write to the next. An operator that is kept reads the variables behind its aliases.
 */
#include "passes/take_apart.h"
#include "passes/take_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"
#include "model/quant_static.h"

/* The operators */

enum does { TO_INTEGERS, TO_FLOAT, ROUND, WATCH };
static const struct kind {
    const char *type;
    enum does does;
    const char *out, *scale; /* slots; scale NULL: found in X while the program runs */
    int away;                /* value of round_type when the attribute is absent */
    bool channels;           /* ... for each channel */
} kinds[] = {
    {"dequantize_linear", TO_FLOAT, "Y", "Scale", 0, false},
    {"fake_channel_wise_dequantize_max_abs", TO_FLOAT, "Out", "Scales", 1, false},
    {"fake_channel_wise_quantize_abs_max", TO_INTEGERS, "Out", NULL, 1, true},
    {"fake_channel_wise_quantize_dequantize_abs_max", ROUND, "Out", NULL, 1, true},
    {"fake_dequantize_max_abs", TO_FLOAT, "Out", "Scale", 1, false},
    {"fake_quantize_abs_max", TO_INTEGERS, "Out", NULL, 1, false},
    {"fake_quantize_dequantize_abs_max", ROUND, "Out", NULL, 1, false},
    {"fake_quantize_dequantize_moving_average_abs_max", ROUND, "Out", "InScale", 1, false},
    {"fake_quantize_moving_average_abs_max", TO_INTEGERS, "Out", "InScale", 1, false},
    {"fake_quantize_range_abs_max", TO_INTEGERS, "Out", "InScale", 1, false},
    {"moving_average_abs_max_scale", WATCH, "Out", "OutScale", 1, false},
    {"quantize_linear", TO_INTEGERS, "Y", "Scale", 0, false},
};

static const struct kind *
kind_of(const struct qs_node *node)
{
    for (size_t i = 0; i < QS_LEN(kinds); i++)
        if (strcmp(kinds[i].type, node->type) == 0)
            return &kinds[i];
    return NULL;
}

static bool
is_linear(const struct kind *k)
{
    return strcmp(k->out, "Y") == 0;
}

static bool
is_away(const struct kind *k, const struct qs_node *node)
{
    return qs_attr_int(node, "round_type", k->away) != 0;
}

static bool
only_watches(const struct kind *k, const struct qs_node *node)
{
    return k->does == WATCH || (is_linear(k) && qs_attr_int(node, "only_observer", 0) != 0);
}

/* The walk */

enum form { PLAIN, INTEGERS, ROUNDED };
struct alias {
    int32_t base;    /* variable behind it */
    int version;     /* of that variable when the alias was made */
    enum form form;  /* of the value: as it is, integers, back from integers */
    int act, weight; /* how it is rounded: one of the two is not -1 unless PLAIN */
};

struct apart {
    struct qs_ctx *cx;
    struct qs_model *m;
    struct qs_static_notes *out;
    struct alias *alias; /* [n_var] */
    int *version;        /* [n_var] writes by operators that stay */
    int *writes;         /* [n_var] by all operators of all blocks */
    int *stays_read;     /* [n_var] by operators that stay */
    bool *touched;       /* [n_var] by an operator that went */
    bool *stay;          /* [n_node] has no place in the notes, with all that it hangs together */
    int32_t *weight_of;  /* [n_var] index in weight[] made from this parameter; -1 */
    int32_t *waits;      /* [n_var] entry of node[] whose output is to be scaled; -1 */
    struct qs_node *node;
    int n_node, cap_act, cap_weight, cap_quant;
};

static const struct qs_node *
node_at(const struct apart *a, int i)
{
    return &a->m->block[0].node[i];
}

static const char *
name_of(const struct apart *a, int32_t var)
{
    return a->m->var[var].name;
}

/* A parameter that the program never changes. */
static bool
is_constant(const struct apart *a, int32_t var)
{
    return a->m->var[var].data && qs_var_is_param(&a->m->var[var]) && a->writes[var] == 0;
}

static int
bits_of(const struct kind *k, const struct qs_node *node)
{
    int64_t bits[2] = {8, 8};
    if (k->scale && strcmp(k->scale, "Scales") == 0 &&
        qs_attr_ints(node, "quant_bits", bits, 2) < 1)
        bits[0] = 8;
    const int64_t b = qs_attr_int(node, "bit_length", bits[0]);
    return b >= 2 && b <= 16 ? (int)b : 0;
}

/* Elements of a float32 parameter; NULL when it is not one. */
static double *
read_floats(const struct apart *a, int32_t var, int64_t *n)
{
    const struct qs_tensor *t = var < 0 ? NULL : a->m->var[var].data;
    *n = 0;
    if (!t || t->dtype != QS_DTYPE_float32 || t->n < 1)
        return NULL;
    double *v = qs_xcalloc((size_t)t->n, sizeof(*v));
    for (int64_t i = 0; i < t->n; i++) {
        float f;
        memcpy(&f, t->buf->data + t->offset + (size_t)i * sizeof(f), sizeof(f));
        v[i] = f;
    }
    *n = t->n;
    return v;
}

static bool
is_threshold(double t)
{
    return isfinite(t) && t >= 0;
}

/* The one threshold of an activation; false when the program finds it while it runs. */
static bool
threshold_of(const struct apart *a, const struct kind *k, const struct qs_node *node, double *t)
{
    int32_t var = k->scale ? qs_node_input(node, k->scale, 0) : -1;
    if (var < 0 && k->does == WATCH)
        var = qs_node_output(node, k->scale, 0);
    const bool fixed = is_linear(k) || k->does == TO_FLOAT || qs_attr_int(node, "is_test", 0) != 0;
    int64_t n;
    double *v = fixed ? read_floats(a, var, &n) : NULL;
    const bool one = v && n == 1 && is_threshold(v[0]);
    *t = one ? v[0] : 0;
    free(v);
    return one;
}

/* Notes */

static void *
grow(void *array, int n, int *cap, size_t size)
{
    if (n < *cap)
        return array;
    *cap = *cap ? 2 * *cap : 16;
    return qs_xrealloc(array, (size_t)*cap * size);
}

static int
add_act(struct apart *a, struct qs_quant_act act)
{
    struct qs_static_notes *o = a->out;
    for (int i = 0; i < o->n_act; i++) {
        struct qs_quant_act *old = &o->act[i];
        const bool same = old->bits == act.bits && old->threshold == act.threshold &&
                          old->half_away == act.half_away;
        if (old->var != act.var || (!same && !old->observed && !act.observed))
            continue;
        if (old->observed && !act.observed)
            *old = act;
        return i;
    }
    o->act = grow(o->act, o->n_act, &a->cap_act, sizeof(*o->act));
    o->act[o->n_act] = act;
    return o->n_act++;
}

static void
observe(struct apart *a, int32_t var, int bits, double threshold, bool half_away)
{
    if (bits > 0 && is_threshold(threshold) && !is_constant(a, var))
        add_act(a, (struct qs_quant_act){.var = var,
                                         .bits = bits,
                                         .threshold = threshold,
                                         .half_away = half_away,
                                         .observed = true});
}

static bool
same_weight(const struct qs_quant_weight *x, const struct qs_quant_weight *y)
{
    return x->bits == y->bits && x->axis == y->axis && x->n_scales == y->n_scales &&
           memcmp(x->threshold, y->threshold, (size_t)x->n_scales * sizeof(double)) == 0;
}

static enum qs_err
check_scales(const struct apart *a, const struct qs_tensor *t, const struct qs_quant_weight *w)
{
    const int64_t want = w->axis < 0 ? 1 : t->dims[w->axis];
    if (w->n_scales != want)
        return qs_fail(a->cx, QS_ERR_FORMAT,
                       _("weight '%s' has %" PRId64 " scales, but %" PRId64 " channels"),
                       name_of(a, w->var), w->n_scales, want);
    for (int64_t c = 0; c < want; c++)
        if (!is_threshold(w->threshold[c]))
            return qs_fail(a->cx, QS_ERR_FORMAT, _("scale %" PRId64 " of weight '%s' is %g"), c,
                           name_of(a, w->var), w->threshold[c]);
    return QS_OK;
}

/* Takes over w->threshold. Makes the entry of the weight `from` (how NULL: it holds integers), or
 * finds it again; the float values become those of w->var. */
static enum qs_err
add_weight(struct apart *a, int32_t from, struct qs_quant_weight w,
           const enum qs_static_rounding *how, int *index)
{
    const struct qs_tensor *t = a->m->var[from].data;
    struct qs_buf *y = NULL;
    int at = a->weight_of[from];
    if (at >= 0 && !same_weight(&a->out->weight[at], &w)) {
        free(w.threshold);
        return qs_fail(a->cx, QS_ERR_FORMAT, _("weight '%s' has two different sets of scales"),
                       name_of(a, from));
    }
    *index = at;
    if (at >= 0) {
        free(w.threshold);
        return QS_OK;
    }
    enum qs_err err = check_scales(a, t, &w);
    if (!err)
        err = how ? qs_static_quantize(a->cx, t, w.axis, w.bits, w.threshold, *how, &w.q)
                  : qs_static_integers(a->cx, t, w.bits, &w.q);
    if (!err)
        err = qs_static_dequantize(a->cx, t, w.axis, w.bits, w.threshold, w.q, &y);
    if (err) {
        qs_buf_unref(w.q);
        free(w.threshold);
        return qs_prefix(a->cx, _("cannot read weight '%s'"), name_of(a, from));
    }
    a->out->weight = grow(a->out->weight, a->out->n_weight, &a->cap_weight, sizeof(w));
    *index = a->weight_of[from] = a->out->n_weight;
    a->out->weight[a->out->n_weight++] = w;
    qs_model_set_data(a->m, w.var, QS_DTYPE_float32, t->n_dims, t->dims, y, 0);
    return QS_OK;
}

/* The variable that holds the float weight: the parameter itself, or, when others read it as it
 * is, the variable that the operator wrote, which becomes a parameter. */
static int32_t
float_weight(struct apart *a, int32_t from, int32_t written)
{
    struct qs_var *v = &a->m->var[written];
    if (a->stays_read[from] == 0 || a->weight_of[from] >= 0)
        return a->weight_of[from] < 0 ? from : a->out->weight[a->weight_of[from]].var;
    v->persistable = 1;
    if (!v->declared)
        qs_model_declare(a->m, written);
    return written;
}

/* Quantization operators */

static void
set_alias(struct apart *a, int32_t var, int32_t base, enum form form, int act, int weight)
{
    a->alias[var] = (struct alias){base, a->version[base], form, act, weight};
}

/* The axis of the scales of a weight that an operator rounds or turns back alone. */
static int
axis_of(const struct kind *k, const struct qs_node *node, const struct qs_tensor *t, int64_t n)
{
    const bool channels = k->channels || (k->scale && strcmp(k->scale, "Scale") != 0);
    const int64_t axis = qs_attr_int(node, "quant_axis", is_linear(k) ? -1 : channels ? 0 : -1);
    if ((!is_linear(k) && !channels) || axis < 0 || axis >= t->n_dims)
        return -1;
    return n == 1 && t->dims[axis] != 1 ? -1 : (int)axis;
}

/* Largest magnitude of each channel: what the operator finds when it runs. */
static double *
absmax_of(const struct qs_tensor *t, int axis, int64_t *n)
{
    const struct qs_channels ch = qs_channels_of(t, axis);
    float *absmax = qs_xcalloc((size_t)ch.n_channels, sizeof(*absmax));
    double *out = qs_xcalloc((size_t)ch.n_channels, sizeof(*out));
    qs_channel_absmax(t, ch, absmax);
    for (int64_t c = 0; c < ch.n_channels; c++)
        out[c] = absmax[c];
    free(absmax);
    *n = ch.n_channels;
    return out;
}

/* Thresholds and axis of a weight that goes through a quantization operator. */
static void
read_scales(const struct apart *a, const struct kind *k, const struct qs_node *node,
            const struct qs_tensor *t, struct qs_quant_weight *w)
{
    const int known = a->weight_of[qs_node_input(node, "X", 0)];
    if (k->scale)
        w->threshold = read_floats(a, qs_node_input(node, k->scale, 0), &w->n_scales);
    w->axis = axis_of(k, node, t, k->scale ? w->n_scales : 0);
    if (!k->scale && known >= 0) { /* its values are rounded by now */
        const struct qs_quant_weight *old = &a->out->weight[known];
        w->n_scales = old->n_scales;
        w->threshold = qs_xcalloc((size_t)old->n_scales, sizeof(*w->threshold));
        memcpy(w->threshold, old->threshold, (size_t)old->n_scales * sizeof(*w->threshold));
    } else if (!k->scale && t->dtype == QS_DTYPE_float32)
        w->threshold = absmax_of(t, w->axis, &w->n_scales);
}

/* A parameter goes through a quantization operator. */
static enum qs_err
take_weight(struct apart *a, const struct kind *k, const struct qs_node *node, int32_t x, int32_t y)
{
    struct qs_quant_weight w = {.var = float_weight(a, x, y), .bits = bits_of(k, node)};
    const enum qs_static_rounding how = is_away(k, node) ? QS_STATIC_AWAY : QS_STATIC_EVEN;
    int index = -1;
    read_scales(a, k, node, a->m->var[x].data, &w);
    if (!w.threshold || w.bits == 0) {
        free(w.threshold);
        return qs_fail(a->cx, QS_ERR_FORMAT, _("the scales of weight '%s' are missing"),
                       name_of(a, x));
    }
    const enum qs_err err = add_weight(a, x, w, k->does == TO_FLOAT ? NULL : &how, &index);
    if (!err)
        set_alias(a, y, a->out->weight[index].var, k->does == TO_INTEGERS ? INTEGERS : ROUNDED, -1,
                  index);
    return err;
}

static void
take_act(struct apart *a, const struct kind *k, const struct qs_node *node, const struct alias *x,
         int32_t y)
{
    struct qs_quant_act act = {
        .var = x->base, .bits = bits_of(k, node), .half_away = is_away(k, node)};
    threshold_of(a, k, node, &act.threshold);
    set_alias(a, y, x->base, k->does == ROUND ? ROUNDED : INTEGERS, add_act(a, act), -1);
}

/* Integers back to floats, the same scale on both sides. */
static enum qs_err
take_back(struct apart *a, const struct kind *k, const struct qs_node *node, int32_t x, int32_t y)
{
    const struct alias from = a->alias[x];
    double t = 0;
    const bool one = threshold_of(a, k, node, &t);
    const int bits = from.act >= 0 ? a->out->act[from.act].bits : a->out->weight[from.weight].bits;
    const double range = (double)qs_quant_range(bits);
    if ((from.act >= 0 && (!one || t != a->out->act[from.act].threshold)) ||
        qs_attr_float(node, "max_range", range) != range)
        return qs_fail(a->cx, QS_ERR_FORMAT,
                       _("'%s' is rounded with one scale and read with another"),
                       name_of(a, from.base));
    a->alias[y] = from;
    a->alias[y].form = ROUNDED;
    return QS_OK;
}

/* A node that multiplies integers: the operator after it, whose scales are those of the weight
 * and of the activation. */
struct scaling {
    const struct kind *k;
    const struct qs_node *node;
    const struct qs_quant_node *of;
    const struct qs_quant_act *act;
};

/* Thresholds of a weight of integers; NULL when they are missing. */
static double *
weight_thresholds(const struct apart *a, const struct scaling *s, struct qs_quant_weight *w)
{
    if (strcmp(s->k->scale, "Scales") == 0) {
        w->bits = bits_of(s->k, s->node);
        return read_floats(a, qs_node_input(s->node, "Scales", 0), &w->n_scales);
    }
    const double range = (double)qs_quant_range(s->act->bits);
    double *t = qs_xcalloc(1, sizeof(*t));
    w->bits = s->act->bits;
    w->n_scales = 1;
    *t = (double)(float)(range * range / qs_attr_float(s->node, "max_range", 0));
    return t;
}

/* conv2d_transpose in groups has a filter [Cin, Cout / groups, h, w], but a scale for each of Cout:
 * they are noted once when they repeat. */
static void
drop_groups(const struct qs_node *of, const struct qs_tensor *t, struct qs_quant_weight *w)
{
    const int64_t groups = qs_attr_int(of, "groups", 1), n = w->axis < 0 ? 0 : t->dims[w->axis];
    if (strcmp(of->type, "conv2d_transpose") != 0 || groups < 2 || n < 1 ||
        w->n_scales / n != groups || w->n_scales % n != 0)
        return;
    for (int64_t i = n; i < w->n_scales; i++)
        if (w->threshold[i] != w->threshold[i - n])
            return;
    w->n_scales = n;
}

static enum qs_err
take_integer_weight(struct apart *a, const struct scaling *s, int32_t var, int *index)
{
    const struct qs_tensor *t = a->m->var[var].data;
    const struct qs_node *of = &a->node[s->of->node];
    struct qs_quant_weight w = {.var = var, .axis = qs_weight_axis(of, t->n_dims)};
    w.threshold = weight_thresholds(a, s, &w);
    drop_groups(of, t, &w);
    if (w.n_scales == 1 && w.axis >= 0 && t->dims[w.axis] != 1)
        w.axis = -1;
    if (!w.threshold || w.bits == 0) {
        free(w.threshold);
        return qs_fail(a->cx, QS_ERR_FORMAT, _("the scales of weight '%s' are missing"),
                       name_of(a, var));
    }
    return add_weight(a, var, w, NULL, index);
}

static bool
activation_scale_fits(const struct apart *a, const struct scaling *s)
{
    const bool both = strcmp(s->k->scale, "Scales") == 0;
    int64_t n;
    double *t = read_floats(a, qs_node_input(s->node, s->k->scale, both), &n);
    const bool fits = t && n == 1 && t[0] == s->act->threshold;
    free(t);
    return fits;
}

/* The output of a product of integers becomes that of floats. */
static enum qs_err
take_scaling(struct apart *a, const struct kind *k, const struct qs_node *node, int32_t x,
             int32_t y)
{
    struct qs_quant_node *q = &a->out->node[a->waits[x]];
    const struct qs_node *of = &a->node[q->node];
    const int32_t w =
        of->op && of->op->weight_slot ? qs_node_input(of, of->op->weight_slot, 0) : -1;
    enum qs_err err = QS_OK;
    int index = q->weight;
    a->waits[x] = -1;
    if (q->act < 0 || (q->weight < 0 && (w < 0 || !is_constant(a, w))))
        return qs_fail(a->cx, QS_ERR_FORMAT, _("'%s' is scaled, but is no product of integers"),
                       name_of(a, x));
    const struct scaling s = {k, node, q, &a->out->act[q->act]};
    if (!activation_scale_fits(a, &s))
        return qs_fail(a->cx, QS_ERR_FORMAT,
                       _("'%s' is rounded with one scale and read with another"),
                       name_of(a, s.act->var));
    if (q->weight < 0)
        err = take_integer_weight(a, &s, w, &index);
    q->weight = index;
    set_alias(a, y, x, PLAIN, -1, -1);
    return err;
}

static void
take_observer(struct apart *a, const struct kind *k, const struct qs_node *node, int32_t x,
              int32_t y)
{
    double t;
    if (threshold_of(a, k, node, &t) && a->alias[x].form == PLAIN)
        observe(a, a->alias[x].base, bits_of(k, node), t, is_away(k, node));
    if (y >= 0)
        a->alias[y] = a->alias[x];
}

/* Operators that stay */

static enum qs_err
resolve(const struct apart *a, int32_t var, int32_t *base)
{
    const struct alias *x = &a->alias[var];
    if (x->base != var && x->version != a->version[x->base])
        return qs_fail(a->cx, QS_ERR_UNSUPPORTED,
                       _("'%s' changes between being rounded and being read"), name_of(a, x->base));
    *base = x->base;
    return QS_OK;
}

static enum qs_err
rename_inputs(struct apart *a, struct qs_node *node)
{
    for (int s = 0; s < node->n_in; s++) {
        const struct qs_slot *slot = &node->in[s];
        int32_t *var = qs_xmalloc((size_t)slot->n * sizeof(*var) + 1);
        bool changed = false;
        enum qs_err err = QS_OK;
        for (int i = 0; i < slot->n && !err; i++) {
            err = resolve(a, slot->var[i], &var[i]);
            changed = changed || var[i] != slot->var[i];
        }
        if (!err && changed)
            qs_node_set_in(a->m, node, slot->name, var, slot->n);
        free(var);
        if (err)
            return err;
    }
    return QS_OK;
}

static void
add_read(struct qs_quant_node *q, int act)
{
    q->all = qs_xrealloc(q->all, (size_t)(q->n_all + 1) * sizeof(*q->all));
    q->all[q->n_all++] = act;
    if (q->n_all == 1)
        q->act = act;
    else if (q->n_all == 2)
        q->act2 = act;
}

/* Notes which inputs are rounded; true when they are integers that wait to be scaled. */
static bool
note_reads(const struct apart *a, const struct qs_node *node, struct qs_quant_node *q)
{
    bool waits = false;
    for (int s = 0; s < node->n_in; s++)
        for (int i = 0; i < node->in[s].n; i++) {
            const struct alias *x = &a->alias[node->in[s].var[i]];
            if (x->form == PLAIN)
                continue;
            waits = waits || x->form == INTEGERS;
            if (x->act >= 0)
                add_read(q, x->act);
            else if (q->weight < 0)
                q->weight = x->weight;
        }
    return waits;
}

/* Ranges of outputs that the older format keeps in attributes. */
static void
observe_outputs(struct apart *a, const struct qs_node *node)
{
    const int64_t bits = qs_attr_int(node, "activation_bits", 8);
    for (int s = 0; s < node->n_out; s++)
        for (int i = 0; i < node->out[s].n; i++) {
            char name[96];
            snprintf(name, sizeof(name), "%.60s%d_threshold", node->out[s].name, i);
            const double t = qs_attr_float(node, name, -1);
            if (t >= 0 && bits >= 2 && bits <= 16)
                observe(a, node->out[s].var[i], (int)bits, t, true);
        }
}

static void
write_outputs(struct apart *a, const struct qs_node *node, int waits)
{
    for (int s = 0; s < node->n_out; s++)
        for (int i = 0; i < node->out[s].n; i++) {
            const int32_t v = node->out[s].var[i];
            a->version[v]++;
            a->waits[v] = waits;
            set_alias(a, v, v, PLAIN, -1, -1);
        }
}

static enum qs_err
pass_on(struct apart *a, const struct qs_node *from)
{
    struct qs_node *node = &a->node[a->n_node];
    struct qs_quant_node q = {.node = a->n_node, .act = -1, .act2 = -1, .weight = -1};
    *node = *from;
    const bool waits = note_reads(a, node, &q);
    const bool noted = q.n_all > 0 || q.weight >= 0;
    enum qs_err err = rename_inputs(a, node);
    if (noted) {
        a->out->node = grow(a->out->node, a->out->n_node, &a->cap_quant, sizeof(q));
        a->out->node[a->out->n_node++] = q;
    }
    if (err)
        return err;
    a->n_node++;
    write_outputs(a, node, waits ? a->out->n_node - 1 : -1);
    if (!kind_of(node)) {
        observe_outputs(a, node);
        qs_drop_quant_attributes(a->m, node);
    }
    return QS_OK;
}

static void
touch(struct apart *a, const struct qs_slot *slot, int n)
{
    for (int s = 0; s < n; s++)
        for (int i = 0; i < slot[s].n; i++)
            a->touched[slot[s].var[i]] = true;
}

static enum qs_err
take(struct apart *a, int i)
{
    const struct qs_node *node = node_at(a, i);
    const struct kind *k = kind_of(node);
    const int32_t x = k ? qs_node_input(node, "X", 0) : -1;
    const int32_t y = k ? qs_node_output(node, k->out, 0) : -1;
    if (!k || a->stay[i] || x < 0 || (y < 0 && k->does != WATCH))
        return pass_on(a, node);
    const struct alias *from = &a->alias[x];
    const bool watches = only_watches(k, node), back = k->does == TO_FLOAT;
    const bool weight = from->form == PLAIN && from->base == x && is_constant(a, x);
    const bool again = !back && from->form != PLAIN && from->weight >= 0;
    if (!watches && (again || (back && !weight && from->form != INTEGERS && a->waits[x] < 0)))
        return pass_on(a, node);
    touch(a, node->in, node->n_in);
    touch(a, node->out, node->n_out);
    if (watches)
        take_observer(a, k, node, x, y);
    else if (weight)
        return take_weight(a, k, node, x, y);
    else if (back && from->form == INTEGERS)
        return take_back(a, k, node, x, y);
    else if (back)
        return take_scaling(a, k, node, x, y);
    else
        take_act(a, k, node, from, y);
    return QS_OK;
}

/* What stays */

struct link {
    int a, b;
};
struct links {
    struct link *v;
    int n, cap;
};

static void
add_link(struct links *l, int a, int b)
{
    l->v = grow(l->v, l->n, &l->cap, sizeof(*l->v));
    l->v[l->n++] = (struct link){a, b};
}

static bool
reads_constant(const struct apart *a, int i)
{
    const int32_t x = qs_node_input(node_at(a, i), "X", 0);
    return x >= 0 && is_constant(a, x);
}

/* Whether the node at i rounds an activation: a quantizer, or the way back from one. */
static bool
rounds(const struct apart *a, const int *from, int i)
{
    const struct kind *k = i < 0 ? NULL : kind_of(node_at(a, i));
    if (!k || k->does == WATCH || k->does == TO_INTEGERS)
        return false;
    if (k->does == ROUND)
        return !reads_constant(a, i);
    const int src = from[i];
    const struct kind *of = src < 0 ? NULL : kind_of(node_at(a, src));
    return of && of->does == TO_INTEGERS && !reads_constant(a, src);
}

static bool
same_rounding(const struct apart *a, const int *from, int i, int k)
{
    const struct qs_node *x = node_at(a, i), *y = node_at(a, k);
    if (kind_of(x)->does == TO_FLOAT)
        x = node_at(a, from[i]);
    const struct kind *kx = kind_of(x), *ky = kind_of(y);
    double tx, ty;
    return threshold_of(a, kx, x, &tx) && threshold_of(a, ky, y, &ty) && tx == ty &&
           bits_of(kx, x) == bits_of(ky, y) && is_away(kx, x) == is_away(ky, y);
}

/* Whether a quantizer of an activation has no place in the notes; rounding twice keeps the first.
 */
static bool
must_stay(struct apart *a, const struct kind *k, const int *from, int i)
{
    const struct qs_node *node = node_at(a, i);
    const int32_t x = qs_node_input(node, "X", 0);
    double t;
    if (x < 0 || k->does == TO_FLOAT || is_constant(a, x))
        return false;
    const int src = from[i];
    const struct kind *of = src < 0 ? NULL : kind_of(node_at(a, src));
    const bool integers = of && of->does == TO_INTEGERS;
    if (integers || (rounds(a, from, src) && !same_rounding(a, from, src, i)))
        a->stay[src] = true;
    return integers || !threshold_of(a, k, node, &t) || bits_of(k, node) == 0;
}

/* An operator that multiplies integers hangs together with who made them and who scales them. */
static void
link_reads(const struct apart *a, const int *last, int i, struct links *l)
{
    const struct qs_node *node = node_at(a, i);
    for (int s = 0; s < node->n_in; s++)
        for (int k = 0; k < node->in[s].n; k++) {
            const int src = last[node->in[s].var[k]];
            const struct kind *of = src < 0 ? NULL : kind_of(node_at(a, src));
            if (of && of->does == TO_INTEGERS && !only_watches(of, node_at(a, src)))
                add_link(l, i, src);
        }
}

static void
spread(struct apart *a, const struct links *l)
{
    bool changed = true;
    while (changed) {
        changed = false;
        for (int k = 0; k < 2 * l->n; k++) { /* there and back */
            const struct link *x = &l->v[k < l->n ? k : 2 * l->n - 1 - k];
            changed = changed || a->stay[x->a] != a->stay[x->b];
            a->stay[x->a] = a->stay[x->b] = a->stay[x->a] || a->stay[x->b];
        }
    }
}

/* Where the value of a variable was made: the last node to write it, observers looked through. */
static void
note_writer(int *last, const struct qs_node *node, int i, bool watches)
{
    const int32_t x = qs_node_input(node, "X", 0);
    const int through = watches && x >= 0 ? last[x] : i;
    for (int s = 0; s < node->n_out; s++)
        for (int k = 0; k < node->out[s].n; k++)
            last[node->out[s].var[k]] = through;
}

static bool
writes_any(const struct qs_node *node, const bool *var)
{
    for (int s = 0; s < node->n_out; s++)
        for (int k = 0; k < node->out[s].n; k++)
            if (var[node->out[s].var[k]])
                return true;
    return false;
}

static void
find_what_stays(struct apart *a, const bool *elsewhere)
{
    const int n = a->m->block[0].n_node;
    int *last = qs_xmalloc(((size_t)a->m->n_var + 1) * sizeof(*last));
    int *from = qs_xmalloc(((size_t)n + 1) * sizeof(*from));
    struct links l = {0};
    for (int v = 0; v < a->m->n_var; v++)
        last[v] = -1;
    for (int i = 0; i < n; i++) {
        const struct qs_node *node = node_at(a, i);
        const struct kind *k = kind_of(node);
        const bool watches = k && only_watches(k, node);
        const int32_t x = k ? qs_node_input(node, "X", 0) : -1;
        from[i] = x < 0 ? -1 : last[x];
        if (k && writes_any(node, elsewhere))
            a->stay[i] = true;
        if (k && !watches && must_stay(a, k, from, i))
            a->stay[i] = true;
        if (k && k->does == TO_FLOAT && !watches && from[i] >= 0)
            add_link(&l, i, from[i]);
        else if (!k)
            link_reads(a, last, i, &l);
        note_writer(last, node, i, watches && !a->stay[i]);
    }
    spread(a, &l);
    free(l.v);
    free(from);
    free(last);
}

/* Before and after the walk */

static void
count(const struct qs_slot *slot, int n, int *counts)
{
    for (int s = 0; s < n; s++)
        for (int i = 0; i < slot[s].n; i++)
            counts[slot[s].var[i]]++;
}

static void
count_all(struct apart *a, bool *elsewhere)
{
    int *used = qs_xcalloc((size_t)a->m->n_var + 1, sizeof(*used));
    for (int b = 0; b < a->m->n_block; b++)
        for (int i = 0; i < a->m->block[b].n_node; i++) {
            const struct qs_node *node = &a->m->block[b].node[i];
            count(node->out, node->n_out, a->writes);
            if (b > 0) {
                count(node->in, node->n_in, used);
                count(node->in, node->n_in, a->stays_read);
                count(node->out, node->n_out, used);
            }
        }
    for (int v = 0; v < a->m->n_var; v++)
        elsewhere[v] = used[v] > 0;
    free(used);
}

static void
start(struct apart *a)
{
    const size_t n_var = (size_t)a->m->n_var + 1, n_node = (size_t)a->m->block[0].n_node + 1;
    bool *elsewhere = qs_xcalloc(n_var, sizeof(*elsewhere));
    a->alias = qs_xcalloc(n_var, sizeof(*a->alias));
    a->version = qs_xcalloc(n_var, sizeof(*a->version));
    a->writes = qs_xcalloc(n_var, sizeof(*a->writes));
    a->stays_read = qs_xcalloc(n_var, sizeof(*a->stays_read));
    a->touched = qs_xcalloc(n_var, sizeof(*a->touched));
    a->weight_of = qs_xcalloc(n_var, sizeof(*a->weight_of));
    a->waits = qs_xcalloc(n_var, sizeof(*a->waits));
    a->stay = qs_xcalloc(n_node, sizeof(*a->stay));
    a->node = qs_arena_calloc(&a->m->arena, n_node, sizeof(*a->node));
    for (int v = 0; v < a->m->n_var; v++) {
        a->weight_of[v] = a->waits[v] = -1;
        set_alias(a, v, v, PLAIN, -1, -1);
    }
    count_all(a, elsewhere);
    find_what_stays(a, elsewhere);
    for (int i = 0; i < a->m->block[0].n_node; i++)
        if (!kind_of(node_at(a, i)) || a->stay[i])
            count(node_at(a, i)->in, node_at(a, i)->n_in, a->stays_read);
    free(elsewhere);
}

static void
finish(struct apart *a)
{
    free(a->alias);
    free(a->version);
    free(a->writes);
    free(a->stays_read);
    free(a->touched);
    free(a->weight_of);
    free(a->waits);
    free(a->stay);
}

/* Integers that an operator reads as such must not be read by another as floats. */
static enum qs_err
check_readers(const struct apart *a)
{
    const struct qs_static_notes *o = a->out;
    int *reads = qs_xcalloc((size_t)o->n_weight + 1, sizeof(*reads));
    enum qs_err err = QS_OK;
    for (int i = 0; i < o->n_node; i++)
        if (o->node[i].weight >= 0)
            reads[o->node[i].weight]++;
    for (int v = 0; v < a->m->n_var && !err; v++) {
        const int w = a->weight_of[v];
        if (w >= 0 && o->weight[w].var == v && a->stays_read[v] > 0 && a->stays_read[v] != reads[w])
            err = qs_fail(a->cx, QS_ERR_FORMAT, _("weight '%s' is read as integers and as floats"),
                          name_of(a, v));
        if (a->waits[v] >= 0)
            err = qs_fail(a->cx, QS_ERR_FORMAT, _("'%s' is a product of integers, but not scaled"),
                          name_of(a, v));
    }
    free(reads);
    return err;
}

static bool
has_operators(const struct qs_model *m)
{
    for (int i = 0; i < m->block[0].n_node; i++)
        if (kind_of(&m->block[0].node[i]))
            return true;
    return false;
}

static enum qs_err
walk(struct apart *a)
{
    const int n = a->m->block[0].n_node;
    enum qs_err err = QS_OK;
    for (int i = 0; i < n && !err; i++)
        err = take(a, i);
    if (!err)
        err = check_readers(a);
    if (err)
        return err;
    a->m->block[0].node = a->node;
    a->m->block[0].n_node = a->n_node;
    qs_model_forget_unused(a->m, a->touched);
    return QS_OK;
}

enum qs_err
qs_static_take_apart(struct qs_ctx *cx, struct qs_model *m, struct qs_static_notes *out)
{
    struct apart a = {.cx = cx, .m = m, .out = out};
    *out = (struct qs_static_notes){0};
    if (m->n_block == 0)
        return QS_OK;
    enum qs_err err = qs_take_scales(cx, m, out);
    if (err || out->n_weight > 0 || out->n_act > 0 || !has_operators(m))
        return err;
    start(&a);
    err = walk(&a);
    finish(&a);
    return err;
}
