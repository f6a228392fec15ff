/* SPDX-License-Identifier: Apache-2.0 */
#include "models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Building */

static struct qs_model *
new_model(int n_block)
{
    struct qs_model *m = qs_model_new();
    m->n_block = n_block;
    m->block = qs_arena_calloc(&m->arena, (size_t)n_block, sizeof(*m->block));
    for (int b = 0; b < n_block; b++)
        m->block[b] =
            (struct qs_block){.idx = b, .parent = b - 1, .forward = -1, .has_forward = -1};
    m->format = "pdmodel";
    m->program_path = "(in memory)";
    m->version = 2006002;
    m->has_params = true;
    return m;
}

static int32_t
add_var(struct qs_model *m, int block, const char *name, int n_dims, const int64_t *dims)
{
    const int32_t id = qs_model_add_var(m, block, name);
    struct qs_var *v = &m->var[id];
    v->persistable = 0;
    v->n_dims = n_dims;
    v->dims = (const int64_t *)qs_arena_memdup(&m->arena, dims, (size_t)n_dims * sizeof(*dims));
    v->has_lod_level = 1;
    qs_model_declare(m, id);
    return id;
}

static int64_t
count(int n_dims, const int64_t *dims)
{
    int64_t n = 1;
    for (int i = 0; i < n_dims; i++)
        n *= dims[i];
    return n;
}

static struct qs_buf *
new_buf(size_t bytes)
{
    struct qs_ctx cx;
    struct qs_buf *b;
    qs_ctx_init(&cx);
    if (qs_buf_new(&cx, bytes, &b) != QS_OK)
        abort();
    memset(b->data, 0, bytes);
    return b;
}

/* Values from -1 to 1 in steps of 2^-15, another sequence for each variable. */
static void
fill(float *w, int64_t n, uint32_t seed)
{
    uint32_t x = seed * 2654435761u + 1;
    for (int64_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        w[i] = (float)(int32_t)(x >> 16) / 32768.0f - 1.0f;
    }
}

static int32_t
add_param(struct qs_model *m, const char *name, int n_dims, const int64_t *dims)
{
    const int32_t id = add_var(m, 0, name, n_dims, dims);
    const int64_t n = count(n_dims, dims);
    struct qs_buf *b = new_buf((size_t)n * sizeof(float));
    fill((float *)(void *)b->data, n, (uint32_t)id);
    m->var[id].persistable = 1;
    m->var[id].is_parameter = 1;
    qs_model_set_data(m, id, QS_DTYPE_float32, n_dims, dims, b, 0);
    return id;
}

static struct qs_node *
add_node(struct qs_model *m, int block, const char *type)
{
    struct qs_block *b = &m->block[block];
    struct qs_node *list = qs_arena_calloc(&m->arena, (size_t)b->n_node + 1, sizeof(*list));
    if (b->n_node)
        memcpy(list, b->node, (size_t)b->n_node * sizeof(*list));
    b->node = list;
    list[b->n_node].is_target = -1;
    qs_node_set_type(m, &list[b->n_node], type);
    return &list[b->n_node++];
}

static void
feed(struct qs_model *m, int32_t x)
{
    const int32_t holder = qs_model_add_var(m, 0, "feed");
    m->var[holder].container = QS_FEED_MINIBATCH;
    m->var[holder].dtype = -1;
    m->var[holder].persistable = 1;
    qs_model_declare(m, holder);
    struct qs_node *node = add_node(m, 0, "feed");
    qs_node_set_in(m, node, "X", &holder, 1);
    qs_node_set_out(m, node, "Out", &x, 1);
    qs_node_set_int(m, node, "col", 0);
}

static void
fetch(struct qs_model *m, int32_t y)
{
    const int32_t holder = qs_model_add_var(m, 0, "fetch");
    m->var[holder].container = QS_FETCH_LIST;
    m->var[holder].dtype = -1;
    m->var[holder].persistable = 1;
    qs_model_declare(m, holder);
    struct qs_node *node = add_node(m, 0, "fetch");
    qs_node_set_in(m, node, "X", &y, 1);
    qs_node_set_out(m, node, "Out", &holder, 1);
    qs_node_set_int(m, node, "col", 0);
}

static struct qs_node *
add_binary(struct qs_model *m, const char *type, const char *slot, int32_t x, const char *slot2,
           int32_t w, int32_t y)
{
    struct qs_node *node = add_node(m, 0, type);
    qs_node_set_in(m, node, slot, &x, 1);
    qs_node_set_in(m, node, slot2, &w, 1);
    qs_node_set_out(m, node, strncmp(type, "conv", 4) == 0 ? "Output" : "Out", &y, 1);
    return node;
}

static void
add_conv(struct qs_model *m, const char *type, int32_t x, int32_t w, int32_t y, int groups)
{
    static const int32_t one[] = {1, 1}, none[] = {0, 0};
    struct qs_node *node = add_binary(m, type, "Input", x, "Filter", w, y);
    qs_node_set_out(m, node, "Output", &y, 1);
    node->n_out = 1;
    qs_node_set_ints(m, node, "strides", one, 2);
    qs_node_set_ints(m, node, "paddings", none, 2);
    qs_node_set_ints(m, node, "dilations", one, 2);
    qs_node_set_int(m, node, "groups", groups);
    qs_node_set_str(m, node, "padding_algorithm", "EXPLICIT");
    qs_node_set_str(m, node, "data_format", "NCHW");
}

static void
add_mul(struct qs_model *m, int32_t x, int32_t w, int32_t y)
{
    struct qs_node *node = add_binary(m, "mul", "X", x, "Y", w, y);
    qs_node_set_int(m, node, "x_num_col_dims", 1);
    qs_node_set_int(m, node, "y_num_col_dims", 1);
}

static void
add_matmul(struct qs_model *m, int32_t x, int32_t w, int32_t y, bool trans_y)
{
    struct qs_node *node = add_binary(m, "matmul_v2", "X", x, "Y", w, y);
    qs_node_set_bool(m, node, "trans_x", false);
    qs_node_set_bool(m, node, "trans_y", trans_y);
}

static struct qs_model *
done(struct qs_model *m)
{
    qs_model_index(m);
    return m;
}

#define DIMS(...)                                                               \
    sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]) \
    {                                                                           \
        __VA_ARGS__                                                             \
    }

/* Sound models */

/* x -> conv2d -> relu -> flatten -> mul -> + bias */
static struct qs_model *
make_small(void)
{
    struct qs_model *m = new_model(1);
    const int32_t x = add_var(m, 0, "x", DIMS(-1, 2, 4, 4));
    const int32_t conv = add_var(m, 0, "conv.out", DIMS(-1, 3, 2, 2));
    const int32_t relu = add_var(m, 0, "relu.out", DIMS(-1, 3, 2, 2));
    const int32_t flat = add_var(m, 0, "flat.out", DIMS(-1, 12));
    const int32_t mul = add_var(m, 0, "fc.out", DIMS(-1, 5));
    const int32_t y = add_var(m, 0, "y", DIMS(-1, 5));
    const int32_t w1 = add_param(m, "conv.w", DIMS(3, 2, 3, 3));
    const int32_t w2 = add_param(m, "fc.w", DIMS(12, 5));
    const int32_t b = add_param(m, "fc.b", DIMS(5));
    feed(m, x);
    add_conv(m, "conv2d", x, w1, conv, 1);
    struct qs_node *node = add_node(m, 0, "relu");
    qs_node_set_in(m, node, "X", &conv, 1);
    qs_node_set_out(m, node, "Out", &relu, 1);
    node = add_node(m, 0, "flatten_contiguous_range");
    qs_node_set_in(m, node, "X", &relu, 1);
    qs_node_set_out(m, node, "Out", &flat, 1);
    qs_node_set_int(m, node, "start_axis", 1);
    qs_node_set_int(m, node, "stop_axis", -1);
    add_mul(m, flat, w2, mul);
    node = add_binary(m, "elementwise_add", "X", mul, "Y", b, y);
    qs_node_set_int(m, node, "axis", -1);
    fetch(m, y);
    return done(m);
}

/* Fully connected layers in both forms, one transposed, one weight read twice. */
static struct qs_model *
make_matmul(void)
{
    struct qs_model *m = new_model(1);
    const int32_t x = add_var(m, 0, "x", DIMS(-1, 8));
    const int32_t h1 = add_var(m, 0, "h1", DIMS(-1, 8));
    const int32_t h2 = add_var(m, 0, "h2", DIMS(-1, 8));
    const int32_t h3 = add_var(m, 0, "h3", DIMS(-1, 8));
    const int32_t h4 = add_var(m, 0, "h4", DIMS(-1, 8));
    const int32_t y = add_var(m, 0, "y", DIMS(-1, 4));
    const int32_t plain = add_param(m, "plain.w", DIMS(8, 8));
    const int32_t turned = add_param(m, "turned.w", DIMS(8, 8));
    const int32_t twice = add_param(m, "twice.w", DIMS(8, 8));
    const int32_t last = add_param(m, "last.w", DIMS(8, 4));
    feed(m, x);
    add_matmul(m, x, plain, h1, false);
    add_matmul(m, h1, turned, h2, true);
    add_mul(m, h2, twice, h3);
    add_mul(m, h3, twice, h4);
    add_mul(m, h4, last, y);
    fetch(m, y);
    return done(m);
}

/* Depthwise convolution and the operators whose attributes Paddle-Lite misses. */
static struct qs_model *
make_lite(void)
{
    struct qs_model *m = new_model(1);
    const int32_t x = add_var(m, 0, "x", DIMS(-1, 4, 5, 5));
    const int32_t dw = add_var(m, 0, "dw.out", DIMS(-1, 4, 3, 3));
    const int32_t relu = add_var(m, 0, "relu6.out", DIMS(-1, 4, 3, 3));
    const int32_t swish = add_var(m, 0, "swish.out", DIMS(-1, 4, 3, 3));
    const int32_t flat = add_var(m, 0, "flat.out", DIMS(-1, 36));
    const int32_t w = add_param(m, "dw.w", DIMS(4, 1, 3, 3));
    feed(m, x);
    add_conv(m, "depthwise_conv2d", x, w, dw, 4);
    struct qs_node *node = add_node(m, 0, "relu6");
    qs_node_set_in(m, node, "X", &dw, 1);
    qs_node_set_out(m, node, "Out", &relu, 1);
    node = add_node(m, 0, "swish");
    qs_node_set_in(m, node, "X", &relu, 1);
    qs_node_set_out(m, node, "Out", &swish, 1);
    node = add_node(m, 0, "flatten_contiguous_range");
    qs_node_set_in(m, node, "X", &swish, 1);
    qs_node_set_out(m, node, "Out", &flat, 1);
    qs_node_set_int(m, node, "start_axis", 1);
    qs_node_set_int(m, node, "stop_axis", -1);
    fetch(m, flat);
    return done(m);
}

/* A chain of `n` square layers: work that takes a while. */
static struct qs_model *
make_chain(int n, int64_t side)
{
    struct qs_model *m = new_model(1);
    int32_t x = add_var(m, 0, "x", DIMS(-1, side));
    feed(m, x);
    for (int i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof(name), "fc%02d.out", i);
        const int32_t y = add_var(m, 0, name, DIMS(-1, side));
        snprintf(name, sizeof(name), "fc%02d.w", i);
        add_mul(m, x, add_param(m, name, DIMS(side, side)), y);
        x = y;
    }
    fetch(m, x);
    return done(m);
}

static struct qs_model *
make_large(void)
{
    return make_chain(16, 384);
}

/* An operator nobody knows reads one weight, nobody reads another. */
static struct qs_model *
make_unknown(void)
{
    struct qs_model *m = make_small();
    const int32_t w = add_param(m, "strange.w", DIMS(4, 4));
    const int32_t x = add_var(m, 0, "strange.out", DIMS(4, 4));
    add_param(m, "unread.w", DIMS(4, 4));
    struct qs_node *node = add_node(m, 0, "strange_op");
    qs_node_set_in(m, node, "Anything", &w, 1);
    qs_node_set_out(m, node, "Out", &x, 1);
    return done(m);
}

/* Graphs with branches: values of 8 channels of 8 x 8, names by what made them and its number. */

static int32_t
add_value(struct qs_model *m, const char *type, int i)
{
    char name[64];
    snprintf(name, sizeof(name), "%s_%d.out", type, i);
    return add_var(m, 0, name, DIMS(-1, 8, 8, 8));
}

static int32_t
pointwise(struct qs_model *m, int i, int32_t x)
{
    char name[32];
    snprintf(name, sizeof(name), "conv_%d.w", i);
    const int32_t w = add_param(m, name, DIMS(8, 8, 1, 1)), y = add_value(m, "conv", i);
    add_conv(m, "conv2d", x, w, y, 1);
    return y;
}

static int32_t
apply(struct qs_model *m, const char *type, int i, const int32_t *x, int n)
{
    const int32_t y = add_value(m, type, i);
    struct qs_node *node = add_node(m, 0, type);
    qs_node_set_in(m, node, "X", x, n);
    qs_node_set_out(m, node, "Out", &y, 1);
    return y;
}

static int32_t
add_sum(struct qs_model *m, int i, int32_t a, int32_t b)
{
    const int32_t y = add_value(m, "sum", i);
    qs_node_set_int(m, add_binary(m, "elementwise_add", "X", a, "Y", b, y), "axis", -1);
    return y;
}

static int32_t
add_fake_quant(struct qs_model *m, int i, int32_t x)
{
    char name[32];
    snprintf(name, sizeof(name), "scale_%d", i);
    const int32_t scale = add_param(m, name, DIMS(1)), y = add_value(m, "rounded", i);
    struct qs_node *node = add_node(m, 0, "fake_quantize_dequantize_moving_average_abs_max");
    qs_node_set_in(m, node, "X", &x, 1);
    qs_node_set_in(m, node, "InScale", &scale, 1);
    qs_node_set_out(m, node, "Out", &y, 1);
    qs_node_set_out(m, node, "OutScale", &scale, 1);
    qs_node_set_int(m, node, "bit_length", 8);
    return y;
}

/* Two blocks of two convolutions with a way past them, the first with a convolution on it. */
static struct qs_model *
make_residual(void)
{
    struct qs_model *m = new_model(1);
    int32_t x = add_var(m, 0, "x", DIMS(-1, 8, 8, 8));
    feed(m, x);
    for (int i = 0; i < 2; i++) {
        int32_t y = pointwise(m, 10 * i + 1, add_fake_quant(m, 10 * i + 1, x));
        y = apply(m, "relu", 10 * i + 1, &y, 1);
        y = pointwise(m, 10 * i + 2, add_fake_quant(m, 10 * i + 2, y));
        if (i == 0)
            x = pointwise(m, 3, x);
        y = add_sum(m, 10 * i + 1, x, y);
        x = apply(m, "relu", 10 * i + 2, &y, 1);
    }
    fetch(m, x);
    return done(m);
}

/* Two modules of four branches; the first is also what a second output comes from. */
static struct qs_model *
make_inception(void)
{
    struct qs_model *m = new_model(1);
    int32_t x = add_var(m, 0, "x", DIMS(-1, 8, 8, 8)), first = -1;
    feed(m, x);
    for (int i = 0; i < 2; i++) {
        int32_t branch[4];
        branch[0] = pointwise(m, 10 * i + 1, x);
        branch[1] = pointwise(m, 10 * i + 3, pointwise(m, 10 * i + 2, x));
        branch[2] = pointwise(m, 10 * i + 5, pointwise(m, 10 * i + 4, x));
        branch[3] = pointwise(m, 10 * i + 6, apply(m, "relu", 10 * i + 1, &x, 1));
        x = apply(m, "sum", 10 * i + 1, branch, 4);
        first = i == 0 ? x : first;
    }
    const int32_t second = pointwise(m, 21, first);
    fetch(m, x);
    fetch(m, second);
    return done(m);
}

/* Values that spoil a scale */

static struct qs_model *
spoil(float a, float b)
{
    struct qs_model *m = make_small();
    const struct qs_tensor *t = m->var[qs_model_find_var(m, 0, "conv.w")].data;
    float *w = (float *)(void *)t->buf->data;
    w[7] = a;
    w[20] = b;
    return m;
}

static struct qs_model *
make_nan(void)
{
    return spoil(NAN, INFINITY);
}

static struct qs_model *
make_zero(void)
{
    struct qs_model *m = make_small();
    const struct qs_tensor *t = m->var[qs_model_find_var(m, 0, "conv.w")].data;
    memset(t->buf->data, 0, t->bytes);
    return m;
}

static struct qs_model *
make_empty_weight(void)
{
    struct qs_model *m = new_model(1);
    const int32_t x = add_var(m, 0, "x", DIMS(-1, 0));
    const int32_t y = add_var(m, 0, "y", DIMS(-1, 4));
    const int32_t w = add_param(m, "empty.w", DIMS(0, 4));
    feed(m, x);
    add_mul(m, x, w, y);
    fetch(m, y);
    return done(m);
}

/* The weight in an element type that is not quantized. */
static struct qs_model *
with_dtype(int32_t dtype)
{
    struct qs_model *m = make_small();
    const int32_t id = qs_model_find_var(m, 0, "conv.w");
    static const int64_t dims[] = {3, 2, 3, 3};
    const int bytes = qs_dtype_bytes(dtype) ? qs_dtype_bytes(dtype) : 4;
    qs_model_set_data(m, id, dtype, 4, dims, new_buf((size_t)(54 * bytes)), 0);
    struct qs_tensor *t = qs_arena_alloc(&m->arena, sizeof(*t));
    *t = *m->var[id].data;
    t->bytes = (size_t)(54 * bytes); /* also of a type that does not exist */
    m->var[id].data = t;
    m->var[id].dtype = dtype;
    return m;
}

static struct qs_model *
make_float16(void)
{
    return with_dtype(QS_DTYPE_float16);
}

static struct qs_model *
make_bad_dtype(void)
{
    return with_dtype(99);
}

/* Shapes that lie */

/* The stream says `dims` for conv.w and has the bytes of [3][2][3][3]. */
static struct qs_model *
with_dims(int n_dims, const int64_t *dims)
{
    struct qs_model *m = make_small();
    const int32_t id = qs_model_find_var(m, 0, "conv.w");
    struct qs_tensor *t = qs_arena_alloc(&m->arena, sizeof(*t));
    *t = *m->var[id].data;
    t->n_dims = n_dims;
    t->dims = (const int64_t *)qs_arena_memdup(&m->arena, dims, (size_t)n_dims * sizeof(*dims));
    m->var[id].data = t;
    return m;
}

static struct qs_model *
make_wrong_dims(void)
{
    return with_dims(DIMS(2, 3, 3, 3));
}

static struct qs_model *
make_negative_dims(void)
{
    return with_dims(DIMS(3, -2, 3, 3));
}

static struct qs_model *
make_overflow(void)
{
    return with_dims(DIMS(INT64_C(1) << 40, INT64_C(1) << 40));
}

static struct qs_model *
make_overflow_bytes(void)
{
    return with_dims(DIMS(INT64_MAX / 2));
}

static struct qs_model *
make_huge(void)
{
    return with_dims(DIMS(INT64_C(1) << 40));
}

/* Rank 60 of ones: more than any operator takes, as much as a file may hold. */
static struct qs_model *
make_rank(void)
{
    int64_t dims[60];
    for (int i = 0; i < 60; i++)
        dims[i] = i == 0 ? 54 : 1;
    struct qs_model *m = with_dims(60, dims);
    struct qs_var *v = &m->var[qs_model_find_var(m, 0, "conv.w")];
    v->dims = v->data->dims;
    v->n_dims = 60;
    return m;
}

/* Blocks */

static struct qs_node *
enter_block(struct qs_model *m, int from, int to)
{
    struct qs_node *node = add_node(m, from, "while");
    qs_node_set_int(m, node, "sub_block", to);
    struct qs_attr *a = (struct qs_attr *)&node->attr[0];
    a->type = QS_ATTR_BLOCK;
    return node;
}

/* A sub-block that counts to x. */
static struct qs_model *
make_loop(void)
{
    struct qs_model *m = new_model(2);
    const int32_t x = add_var(m, 0, "x", DIMS(1));
    const int32_t i = add_var(m, 0, "i", DIMS(1));
    const int32_t go = add_var(m, 0, "go", DIMS(1));
    const int32_t y = add_var(m, 0, "y", DIMS(1));
    const int32_t both[] = {i, x};
    feed(m, x);
    struct qs_node *node = add_node(m, 0, "fill_constant");
    qs_node_set_out(m, node, "Out", &i, 1);
    add_binary(m, "less_than", "X", i, "Y", x, go);
    node = enter_block(m, 0, 1);
    qs_node_set_in(m, node, "X", both, 2);
    qs_node_set_in(m, node, "Condition", &go, 1);
    qs_node_set_out(m, node, "Out", &i, 1);
    node = add_node(m, 0, "scale");
    qs_node_set_in(m, node, "X", &i, 1);
    qs_node_set_out(m, node, "Out", &y, 1);
    fetch(m, y);
    node = add_node(m, 1, "increment");
    qs_node_set_in(m, node, "X", &i, 1);
    qs_node_set_out(m, node, "Out", &i, 1);
    node = add_node(m, 1, "less_than");
    qs_node_set_in(m, node, "X", &i, 1);
    qs_node_set_in(m, node, "Y", &x, 1);
    qs_node_set_out(m, node, "Out", &go, 1);
    return done(m);
}

static struct qs_model *
make_self_block(void)
{
    struct qs_model *m = make_small();
    enter_block(m, 0, 0);
    return m;
}

/* Each of two blocks runs the other. */
static struct qs_model *
make_block_circle(void)
{
    struct qs_model *m = new_model(3);
    enter_block(m, 0, 1);
    enter_block(m, 1, 2);
    enter_block(m, 2, 1);
    return done(m);
}

static struct qs_model *
make_parent_circle(void)
{
    struct qs_model *m = new_model(3);
    m->block[1].parent = 2;
    return done(m);
}

static struct qs_model *
make_no_block(void)
{
    struct qs_model *m = new_model(2);
    enter_block(m, 0, 7);
    return done(m);
}

/* Blocks in blocks in blocks. */
static struct qs_model *
make_deep(void)
{
    enum { DEPTH = 20000 };
    struct qs_model *m = new_model(DEPTH);
    for (int b = 0; b + 1 < DEPTH; b++)
        enter_block(m, b, b + 1);
    return done(m);
}

/* Every block is entered twice by the one before it: 2^40 ways through. */
static struct qs_model *
make_doubling(void)
{
    enum { DEPTH = 40 };
    struct qs_model *m = new_model(DEPTH);
    for (int b = 0; b + 1 < DEPTH; b++) {
        enter_block(m, b, b + 1);
        enter_block(m, b, b + 1);
    }
    return done(m);
}

/* Names */

static struct qs_model *
make_names(void)
{
    struct qs_model *m = make_small();
    const int32_t id = qs_model_find_var(m, 0, "conv.w");
    m->var[id].name = "a\nb\033[31m,\"quoted\" \xff\xfe";
    return done(m);
}

static struct qs_model *
make_leaving(void)
{
    struct qs_model *m = make_small();
    const int32_t id = qs_model_find_var(m, 0, "conv.w");
    m->var[id].name = "../outside";
    return done(m);
}

static const struct test_model all[] = {
    {"small", "conv2d, relu, flatten, mul, bias", make_small},
    {"matmul", "matmul_v2 plain and transposed, a weight read twice", make_matmul},
    {"lite", "depthwise_conv2d, relu6, swish, flatten", make_lite},
    {"residual", "two blocks with a way past them, quantizers before the convolutions",
     make_residual},
    {"inception", "two modules of four branches, two outputs", make_inception},
    {"loop", "a while and its sub-block", make_loop},
    {"large", "16 layers of 384 x 384", make_large},
    {"unknown", "a weight of an unknown operator, one that nobody reads", make_unknown},
    {"nan", "a NaN and an infinity in conv.w", make_nan},
    {"zero", "conv.w is all zero", make_zero},
    {"empty-weight", "a weight of no elements", make_empty_weight},
    {"float16", "conv.w is float16", make_float16},
    {"bad-dtype", "conv.w is of type 99", make_bad_dtype},
    {"wrong-dims", "conv.w is of another shape in the parameters", make_wrong_dims},
    {"negative-dims", "a negative dimension in the parameters", make_negative_dims},
    {"overflow", "dimensions whose product does not fit", make_overflow},
    {"overflow-bytes", "elements that fit, bytes that do not", make_overflow_bytes},
    {"huge", "a tensor of 4 TB", make_huge},
    {"rank", "a tensor of rank 60", make_rank},
    {"self-block", "an operator that runs its own block", make_self_block},
    {"block-circle", "two blocks that run each other", make_block_circle},
    {"parent-circle", "a block whose parent comes later", make_parent_circle},
    {"no-block", "an operator that runs a block that is not there", make_no_block},
    {"deep", "20000 blocks in each other", make_deep},
    {"doubling", "40 blocks, each run twice by the one before", make_doubling},
    {"names", "a weight with control characters and bad UTF-8 in its name", make_names},
    {"leaving", "a weight called ../outside", make_leaving},
};

const struct test_model *
test_model_at(int i)
{
    return i < (int)QS_LEN(all) ? &all[i] : NULL;
}

struct qs_model *
test_model(const char *name)
{
    for (int i = 0; test_model_at(i); i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].make();
    return NULL;
}
