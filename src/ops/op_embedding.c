/* SPDX-License-Identifier: Apache-2.0 */
/* Embedding tables: W [rows, width]. */
#include "ops/forward.h"

static enum qs_err
append_width(struct qs_infer *in, const struct qs_shape *ids, int n, const struct qs_shape *w)
{
    int64_t d[QS_RANK_MOST + 1];
    if (w->n != 2)
        return qs_infer_fail(in, _("the table has %d dimensions, not 2"), w->n);
    memcpy(d, ids->d, sizeof(ids->d));
    d[n] = w->d[1];
    return qs_infer_set(in, "Out", 0, qs_dtype_is_float(w->dtype) ? w->dtype : -1, n + 1, d);
}

static enum qs_err
lookup_v2_shape(struct qs_infer *in)
{
    const struct qs_shape *ids = qs_infer_in(in, "Ids", 0), *w = qs_infer_in(in, "W", 0);
    return ids && w ? append_width(in, ids, ids->n, w) : QS_OK;
}

/* The trailing 1 of the ids goes away. */
static enum qs_err
lookup_shape(struct qs_infer *in)
{
    const struct qs_shape *ids = qs_infer_in(in, "Ids", 0), *w = qs_infer_in(in, "W", 0);
    if (!ids || !w)
        return QS_OK;
    if (ids->n < 1 || ids->d[ids->n - 1] != 1)
        return qs_infer_fail(in, _("the last dimension of the ids is not 1"));
    return append_width(in, ids, ids->n - 1, w);
}

#define ROW(op, rule)                                    \
    const struct qs_op qs_op_##op = {.name = #op,        \
                                     .weight_slot = "W", \
                                     .weight_axis = 1,   \
                                     .shape = rule,      \
                                     .forward = qs_fwd_lookup};
ROW(lookup_table, lookup_shape)
ROW(lookup_table_v2, lookup_v2_shape)
#undef ROW
