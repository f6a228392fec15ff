/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a table by number; the row padding_idx gives zeros. */
#include <inttypes.h>

#include "ops/forward.h"

enum qs_err
qs_fwd_lookup(struct qs_step *st)
{
    const struct qs_value *ids, *w;
    struct qs_value *out;
    enum qs_err err = qs_fwd_need(st, "Ids", -1, &ids);
    if (!err)
        err = qs_fwd_need(st, "W", QS_DTYPE_float32, &w);
    if (!err)
        err = qs_fwd_out(st, "Out", &out);
    if (err)
        return err;
    const int64_t rows = w->d[0], width = w->d[1];
    int64_t padding = qs_attr_int(st->node, "padding_idx", -1);
    if (qs_dtype_is_float(ids->dtype))
        return qs_fwd_bad_type(st, ids->dtype);
    if (padding < -1)
        padding += rows;
    for (int64_t i = 0; i < ids->count; i++) {
        const int64_t id = qs_value_int(ids, i);
        if (padding != -1 && id == padding) {
            memset(out->f32 + i * width, 0, (size_t)width * sizeof(float));
            continue;
        }
        if (id < 0 || id >= rows)
            return qs_step_fail(st, _("row %" PRId64 " does not exist: the table has %" PRId64), id,
                                rows);
        memcpy(out->f32 + i * width, w->f32 + id * width, (size_t)width * sizeof(float));
    }
    return QS_OK;
}
