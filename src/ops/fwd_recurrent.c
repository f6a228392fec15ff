/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recurrent layers. The product of all inputs with the input weights is made at once; then a step
 * per time multiplies the state. Gate orders: rnn LSTM i f g o, GRU r z c; lstm of 1.x c i f o,
 * gru of 1.x u r c.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "ops/forward.h"

static float
sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

static float
identity(float x)
{
    return x;
}

static float
relu(float x)
{
    return x < 0 ? 0 : x;
}

typedef float gate_fn(float x);

static gate_fn *
gate_named(const char *name)
{
    static const struct {
        const char *name;
        gate_fn *fn;
    } table[] = {{"sigmoid", sigmoid}, {"tanh", tanhf}, {"relu", relu}, {"identity", identity}};
    for (size_t i = 0; name && i < QS_LEN(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].fn;
    return NULL;
}

/* rnn */

enum cell { LSTM, GRU, TANH, RELU };

struct layer {
    enum cell cell;
    int64_t t, b, in, h; /* times, batch, features of the input, hidden */
    int gates;
    const float *x;              /* [t][b][in] */
    const float *w_in, *w_state; /* [gates*h][in], [gates*h][h] */
    const float *b_in, *b_state; /* [gates*h] */
    const int64_t *length;       /* [b] or NULL */
    bool backward;
    float *hidden, *memory; /* [b][h] state; memory: LSTM only */
    float *y;               /* first element of this direction */
    int64_t y_row;          /* floats per batch row of y */
};

static void
lstm_cell(const struct layer *l, const float *g, float *hidden, float *memory)
{
    const int64_t h = l->h;
    for (int64_t i = 0; i < h; i++) {
        const float c = sigmoid(g[h + i]) * memory[i] + sigmoid(g[i]) * tanhf(g[2 * h + i]);
        memory[i] = c;
        hidden[i] = sigmoid(g[3 * h + i]) * tanhf(c);
    }
}

/* g: of the input; s: of the state with its bias */
static void
gru_cell(const struct layer *l, const float *g, const float *s, float *hidden)
{
    const int64_t h = l->h;
    for (int64_t i = 0; i < h; i++) {
        const float r = sigmoid(g[i] + s[i]), z = sigmoid(g[h + i] + s[h + i]);
        const float n = tanhf(g[2 * h + i] + r * s[2 * h + i]);
        hidden[i] = z * hidden[i] + (1 - z) * n;
    }
}

static void
run_cell(const struct layer *l, float *g, const float *s, int64_t b)
{
    float *hidden = l->hidden + b * l->h;
    if (l->cell == GRU) {
        gru_cell(l, g, s, hidden);
        return;
    }
    for (int64_t i = 0; i < l->gates * l->h; i++)
        g[i] += s[i];
    if (l->cell == LSTM)
        lstm_cell(l, g, hidden, l->memory + b * l->h);
    else
        for (int64_t i = 0; i < l->h; i++)
            hidden[i] = l->cell == TANH ? tanhf(g[i]) : relu(g[i]);
}

/* One time: `all` [b][gates*h] is what the input gives, `state` the same size as room. */
static void
run_time(const struct layer *l, int64_t t, float *all, float *state)
{
    const int64_t width = l->gates * l->h;
    for (int64_t b = 0; b < l->b; b++)
        memcpy(state + b * width, l->b_state, (size_t)width * sizeof(float));
    qk_sgemm(l->b, width, l->h, 1, (struct qk_matrix){l->hidden, l->h, 0},
             (struct qk_matrix){l->w_state, l->h, 1}, 1, state, width);
    for (int64_t b = 0; b < l->b; b++) {
        float *y = l->y + (t * l->b + b) * l->y_row;
        if (l->length && t >= l->length[b]) {
            memset(y, 0, (size_t)l->h * sizeof(float));
            continue;
        }
        run_cell(l, all + b * width, state + b * width, b);
        memcpy(y, l->hidden + b * l->h, (size_t)l->h * sizeof(float));
    }
}

static enum qs_err
run_direction(struct qs_step *st, const struct layer *l)
{
    const int64_t width = l->gates * l->h, rows = l->t * l->b;
    struct qs_buf *buf = NULL;
    float *all;
    enum qs_err err = qs_fwd_floats(st->cx, qs_mul_sat(rows + l->b, width), &buf, &all);
    if (err)
        return err;
    for (int64_t r = 0; r < rows; r++)
        memcpy(all + r * width, l->b_in, (size_t)width * sizeof(float));
    const struct qs_gemm g = {.batch = 1,
                              .m = rows,
                              .n = width,
                              .k = l->in,
                              .alpha = 1,
                              .beta = 1,
                              .a = {l->x, l->in, 0},
                              .b = {l->w_in, l->in, 1},
                              .c = all};
    err = qs_fwd_gemm(st, &g);
    for (int64_t i = 0; i < l->t && !err; i++) {
        const int64_t t = l->backward ? l->t - 1 - i : i;
        run_time(l, t, all + t * l->b * width, all + rows * width);
    }
    qs_buf_unref(buf);
    return err;
}

struct rnn {
    struct layer l;
    int64_t layers, dirs, input;
    const struct qs_value *x;
    struct qs_value *y;
    float *state[2]; /* [layers*dirs][b][h]: hidden, memory */
};

static enum qs_err
weight(struct qs_step *st, int64_t i, int64_t count, const float **out)
{
    const struct qs_value *v = qs_step_in(st, "WeightList", (int)i);
    if (!v || v->dtype != QS_DTYPE_float32 || v->count != count)
        return qs_step_fail(st, _("weight %" PRId64 " has not %" PRId64 " elements of float32"), i,
                            count);
    *out = v->f32;
    return QS_OK;
}

static enum qs_err
set_weights(struct qs_step *st, struct rnn *r, int64_t which)
{
    struct layer *l = &r->l;
    const int64_t width = l->gates * l->h, biases = 2 * r->layers * r->dirs;
    enum qs_err err = weight(st, 2 * which, qs_mul_sat(width, l->in), &l->w_in);
    if (!err)
        err = weight(st, 2 * which + 1, qs_mul_sat(width, l->h), &l->w_state);
    if (!err)
        err = weight(st, biases + 2 * which, width, &l->b_in);
    return err ? err : weight(st, biases + 2 * which + 1, width, &l->b_state);
}

static enum qs_err
run_layers(struct qs_step *st, struct rnn *r)
{
    struct qs_buf *from = NULL, *to = NULL;
    enum qs_err err = QS_OK;
    const int64_t wide = r->dirs * r->l.h;
    r->l.x = r->x->f32;
    for (int64_t layer = 0; layer < r->layers && !err; layer++) {
        float *y = r->y->f32;
        r->l.in = layer == 0 ? r->input : wide;
        if (layer < r->layers - 1)
            err = qs_fwd_floats(st->cx, r->y->count, &to, &y);
        for (int64_t dir = 0; dir < r->dirs && !err; dir++) {
            const int64_t which = layer * r->dirs + dir;
            r->l.backward = dir == 1;
            r->l.y = y + dir * r->l.h;
            r->l.hidden = r->state[0] + which * r->l.b * r->l.h;
            r->l.memory = r->state[1] ? r->state[1] + which * r->l.b * r->l.h : NULL;
            err = set_weights(st, r, which);
            if (!err)
                err = run_direction(st, &r->l);
        }
        qs_buf_unref(from);
        from = to;
        to = NULL;
        r->l.x = y;
    }
    qs_buf_unref(from);
    qs_buf_unref(to);
    return err;
}

static enum qs_err
set_cell(struct qs_step *st, struct layer *l)
{
    static const struct {
        const char *mode;
        enum cell cell;
        int gates;
    } table[] = {{"LSTM", LSTM, 4}, {"GRU", GRU, 3}, {"RNN_TANH", TANH, 1}, {"RNN_RELU", RELU, 1}};
    const char *mode = qs_attr_str(st->node, "mode", "RNN_TANH");
    for (size_t i = 0; i < QS_LEN(table); i++)
        if (strcmp(table[i].mode, mode) == 0) {
            l->cell = table[i].cell;
            l->gates = table[i].gates;
            return QS_OK;
        }
    return qs_step_fail(st, _("there is no mode '%s'"), mode);
}

/* The states start as PreState and end as State. */
static enum qs_err
start_states(struct qs_step *st, struct rnn *r, struct qs_buf **buf)
{
    const int64_t count = r->layers * r->dirs * r->l.b * r->l.h;
    const int n = r->l.cell == LSTM ? 2 : 1;
    const enum qs_err err = qs_fwd_floats(st->cx, 2 * count, buf, &r->state[0]);
    if (err)
        return err;
    r->state[1] = n == 2 ? r->state[0] + count : NULL;
    for (int i = 0; i < n; i++) {
        const struct qs_value *v = qs_step_in(st, "PreState", i);
        if (v && (v->dtype != QS_DTYPE_float32 || v->count != count))
            return qs_step_fail(st, _("'%s' has %" PRId64 " elements, not %" PRId64), "PreState",
                                v->count, count);
        if (v)
            memcpy(r->state[i], v->data, (size_t)count * sizeof(float));
        else
            memset(r->state[i], 0, (size_t)count * sizeof(float));
    }
    return QS_OK;
}

/* Steps of each sequence; NULL: all. */
static enum qs_err
read_lengths(struct qs_step *st, const struct qs_value *v, struct layer *l)
{
    if (!v)
        return QS_OK;
    if (v->count != l->b)
        return qs_step_fail(st, _("'%s' has %" PRId64 " elements, not %" PRId64), "SequenceLength",
                            v->count, l->b);
    int64_t *length = qs_arena_alloc(st->scratch, ((size_t)v->count + 1) * sizeof(*length));
    for (int64_t i = 0; i < v->count; i++)
        length[i] = qs_value_int(v, i);
    l->length = length;
    return QS_OK;
}

static void
keep_states(const struct qs_step *st, const struct rnn *r)
{
    for (int i = 0; i < 2 && r->state[i]; i++) {
        struct qs_value *v = qs_step_out(st, "State", i);
        if (v && v->dtype == QS_DTYPE_float32)
            memcpy(v->data, r->state[i], (size_t)v->count * sizeof(float));
    }
}

enum qs_err
qs_fwd_rnn(struct qs_step *st)
{
    struct rnn r = {.layers = qs_attr_int(st->node, "num_layers", 1),
                    .dirs = qs_attr_int(st->node, "is_bidirec", 0) ? 2 : 1};
    const struct qs_value *length = qs_step_in(st, "SequenceLength", 0);
    struct qs_buf *buf = NULL;
    enum qs_err err = set_cell(st, &r.l);
    if (!err)
        err = qs_fwd_need(st, "Input", QS_DTYPE_float32, &r.x);
    if (!err)
        err = qs_fwd_out(st, "Out", &r.y);
    if (err)
        return err;
    r.l.t = r.x->d[0];
    r.l.b = r.x->d[1];
    r.input = r.x->d[2];
    r.l.h = qs_attr_int(st->node, "hidden_size", 100);
    r.l.y_row = r.dirs * r.l.h;
    err = read_lengths(st, length, &r.l);
    if (!err)
        err = start_states(st, &r, &buf);
    if (!err)
        err = run_layers(st, &r);
    if (!err)
        keep_states(st, &r);
    qs_buf_unref(buf);
    return err;
}

/* lstm, gru of 1.x: the input already has gates*h features; rows of a sequence follow each other.
 */

struct sequence {
    int64_t from, to;
};

struct old_layer {
    const struct qs_value *x;
    int64_t h, width;
    const float *w, *bias, *h0, *c0;
    bool peephole, reverse, origin;
    gate_fn *gate, *cell, *candidate;
    float *y, *memory; /* [rows][h] */
};

/* gates: c i f o; bias [4h] or [7h] with the peepholes of i, f, o */
static void
old_lstm_step(const struct old_layer *l, float *g, const float *before, float *c, float *y)
{
    const int64_t h = l->h;
    const float *peep = l->peephole ? l->bias + 4 * h : NULL;
    for (int64_t i = 0; i < h; i++) {
        const float old = before ? before[i] : 0;
        const float in = l->gate(g[h + i] + (peep ? peep[i] * old : 0));
        const float forget = l->gate(g[2 * h + i] + (peep ? peep[h + i] * old : 0));
        c[i] = l->candidate(g[i]) * in + old * forget;
        y[i] = l->gate(g[3 * h + i] + (peep ? peep[2 * h + i] * c[i] : 0)) * l->cell(c[i]);
    }
}

static void
old_lstm_sequence(const struct old_layer *l, int64_t number, struct sequence s, float *g)
{
    const float *y = l->h0 ? l->h0 + number * l->h : NULL;
    const float *c = l->c0 ? l->c0 + number * l->h : NULL;
    for (int64_t i = 0; i < s.to - s.from; i++) {
        const int64_t row = l->reverse ? s.to - 1 - i : s.from + i;
        for (int64_t k = 0; k < l->width; k++)
            g[k] = l->x->f32[row * l->width + k] + (l->bias ? l->bias[k] : 0);
        if (y)
            qk_sgemm(1, l->width, l->h, 1, (struct qk_matrix){y, l->h, 0},
                     (struct qk_matrix){l->w, l->width, 0}, 1, g, l->width);
        old_lstm_step(l, g, c, l->memory + row * l->h, l->y + row * l->h);
        y = l->y + row * l->h;
        c = l->memory + row * l->h;
    }
}

/* gates u r c; weight: [h][2h] for u and r, then [h][h] for the candidate. `reset`: room [h]. */
static void
old_gru_step(const struct old_layer *l, float *g, const float *before, float *reset, float *y)
{
    const int64_t h = l->h;
    if (before)
        qk_sgemm(1, 2 * h, h, 1, (struct qk_matrix){before, h, 0},
                 (struct qk_matrix){l->w, 2 * h, 0}, 1, g, 2 * h);
    for (int64_t i = 0; i < 2 * h; i++)
        g[i] = l->gate(g[i]);
    for (int64_t i = 0; i < h; i++)
        reset[i] = before ? g[h + i] * before[i] : 0;
    if (before)
        qk_sgemm(1, h, h, 1, (struct qk_matrix){reset, h, 0},
                 (struct qk_matrix){l->w + 2 * h * h, h, 0}, 1, g + 2 * h, h);
    for (int64_t i = 0; i < h; i++) {
        const float u = g[i], old = before ? before[i] : 0;
        const float n = g[2 * h + i] = l->candidate(g[2 * h + i]);
        y[i] = l->origin ? u * old + (1 - u) * n : (1 - u) * old + u * n;
    }
}

static void
old_gru_sequence(const struct old_layer *l, int64_t number, struct sequence s, float *g)
{
    const float *y = l->h0 ? l->h0 + number * l->h : NULL;
    for (int64_t i = 0; i < s.to - s.from; i++) {
        const int64_t row = l->reverse ? s.to - 1 - i : s.from + i;
        for (int64_t k = 0; k < l->width; k++)
            g[k] = l->x->f32[row * l->width + k] + (l->bias ? l->bias[k] : 0);
        old_gru_step(l, g, y, g + l->width, l->y + row * l->h);
        y = l->y + row * l->h;
    }
}

static enum qs_err
read_state(struct qs_step *st, const char *slot, int64_t count, const float **out)
{
    return qs_fwd_optional(st, slot, count, out);
}

static enum qs_err
read_old(struct qs_step *st, int64_t gates, struct old_layer *l, int64_t *n_seq)
{
    const struct qs_value *w, *bias = qs_step_in(st, "Bias", 0);
    struct qs_value *y;
    enum qs_err err = qs_fwd_need(st, "Input", QS_DTYPE_float32, &l->x);
    if (!err)
        err = qs_fwd_need(st, "Weight", QS_DTYPE_float32, &w);
    if (!err)
        err = qs_fwd_out(st, "Hidden", &y);
    if (err)
        return err;
    l->h = w->d[0];
    l->width = gates * l->h;
    l->w = w->f32;
    l->y = y->f32;
    l->peephole = gates == 4 && qs_attr_int(st->node, "use_peepholes", 1) != 0 && bias;
    l->reverse = qs_attr_int(st->node, "is_reverse", 0) != 0;
    l->origin = qs_attr_int(st->node, "origin_mode", 0) != 0;
    *n_seq = l->x->lod && l->x->n_lod > 1 ? l->x->n_lod - 1 : 1;
    err = qs_fwd_optional(st, "Bias", l->peephole ? 7 * l->h : l->width, &l->bias);
    if (!err)
        err = read_state(st, "H0", *n_seq * l->h, &l->h0);
    return err ? err : read_state(st, "C0", *n_seq * l->h, &l->c0);
}

static struct sequence
sequence_at(const struct qs_value *x, int64_t i)
{
    if (!x->lod || x->n_lod < 2)
        return (struct sequence){0, x->d[0]};
    return (struct sequence){x->lod[i], x->lod[i + 1]};
}

static enum qs_err
read_gates(struct qs_step *st, struct old_layer *l, const char *gate, const char *cell,
           const char *candidate)
{
    l->gate = gate_named(qs_attr_str(st->node, gate, "sigmoid"));
    l->cell = cell ? gate_named(qs_attr_str(st->node, cell, "tanh")) : tanhf;
    l->candidate = gate_named(qs_attr_str(st->node, candidate, "tanh"));
    return l->gate && l->cell && l->candidate ? QS_OK : qs_step_fail(st, _("unknown activation"));
}

static enum qs_err
run_old(struct qs_step *st, struct old_layer *l, int64_t n_seq,
        void (*run)(const struct old_layer *l, int64_t number, struct sequence s, float *g))
{
    struct qs_buf *buf = NULL;
    float *g;
    const enum qs_err err = qs_fwd_floats(st->cx, l->width + l->h, &buf, &g);
    for (int64_t i = 0; i < n_seq && !err; i++)
        run(l, i, sequence_at(l->x, i), g);
    qs_buf_unref(buf);
    return err;
}

enum qs_err
qs_fwd_lstm(struct qs_step *st)
{
    struct old_layer l = {0};
    int64_t n_seq;
    struct qs_value *cell;
    enum qs_err err = read_old(st, 4, &l, &n_seq);
    if (!err)
        err = read_gates(st, &l, "gate_activation", "cell_activation", "candidate_activation");
    if (!err)
        err = qs_fwd_out(st, "Cell", &cell);
    if (err)
        return err;
    l.memory = cell->f32;
    return run_old(st, &l, n_seq, old_lstm_sequence);
}

enum qs_err
qs_fwd_gru(struct qs_step *st)
{
    struct old_layer l = {0};
    int64_t n_seq;
    enum qs_err err = read_old(st, 3, &l, &n_seq);
    if (!err)
        err = read_gates(st, &l, "gate_activation", NULL, "activation");
    return err ? err : run_old(st, &l, n_seq, old_gru_sequence);
}

/* gru_unit: one step of every row; activations by number. */
enum qs_err
qs_fwd_gru_unit(struct qs_step *st)
{
    static gate_fn *const by_number[] = {identity, sigmoid, tanhf, relu};
    struct old_layer l = {0};
    const struct qs_value *before;
    struct qs_value *gate = qs_step_out(st, "Gate", 0);
    struct qs_value *reset = qs_step_out(st, "ResetHiddenPrev", 0);
    int64_t n_seq;
    enum qs_err err = read_old(st, 3, &l, &n_seq);
    if (!err)
        err = qs_fwd_need(st, "HiddenPrev", QS_DTYPE_float32, &before);
    const int64_t activation = qs_attr_int(st->node, "activation", 2);
    const int64_t gates = qs_attr_int(st->node, "gate_activation", 1);
    if (err)
        return err;
    if (activation < 0 || activation > 3 || gates < 0 || gates > 3)
        return qs_step_fail(st, _("unknown activation"));
    if (before->count != l.x->d[0] * l.h)
        return qs_step_fail(st, _("'%s' has %" PRId64 " elements, not %" PRId64), "HiddenPrev",
                            before->count, l.x->d[0] * l.h);
    l.candidate = by_number[activation];
    l.gate = by_number[gates];
    struct qs_buf *buf = NULL;
    float *g;
    err = qs_fwd_floats(st->cx, l.width + l.h, &buf, &g);
    for (int64_t r = 0; r < l.x->d[0] && !err; r++) {
        for (int64_t k = 0; k < l.width; k++)
            g[k] = l.x->f32[r * l.width + k] + (l.bias ? l.bias[k] : 0);
        old_gru_step(&l, g, before->f32 + r * l.h, g + l.width, l.y + r * l.h);
        if (gate)
            memcpy(gate->f32 + r * l.width, g, (size_t)l.width * sizeof(float));
        if (reset)
            memcpy(reset->f32 + r * l.h, g + l.width, (size_t)l.h * sizeof(float));
    }
    qs_buf_unref(buf);
    return err;
}
