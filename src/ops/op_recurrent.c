/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrent layers. rnn and cudnn_lstm: Input [T, B, I], time major; lstm, gru and gru_unit of
 * 1.x: Input [T, G*H] that a matrix product has made already, Weight [H, G*H]. */
#include <inttypes.h>

#include "ops/forward.h"

static enum qs_err
set_states(struct qs_infer *in, const char *slot, int first, int count, const int64_t *d)
{
    enum qs_err err = QS_OK;
    for (int i = first; i < count && !err; i++)
        err = qs_infer_set(in, slot, i, -1, 3, d);
    return err;
}

/* The first matrix of the weights is [G*H, I]; v2 packs all weights in a list. */
static enum qs_err
check_rnn_weight(const struct qs_infer *in, const struct qs_shape *x)
{
    const struct qs_shape *w = qs_infer_in(in, "WeightList", 0);
    if (w && w->n == 2 && w->d[1] != x->d[2])
        return qs_infer_fail(in, _("the weight takes %" PRId64 " features, the input has %" PRId64),
                             w->d[1], x->d[2]);
    return QS_OK;
}

static enum qs_err
rnn_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    const int64_t hidden = qs_attr_int(in->node, "hidden_size", 100);
    const int64_t layers = qs_attr_int(in->node, "num_layers", 1);
    const int64_t dirs = qs_attr_int(in->node, "is_bidirec", 0) ? 2 : 1;
    if (!x)
        return QS_OK;
    if (x->n != 3)
        return qs_infer_fail(in, _("the input has %d dimensions, not 3"), x->n);
    if (hidden < 1 || hidden > QS_ATTR_MOST || layers < 1 || layers > QS_ATTR_MOST)
        return qs_infer_fail(in, _("%" PRId64 " layers of %" PRId64 " are out of range"), layers,
                             hidden);
    enum qs_err err = check_rnn_weight(in, x);
    if (err)
        return err;
    const int64_t out[3] = {x->d[0], x->d[1], dirs * hidden};
    const int64_t state[3] = {layers * dirs, x->d[1], hidden};
    err = qs_infer_set(in, "Out", 0, x->dtype, 3, out);
    if (!err)
        err = set_states(in, "State", 0, qs_infer_n_out(in, "State"), state);
    if (!err)
        err = set_states(in, "LastH", 0, 1, state);
    return err ? err : set_states(in, "LastC", 0, 1, state);
}

/* Every weight matrix is used once per time step and sequence. */
static int64_t
rnn_macs(const struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    const char *slot = qs_infer_n_in(in, "WeightList") > 0 ? "WeightList" : "W";
    int64_t weights = 0;
    if (!x || x->n != 3)
        return 0;
    for (int i = 0; i < qs_infer_n_in(in, slot); i++) {
        const struct qs_shape *w = qs_infer_in(in, slot, i);
        if (w && (w->n == 2 || strcmp(slot, "W") == 0))
            weights = qs_add_sat(weights, qs_shape_count(w));
    }
    return qs_mul_sat(x->d[0] * x->d[1], weights);
}

/* 1.x layers */

static enum qs_err
check_gates(const struct qs_infer *in, const struct qs_shape *x, const struct qs_shape *w,
            int gates)
{
    if (x->n != 2 || w->n != 2)
        return qs_infer_fail(in, _("the input has %d and the weight %d dimensions, not 2"), x->n,
                             w->n);
    if (w->d[1] != qs_mul_sat(gates, w->d[0]) || x->d[1] != w->d[1])
        return qs_infer_fail(
            in,
            _("a weight of %" PRId64 "x%" PRId64 " does not fit an input of %" PRId64 " features"),
            w->d[0], w->d[1], x->d[1]);
    return QS_OK;
}

static enum qs_err
lod_rnn_shape(struct qs_infer *in, int gates, const char *second, bool all_gates)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0), *w = qs_infer_in(in, "Weight", 0);
    if (!x || !w)
        return QS_OK;
    enum qs_err err = check_gates(in, x, w, gates);
    if (err)
        return err;
    const int64_t d[2] = {x->d[0], w->d[0]};
    err = qs_infer_set(in, "Hidden", 0, x->dtype, 2, d);
    if (!err)
        err = qs_infer_set(in, second, 0, x->dtype, 2, d);
    return err || !all_gates ? err : qs_infer_set_like(in, "Gate", 0, x);
}

static enum qs_err
lstm_shape(struct qs_infer *in)
{
    return lod_rnn_shape(in, 4, "Cell", false);
}

static enum qs_err
gru_shape(struct qs_infer *in)
{
    return lod_rnn_shape(in, 3, "", false);
}

static enum qs_err
gru_unit_shape(struct qs_infer *in)
{
    return lod_rnn_shape(in, 3, "ResetHiddenPrev", true);
}

static int64_t
lod_rnn_macs(const struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0), *w = qs_infer_in(in, "Weight", 0);
    return x && w && x->n > 0 ? qs_mul_sat(x->d[0], qs_shape_count(w)) : 0;
}

#define ROW(op, slot, axis, rule, cost, run)              \
    const struct qs_op qs_op_##op = {.name = #op,         \
                                     .weight_slot = slot, \
                                     .weight_axis = axis, \
                                     .shape = rule,       \
                                     .macs = cost,        \
                                     .forward = run};
ROW(cudnn_lstm, "WeightList", 0, rnn_shape, rnn_macs, NULL)
ROW(gru, "Weight", 1, gru_shape, lod_rnn_macs, qs_fwd_gru)
ROW(gru_unit, "Weight", 1, gru_unit_shape, lod_rnn_macs, qs_fwd_gru_unit)
ROW(lstm, "Weight", 1, lstm_shape, lod_rnn_macs, qs_fwd_lstm)
ROW(rnn, "WeightList", 0, rnn_shape, rnn_macs, qs_fwd_rnn)
#undef ROW
