/* SPDX-License-Identifier: Apache-2.0 */
/* Joining, cutting and turning along axes. */
#include <inttypes.h>
#include <stdlib.h>

#include "ops/data.h"

/* Copies a part that is n long along the axis between a whole at `at` and a dense part. */
struct part {
    struct qs_data_split whole;
    int64_t at, n;
};

static struct qs_walk_dims
part_walk(const struct part *p, bool join)
{
    struct qs_walk_dims w = {0};
    const int64_t of_whole = p->whole.n * p->whole.inner, of_part = p->n * p->whole.inner;
    qs_walk_add(&w, p->whole.outer, join ? of_whole : of_part, join ? of_part : of_whole);
    qs_walk_add(&w, of_part, 1, 1);
    *(join ? &w.to_at : &w.from_at) = p->at * p->whole.inner;
    return w;
}

/* `part` must be whole's shape but for the axis (or without it) and fit behind at. */
static enum qs_err
check_part(const struct qs_step *st, const struct qs_value *part, const struct part *p)
{
    if (p->at + p->n > p->whole.n || part->count != p->whole.outer * p->n * p->whole.inner)
        return qs_step_fail(st, _("the parts do not fit the whole"));
    return QS_OK;
}

static enum qs_err
join(struct qs_step *st, const char *slot, int axis, bool stacked)
{
    struct qs_value *y;
    enum qs_err err = qs_data_out(st, slot, 0, &y);
    struct part p = {0};
    if (!err && axis < y->n)
        p.whole = qs_data_split_at(y, axis);
    for (int i = 0; i < qs_step_n_in(st, "X") && !err; i++) {
        const struct qs_value *x;
        err = qs_data_in(st, "X", i, &x);
        if (!err)
            err = qs_data_same_type(st, x, y);
        if (err)
            return err;
        p.n = stacked ? 1 : axis < x->n ? x->d[axis] : 0;
        err = check_part(st, x, &p);
        const struct qs_walk_dims w = part_walk(&p, true);
        if (!err)
            err = qs_walk_copy(st->cx, y->data, x->data, qs_dtype_bytes(y->dtype), &w);
        p.at += p.n;
    }
    return err;
}

enum qs_err
qs_fwd_concat(struct qs_step *st)
{
    const struct qs_value *x;
    int axis;
    enum qs_err err = qs_data_in(st, "X", 0, &x);
    if (!err)
        err = qs_fwd_axis(st, qs_data_int(st, "AxisTensor", "axis", 0), x->n, &axis);
    return err ? err : join(st, "Out", axis, false);
}

enum qs_err
qs_fwd_stack(struct qs_step *st)
{
    const struct qs_value *x;
    int axis;
    enum qs_err err = qs_data_in(st, "X", 0, &x);
    if (!err)
        err = qs_fwd_axis(st, qs_attr_int(st->node, "axis", 0), x->n + 1, &axis);
    return err ? err : join(st, "Y", axis, true);
}

static enum qs_err
cut(struct qs_step *st, const struct qs_value *x, const char *slot, int axis, bool unstacked)
{
    struct part p = {.whole = qs_data_split_at(x, axis)};
    enum qs_err err = QS_OK;
    for (int i = 0; i < qs_step_n_out(st, slot) && !err; i++) {
        struct qs_value *y;
        err = qs_data_out(st, slot, i, &y);
        if (!err)
            err = qs_data_same_type(st, x, y);
        if (err)
            return err;
        p.n = unstacked ? 1 : axis < y->n ? y->d[axis] : 0;
        err = check_part(st, y, &p);
        const struct qs_walk_dims w = part_walk(&p, false);
        if (!err)
            err = qs_walk_copy(st->cx, y->data, x->data, qs_dtype_bytes(y->dtype), &w);
        p.at += p.n;
    }
    return err;
}

enum qs_err
qs_fwd_split(struct qs_step *st)
{
    const struct qs_value *x;
    int axis;
    enum qs_err err = qs_data_in(st, "X", 0, &x);
    if (!err)
        err = qs_fwd_axis(st, qs_data_int(st, "AxisTensor", "axis", 0), x->n, &axis);
    return err ? err : cut(st, x, "Out", axis, false);
}

enum qs_err
qs_fwd_unstack(struct qs_step *st)
{
    const struct qs_value *x;
    int axis;
    enum qs_err err = qs_data_in(st, "X", 0, &x);
    if (!err)
        err = qs_fwd_axis(st, qs_attr_int(st->node, "axis", 0), x->n, &axis);
    return err ? err : cut(st, x, strcmp(st->node->type, "unstack") == 0 ? "Y" : "Out", axis, true);
}

/* Slices */

struct cuts {
    int64_t first[QS_RANK_MOST], step[QS_RANK_MOST], size[QS_RANK_MOST];
};

/* Names of the lists of slice, strided_slice and set_value. */
struct cut_names {
    const char *starts, *starts_tensor, *starts_list;
    const char *ends, *ends_tensor, *ends_list;
    const char *steps, *steps_tensor, *steps_list; /* steps NULL: all 1 */
};

static bool
dropped(const struct qs_step *st, const char *attr, int axis, int rank)
{
    int64_t v[QS_RANK_MOST];
    const int n = qs_attr_ints(st->node, attr, v, QS_RANK_MOST);
    for (int i = 0; i < n; i++)
        if (v[i] == axis || v[i] + rank == axis)
            return true;
    return false;
}

/* x[-1:0] with the axis dropped means the last element. */
static enum qs_err
cut_one(const struct qs_step *st, int64_t size, int64_t start, int64_t end, int64_t step, bool drop,
        struct cuts *c, int axis)
{
    if (step == 0)
        return qs_step_fail(st, _("stride 0 is out of range"));
    qs_cut_axis(size, start, end, step, &c->first[axis], &c->size[axis]);
    c->step[axis] = step;
    if (drop && start == -1 && end == 0 && size > 0) {
        c->first[axis] = size - 1;
        c->size[axis] = 1;
    }
    if (c->size[axis] < 2)
        c->step[axis] = 1;
    return QS_OK;
}

static enum qs_err
read_cuts(const struct qs_step *st, const struct qs_value *x, const struct cut_names *names,
          const char *decrease, struct cuts *c)
{
    int64_t axes[QS_RANK_MOST], start[QS_RANK_MOST], end[QS_RANK_MOST], step[QS_RANK_MOST];
    const int n = qs_attr_ints(st->node, "axes", axes, QS_RANK_MOST);
    const int n_start = qs_step_ints(st, names->starts_list, names->starts_tensor, names->starts,
                                     start, QS_RANK_MOST);
    const int n_end =
        qs_step_ints(st, names->ends_list, names->ends_tensor, names->ends, end, QS_RANK_MOST);
    const int n_step = !names->steps ? n
                                     : qs_step_ints(st, names->steps_list, names->steps_tensor,
                                                    names->steps, step, QS_RANK_MOST);
    enum qs_err err = QS_OK;
    if (n < 0 || n > x->n || n_start != n || n_end != n || n_step != n)
        return qs_step_fail(st, _("%d axes, %d starts and %d ends do not fit %d dimensions"), n,
                            n_start, n_end, x->n);
    for (int i = 0; i < x->n; i++) {
        c->first[i] = 0;
        c->step[i] = 1;
        c->size[i] = x->d[i];
    }
    for (int i = 0; i < n && !err; i++) {
        int axis;
        err = qs_fwd_axis(st, axes[i], x->n, &axis);
        if (!err)
            err = cut_one(st, x->d[axis], start[i], end[i], names->steps ? step[i] : 1,
                          dropped(st, decrease, axis, x->n), c, axis);
    }
    return err;
}

/* The walk over the slice: `to` side dense. */
static struct qs_walk_dims
cut_walk(const struct qs_value *x, const struct cuts *c)
{
    struct qs_walk_dims w = {0};
    int64_t from[QS_RANK_MOST], to[QS_RANK_MOST];
    qs_dense_strides(x->n, x->d, from);
    qs_dense_strides(x->n, c->size, to);
    for (int i = 0; i < x->n; i++) {
        qs_walk_add(&w, c->size[i], to[i], from[i] * c->step[i]);
        w.from_at += from[i] * c->first[i];
    }
    if (x->n == 0)
        qs_walk_add(&w, 1, 1, 1);
    return w;
}

static int64_t
cut_count(const struct qs_value *x, const struct cuts *c)
{
    int64_t n = 1;
    for (int i = 0; i < x->n; i++)
        n *= c->size[i];
    return n;
}

static enum qs_err
run_slice(struct qs_step *st, const struct cut_names *names)
{
    const struct qs_value *x;
    struct qs_value *y;
    struct cuts c;
    enum qs_err err = qs_data_pair(st, "Input", "Out", &x, &y);
    if (!err)
        err = qs_data_same_type(st, x, y);
    if (!err)
        err = read_cuts(st, x, names, "decrease_axis", &c);
    if (err)
        return err;
    if (y->count != cut_count(x, &c))
        return qs_step_fail(st, _("the slice does not fill the output"));
    const struct qs_walk_dims w = cut_walk(x, &c);
    return qs_walk_copy(st->cx, y->data, x->data, qs_dtype_bytes(x->dtype), &w);
}

enum qs_err
qs_fwd_slice(struct qs_step *st)
{
    static const struct cut_names names = {"starts", "StartsTensor", "StartsTensorList",
                                           "ends",   "EndsTensor",   "EndsTensorList",
                                           NULL,     NULL,           NULL};
    return run_slice(st, &names);
}

enum qs_err
qs_fwd_strided_slice(struct qs_step *st)
{
    static const struct cut_names names = {"starts",  "StartsTensor",  "StartsTensorList",
                                           "ends",    "EndsTensor",    "EndsTensorList",
                                           "strides", "StridesTensor", "StridesTensorList"};
    return run_slice(st, &names);
}

/* set_value: the value is broadcast to the slice without the dropped axes. */

/* One number of a protobuf message; false at its end or where it is broken. */
static bool
wire_varint(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; *p < end && shift < 64; shift += 7) {
        const uint8_t b = *(*p)++;
        *out |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return true;
    }
    return false;
}

/* The next field: its number, and its value (varint or fixed64) or its bytes. */
struct wire_field {
    uint64_t number, value;
    const uint8_t *bytes, *bytes_end;
};

static bool
wire_next(const uint8_t **p, const uint8_t *end, struct wire_field *f)
{
    uint64_t key, n = 0;
    memset(f, 0, sizeof(*f));
    if (!wire_varint(p, end, &key))
        return false;
    f->number = key >> 3;
    const int kind = (int)(key & 7);
    if (kind == 0)
        return wire_varint(p, end, &f->value);
    if (kind == 2 ? !wire_varint(p, end, &n) : kind != 1 && kind != 5)
        return false;
    n = kind == 1 ? 8 : kind == 5 ? 4 : n;
    if (n > (uint64_t)(end - *p))
        return false;
    f->bytes = *p;
    f->bytes_end = *p += n;
    if (kind != 2)
        memcpy(&f->value, f->bytes, n);
    return true;
}

/* Scalar: type 1, boolean 2, integer 3, real 4 (framework.proto). */
static double
wire_scalar(const uint8_t *p, const uint8_t *end, int64_t *as_int)
{
    struct wire_field f;
    double v = 0;
    *as_int = 0;
    while (wire_next(&p, end, &f)) {
        if (f.number == 2 || f.number == 3)
            v = (double)(*as_int = (int64_t)f.value);
        if (f.number == 4 && f.bytes) {
            memcpy(&v, &f.value, sizeof(v));
            *as_int = v >= -9e18 && v <= 9e18 ? (int64_t)v : 0;
        }
    }
    return v;
}

/* Writes the `values` list of scalars (field 21 of the attribute) into v; returns how many. */
static int64_t
scalar_values(const struct qs_attr *a, struct qs_value *v)
{
    const uint8_t *p = (const uint8_t *)a->raw.p, *end = p ? p + a->raw.n : p;
    struct wire_field f;
    int64_t n = 0, i;
    while (p && wire_next(&p, end, &f)) {
        if (f.number != 21 || !f.bytes)
            continue;
        const double r = wire_scalar(f.bytes, f.bytes_end, &i);
        if (n < v->count && qs_dtype_is_float(v->dtype))
            qs_data_store_reals(v, n, 1, &r);
        else if (n < v->count)
            qs_data_store_ints(v, n, 1, &i);
        n++;
    }
    return n;
}

/* Elements of an attribute list into v; returns how many there are. */
static int64_t
list_values(const struct qs_attr *a, struct qs_value *v)
{
    for (int i = 0; i < a->n && i < v->count; i++) {
        const bool is_float = a->type == QS_ATTR_FLOATS || a->type == QS_ATTR_FLOAT64S;
        const double r = a->type == QS_ATTR_FLOATS     ? (double)a->floats[i]
                         : a->type == QS_ATTR_FLOAT64S ? a->doubles[i]
                                                       : 0;
        const int64_t k = a->type == QS_ATTR_INTS       ? a->ints[i]
                          : a->type == QS_ATTR_LONGS    ? a->longs[i]
                          : a->type == QS_ATTR_BOOLEANS ? a->bools[i]
                                                        : 0;
        if (is_float)
            qs_data_store_reals(v, i, 1, &r);
        else
            qs_data_store_ints(v, i, 1, &k);
    }
    return a->n;
}

int64_t
qs_data_values(const struct qs_step *st, struct qs_value *v)
{
    static const char *const lists[] = {"values",       "fp32_values", "int32_values",
                                        "int64_values", "bool_values", "fp64_values"};
    for (size_t i = 0; i < QS_LEN(lists); i++) {
        const struct qs_attr *a = qs_node_attr(st->node, lists[i]);
        const int64_t n = !a ? 0 : a->raw.p ? scalar_values(a, v) : list_values(a, v);
        if (n > 0)
            return n;
    }
    return 0;
}

/* The value of the attributes, of the type of `like`; in the scratch arena. */
static enum qs_err
attr_value(const struct qs_step *st, const struct qs_value *like, struct qs_value *v)
{
    *v = (struct qs_value){.dtype = like->dtype, .count = 1};
    v->n = qs_attr_ints(st->node, "shape", v->d, QS_RANK_MOST);
    if (v->n < 0)
        return qs_step_fail(st, _("there is no value"));
    for (int i = 0; i < v->n; i++)
        v->count = v->d[i] < 0 ? INT64_MAX : qs_mul_sat(v->count, v->d[i]);
    if (v->count > INT32_MAX)
        return qs_step_fail(st, _("there is no value"));
    v->data = qs_arena_calloc(st->scratch, (size_t)v->count + 1, (size_t)qs_dtype_bytes(v->dtype));
    return qs_data_values(st, v) == v->count ? QS_OK : qs_step_fail(st, _("there is no value"));
}

/* The axes of the slice as the value sees them: without the dropped ones, -1 where none_axes puts a
 * new dim of one element before an axis. */
static int
seen_axes(const struct qs_step *st, int rank, int *axis)
{
    int64_t none[QS_RANK_MOST];
    const int n_none = qs_attr_ints(st->node, "none_axes", none, QS_RANK_MOST);
    int n = 0, k = 0;
    for (int i = 0; i < rank; i++) {
        for (; k < n_none && none[k] <= i; k++)
            axis[n++] = -1;
        if (!dropped(st, "decrease_axes", i, rank))
            axis[n++] = i;
    }
    for (; k < n_none; k++)
        axis[n++] = -1;
    return n;
}

/* Fills the strides of the value along the axes of x. */
static enum qs_err
spread_value(const struct qs_step *st, const struct qs_value *x, const struct cuts *c,
             const struct qs_value *v, int64_t *stride)
{
    int axis[2 * QS_RANK_MOST];
    int64_t dense[QS_RANK_MOST];
    const int n = seen_axes(st, x->n, axis);
    memset(stride, 0, QS_RANK_MOST * sizeof(*stride));
    qs_dense_strides(v->n, v->d, dense);
    for (int k = v->n - 1, i = n - 1; k >= 0; k--, i--) {
        const int at = i >= 0 ? axis[i] : -1;
        if (v->d[k] != 1 && (at < 0 || v->d[k] != c->size[at]))
            return qs_step_fail(st, _("the value does not fit the slice"));
        if (at >= 0 && v->d[k] != 1)
            stride[at] = dense[k];
    }
    return QS_OK;
}

static enum qs_err
read_set_value(struct qs_step *st, const struct qs_value *x, struct cuts *c, struct qs_value *v)
{
    static const struct cut_names names = {"starts", NULL, "StartsTensorList",
                                           "ends",   NULL, "EndsTensorList",
                                           "steps",  NULL, "StepsTensorList"};
    const struct qs_value *given = qs_step_in(st, "ValueTensor", 0);
    enum qs_err err = read_cuts(st, x, &names, "decrease_axes", c);
    if (err || !given)
        return err ? err : attr_value(st, x, v);
    *v = *given;
    return qs_data_same_type(st, x, v);
}

enum qs_err
qs_fwd_set_value(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y, v;
    struct cuts c;
    int64_t stride[QS_RANK_MOST], to[QS_RANK_MOST];
    struct qs_walk_dims w = {0};
    enum qs_err err = qs_data_pair(st, "Input", "Out", &x, &y);
    if (!err)
        err = qs_data_expect(st, y, x->n, x->d);
    if (!err)
        err = qs_data_computable(st, x);
    if (!err)
        err = read_set_value(st, x, &c, &v);
    if (!err && cut_count(x, &c) > 0)
        err = spread_value(st, x, &c, &v, stride);
    if (!err)
        err = qs_data_copy(st, x, y);
    if (err || cut_count(x, &c) == 0)
        return err;
    qs_dense_strides(x->n, x->d, to);
    for (int i = 0; i < x->n; i++) {
        qs_walk_add(&w, c.size[i], to[i] * c.step[i], stride[i]);
        w.to_at += to[i] * c.first[i];
    }
    if (x->n == 0)
        qs_walk_add(&w, 1, 1, 1);
    return qs_walk_copy(st->cx, y->data, v.data, qs_dtype_bytes(y->dtype), &w);
}

/* Turning */

enum qs_err
qs_fwd_flip(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    int64_t axes[QS_RANK_MOST], stride[QS_RANK_MOST];
    bool turn[QS_RANK_MOST] = {false};
    struct qs_walk_dims w = {0};
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (!err)
        err = qs_data_same_type(st, x, y);
    if (!err)
        err = qs_data_expect(st, y, x->n, x->d);
    const int n = qs_attr_ints(st->node, "axis", axes, QS_RANK_MOST);
    for (int i = 0; i < n && !err; i++) {
        int axis = 0;
        err = qs_fwd_axis(st, axes[i], x->n, &axis);
        turn[axis] = true;
    }
    if (err || x->n == 0)
        return err ? err : qs_data_copy(st, x, y);
    qs_dense_strides(x->n, x->d, stride);
    for (int i = 0; i < x->n; i++) {
        qs_walk_add(&w, x->d[i], stride[i], turn[i] ? -stride[i] : stride[i]);
        w.from_at += turn[i] ? stride[i] * (x->d[i] - 1) : 0;
    }
    return qs_walk_copy(st->cx, y->data, x->data, qs_dtype_bytes(x->dtype), &w);
}

/* Element i of the axis goes to i + shift. */
static void
roll_axis(const struct qs_value *x, int axis, int64_t shift, int width, void *to, const void *from)
{
    const struct qs_data_split s = qs_data_split_at(x, axis);
    const size_t run = (size_t)(s.inner * width);
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < s.n; i++)
            memcpy((char *)to + (size_t)(o * s.n + (i + shift) % s.n) * run,
                   (const char *)from + (size_t)(o * s.n + i) * run, run);
}

/* One axis after the other; without axes the tensor counts as one row. */
enum qs_err
qs_fwd_roll(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    int64_t axes[QS_RANK_MOST], shift[QS_RANK_MOST];
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (!err)
        err = qs_data_expect(st, y, x->n, x->d);
    if (!err)
        err = qs_data_copy(st, x, y);
    if (err || x->count == 0)
        return err;
    const int n_axes = qs_attr_ints(st->node, "axis", axes, QS_RANK_MOST);
    const int n = qs_step_ints(st, NULL, "ShiftsTensor", "shifts", shift, QS_RANK_MOST);
    const struct qs_value row = {.n = 1, .d = {x->count}, .count = x->count};
    const struct qs_value *v = n_axes > 0 ? x : &row;
    if (n < 0 || (n_axes > 0 ? n_axes != n : n != 1))
        return qs_step_fail(st, _("%d shifts for %d axes"), n, n_axes);
    const int width = qs_dtype_bytes(x->dtype);
    void *tmp = qs_arena_alloc(st->scratch, (size_t)(x->count * width));
    for (int i = 0; i < n && !err; i++) {
        int axis = 0;
        err = qs_fwd_axis(st, n_axes > 0 ? axes[i] : 0, v->n, &axis);
        if (err)
            return err;
        const int64_t size = v->d[axis], by = (shift[i] % size + size) % size;
        memcpy(tmp, y->data, (size_t)(x->count * width));
        roll_axis(v, axis, by, width, y->data, tmp);
    }
    return err;
}

/* Keeps what is on one side of a diagonal of the last two dims. */
enum qs_err
qs_fwd_tril_triu(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *y;
    int64_t diagonal = qs_attr_int(st->node, "diagonal", 0);
    const bool lower = qs_attr_int(st->node, "lower", 0) != 0;
    enum qs_err err = qs_data_pair(st, "X", "Out", &x, &y);
    if (!err)
        err = qs_data_expect(st, y, x->n, x->d);
    if (!err && x->n < 2)
        err = qs_step_fail(st, _("the input has %d dimensions, not 2"), x->n);
    if (!err)
        err = qs_data_copy(st, x, y);
    if (err || x->count == 0)
        return err;
    const int64_t rows = x->d[x->n - 2], columns = x->d[x->n - 1];
    diagonal = diagonal < -rows ? -rows : diagonal > columns ? columns : diagonal;
    const size_t width = (size_t)qs_dtype_bytes(x->dtype);
    for (int64_t r = 0; r < x->count / columns; r++) {
        const int64_t edge = r % rows + diagonal; /* the last column that is kept below */
        int64_t first = lower ? edge + 1 : 0, end = lower ? columns : edge;
        first = first < 0 ? 0 : first;
        end = end > columns ? columns : end;
        if (first < end)
            memset(y->u8 + (size_t)(r * columns + first) * width, 0, (size_t)(end - first) * width);
    }
    return err;
}
