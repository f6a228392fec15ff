/* SPDX-License-Identifier: Apache-2.0 */
/* Statically quantized programs of every form: taken apart, and written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/text.h"
#include "passes/put.h"
#include "passes/take_apart.h"

/* Programs as lines of text:
 *     var NAME d,d            a tensor
 *     float NAME d,d v v ...  a parameter; one value fills it
 *     int8 NAME d,d v v ...
 *     op TYPE Slot=a,b Slot=c > Slot=d @name=1 @name=0.5 @name=text
 * Dims "0" stand for a scalar. */

static struct qs_model *
new_model(void)
{
    struct qs_model *m = qs_model_new();
    m->n_block = 1;
    m->block = qs_arena_calloc(&m->arena, 1, sizeof(*m->block));
    m->block[0] = (struct qs_block){.parent = -1, .forward = -1, .has_forward = -1};
    m->has_params = true;
    return m;
}

static int
read_dims(char *text, int64_t *dims)
{
    int n = 0;
    for (char *d = strtok(text, ","); d; d = strtok(NULL, ","))
        dims[n++] = atol(d);
    return n == 1 && dims[0] == 0 ? 0 : n;
}

static void
fill(struct qs_model *m, int32_t var, int32_t dtype, char *values)
{
    struct qs_ctx cx;
    struct qs_buf *b;
    char *save = NULL, *last = strtok_r(values, " ", &save);
    const struct qs_var *v = &m->var[var];
    int64_t n = 1;
    for (int i = 0; i < v->n_dims; i++)
        n *= v->dims[i];
    qs_ctx_init(&cx);
    assert_int_equal(qs_buf_new(&cx, (size_t)n * 4, &b), QS_OK);
    for (int64_t i = 0; i < n; i++) {
        const float f = strtof(last, NULL);
        if (dtype == QS_DTYPE_float32)
            memcpy(b->data + 4 * i, &f, sizeof(f));
        else
            ((int8_t *)b->data)[i] = (int8_t)f;
        char *next = strtok_r(NULL, " ", &save);
        last = next ? next : last;
    }
    qs_model_set_data(m, var, dtype, v->n_dims, v->dims, b, 0);
}

static void
read_var(struct qs_model *m, const char *what, char *rest)
{
    char name[64], dims_text[64];
    int64_t dims[4];
    int used = 0;
    assert_int_equal(sscanf(rest, "%63s %63s %n", name, dims_text, &used), 2);
    const int32_t id = qs_model_add_var(m, 0, name);
    struct qs_var *v = &m->var[id];
    v->n_dims = read_dims(dims_text, dims);
    v->dims = (const int64_t *)qs_arena_memdup(&m->arena, dims, (size_t)v->n_dims * sizeof(*dims));
    v->persistable = strcmp(what, "var") != 0;
    qs_model_declare(m, id);
    if (v->persistable)
        fill(m, id, strcmp(what, "int8") == 0 ? QS_DTYPE_int8 : QS_DTYPE_float32, rest + used);
    qs_model_index(m);
}

static void
read_attr(struct qs_model *m, struct qs_node *node, char *text)
{
    char *eq = strchr(text, '='), *end;
    *eq = '\0';
    const long i = strtol(eq + 1, &end, 10);
    if (!*end)
        qs_node_set_int(m, node, text, i);
    else if (*end == '.')
        qs_node_set_float(m, node, text, strtof(eq + 1, NULL));
    else if (*end == ';') {
        const int32_t two[] = {(int32_t)i, (int32_t)atol(end + 1)};
        qs_node_set_ints(m, node, text, two, 2);
    } else
        qs_node_set_str(m, node, text, eq + 1);
}

static void
read_slot(struct qs_model *m, struct qs_node *node, bool out, char *text)
{
    int32_t var[4];
    int n = 0;
    char *save = NULL, *eq = strchr(text, '=');
    *eq = '\0';
    for (char *name = strtok_r(eq + 1, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        var[n] = qs_model_find_var(m, 0, name);
        if (var[n++] < 0)
            fail_msg("no variable '%s'", name);
    }
    if (out)
        qs_node_set_out(m, node, text, var, n);
    else
        qs_node_set_in(m, node, text, var, n);
}

static void
read_op(struct qs_model *m, char *rest)
{
    struct qs_block *b = &m->block[0];
    struct qs_node *list = qs_arena_calloc(&m->arena, (size_t)b->n_node + 1, sizeof(*list));
    if (b->n_node)
        memcpy(list, b->node, (size_t)b->n_node * sizeof(*list));
    b->node = list;
    struct qs_node *node = &list[b->n_node++];
    char *save = NULL;
    bool out = false;
    node->is_target = -1;
    qs_node_set_type(m, node, strtok_r(rest, " ", &save));
    for (char *t = strtok_r(NULL, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
        if (*t == '>')
            out = true;
        else if (*t == '@')
            read_attr(m, node, t + 1);
        else
            read_slot(m, node, out, t);
    }
}

static struct qs_model *
build(const char *text)
{
    struct qs_model *m = new_model();
    char *copy = qs_xstrdup(text), *save = NULL;
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *rest = strchr(line, ' ');
        *rest++ = '\0';
        char *own = qs_xstrdup(rest);
        if (strcmp(line, "op") == 0)
            read_op(m, own);
        else
            read_var(m, line, own);
        free(own);
    }
    free(copy);
    qs_model_index(m);
    return m;
}

/* Operators alone, one a line, without the variables. */
static char *
program(const struct qs_model *m)
{
    struct qs_str s;
    qs_str_init(&s);
    for (int i = 0; i < m->block[0].n_node; i++) {
        qs_text_node(m, &m->block[0].node[i], true, &s);
        qs_str_add(&s, "\n");
    }
    return qs_str_take(&s);
}

struct apart {
    struct qs_ctx cx;
    struct qs_model *from, *m;
    struct qs_static_notes notes;
    enum qs_err err;
};

static void
take_apart(struct apart *a, const char *text)
{
    *a = (struct apart){0};
    qs_ctx_init(&a->cx);
    a->from = build(text);
    a->m = qs_model_clone(a->from);
    a->err = qs_static_take_apart(&a->cx, a->m, &a->notes);
}

static void
end(struct apart *a)
{
    qs_static_notes_release(&a->notes);
    qs_model_unref(a->m);
    qs_model_unref(a->from);
}

static void
must(const struct apart *a)
{
    if (a->err)
        fail_msg("%s", qs_message(&a->cx));
}

static const char *
name(const struct apart *a, int32_t var)
{
    return a->m->var[var].name;
}

static void
check_program(const struct apart *a, const char *want)
{
    char *got = program(a->m);
    assert_string_equal(got, want);
    free(got);
}

/* The forms */

static const char qdq[] =
    "var x 1,2,2,2\nvar x.quantized 1,2,2,2\nvar x.qd 1,2,2,2\n"
    "var y 1,2,2,2\nvar y.quantized 1,2,2,2\nvar y.qd 1,2,2,2\nvar z 1,2,2,2\n"
    "int8 w 2,2,1,1 127 -128 3 -4\nvar w.qd 2,2,1,1\n"
    "float w@scale 1,2 2 0.5\nfloat zp 2 0\nfloat zp1 1 0\n"
    "float x@scale 1 4\nfloat y@scale 0 9\n"
    "op dequantize_linear X=w Scale=w@scale ZeroPoint=zp > Y=w.qd "
    "@bit_length=8 @quant_axis=0\n"
    "op quantize_linear X=x Scale=x@scale ZeroPoint=zp1 > Y=x.quantized "
    "@bit_length=8 @quant_axis=-1\n"
    "op dequantize_linear X=x.quantized Scale=x@scale ZeroPoint=zp1 > Y=x.qd "
    "@bit_length=8 @quant_axis=-1\n"
    "op conv2d Input=x.qd Filter=w.qd > Output=y "
    "@quantization_type=qat_with_weight @groups=1\n"
    "op quantize_linear X=y Scale=y@scale ZeroPoint=zp1 > Y=y.quantized "
    "@bit_length=8 @quant_axis=-1 @only_observer=1\n"
    "op dequantize_linear X=y.quantized Scale=y@scale ZeroPoint=zp1 > Y=y.qd "
    "@bit_length=8 @quant_axis=-1 @only_observer=1\n"
    "op relu X=y.qd > Out=z\n";

static void
qdq_gives_the_float_graph(void **state)
{
    static const float want[] = {2, (float)(-128.0 * 2 / 127), 3 * 0.5f / 127, -4 * 0.5f / 127};
    struct apart a;
    (void)state;
    take_apart(&a, qdq);
    must(&a);
    check_program(&a, "conv2d(Input: x, Filter: w) -> (Output: y) groups=1\n"
                      "relu(X: y) -> (Out: z)\n");
    assert_int_equal(a.notes.n_weight, 1);
    const struct qs_quant_weight *w = &a.notes.weight[0];
    assert_string_equal(name(&a, w->var), "w");
    assert_int_equal(w->axis, 0);
    assert_int_equal(w->n_scales, 2);
    assert_true(w->threshold[0] == 2 && w->threshold[1] == 0.5);
    assert_int_equal(((int8_t *)w->q->data)[1], -128);
    const struct qs_tensor *t = a.m->var[w->var].data;
    assert_int_equal(t->dtype, QS_DTYPE_float32);
    for (int i = 0; i < 4; i++)
        assert_true(((const float *)(const void *)t->buf->data)[i] == want[i]);
    end(&a);
}

static void
qdq_notes_activations_and_observers(void **state)
{
    struct apart a;
    (void)state;
    take_apart(&a, qdq);
    must(&a);
    assert_int_equal(a.notes.n_act, 2);
    assert_string_equal(name(&a, a.notes.act[0].var), "x");
    assert_true(a.notes.act[0].threshold == 4 && !a.notes.act[0].observed);
    assert_false(a.notes.act[0].half_away);
    assert_string_equal(name(&a, a.notes.act[1].var), "y");
    assert_true(a.notes.act[1].threshold == 9 && a.notes.act[1].observed);
    assert_int_equal(a.notes.n_node, 1);
    assert_int_equal(a.notes.node[0].node, 0);
    assert_int_equal(a.notes.node[0].act, 0);
    assert_int_equal(a.notes.node[0].act2, -1);
    assert_int_equal(a.notes.node[0].weight, 0);
    end(&a);
}

/* Scales and the like leave the file; what remains is a sound model. */
static void
scales_are_no_parameters_any_more(void **state)
{
    struct apart a;
    int n;
    (void)state;
    take_apart(&a, qdq);
    must(&a);
    int32_t *param = qs_model_params(a.m, &n);
    assert_int_equal(n, 1);
    assert_string_equal(name(&a, param[0]), "w");
    assert_int_equal(a.m->block[0].n_var, 4);
    free(param);
    end(&a);
}

/* PaddleSlim writes the same names again with an observer after the reader of the rounded value;
 * an operator between them reads it rounded, one after them as it is. */
static void
names_written_twice_mean_what_was_written_last(void **state)
{
    struct apart a;
    (void)state;
    take_apart(&a, "var x 2,2\nvar q 2,2\nvar d 2,2\nvar y 2,2\nvar z 2,2\nvar u 2,2\n"
                   "float s 1 4\nfloat o 1 8\n"
                   "op quantize_linear X=x Scale=s > Y=q @quant_axis=-1\n"
                   "op dequantize_linear X=q Scale=s > Y=d @quant_axis=-1\n"
                   "op relu X=d > Out=y\n"
                   "op quantize_linear X=x Scale=o > Y=q @quant_axis=-1 @only_observer=1\n"
                   "op dequantize_linear X=q Scale=o > Y=d @quant_axis=-1 @only_observer=1\n"
                   "op relu X=d > Out=z\nop relu X=q > Out=u\n");
    must(&a);
    check_program(&a, "relu(X: x) -> (Out: y)\nrelu(X: x) -> (Out: z)\nrelu(X: x) -> (Out: u)\n");
    assert_int_equal(a.notes.n_act, 1);
    assert_true(a.notes.act[0].threshold == 4);
    assert_int_equal(a.notes.n_node, 1);
    assert_int_equal(a.notes.node[0].node, 0);
    end(&a);
}

static const char fake[] =
    "var x 1,2\nvar xq 1,2\nvar y 1,3\nvar y.dequantized 1,3\nvar z 1,3\n"
    "float w 2,3 127 -127 10 0 1 -2\nfloat ws 3 1 2 4\nfloat x@scale 1 4\n"
    "op fake_quantize_range_abs_max X=x InScale=x@scale > Out=xq OutScale=x@scale @bit_length=8 "
    "@is_test=1 @round_type=1\n"
    "op mul X=xq Y=w > Out=y @x_num_col_dims=1 @quantization_type=post_kl @out_threshold=5.5 "
    "@Out0_threshold=5.5\n"
    "op fake_channel_wise_dequantize_max_abs X=y Scales=ws,x@scale > Out=y.dequantized "
    "@quant_bits=8;8 @quant_axis=1 @x_num_col_dims=1\n"
    "op relu X=y.dequantized > Out=z @Out0_threshold=3.5\n";

static void
fakequant_gives_the_float_graph(void **state)
{
    struct apart a;
    (void)state;
    take_apart(&a, fake);
    must(&a);
    check_program(&a, "mul(X: x, Y: w) -> (Out: y) x_num_col_dims=1\nrelu(X: y) -> (Out: z)\n");
    const struct qs_quant_weight *w = &a.notes.weight[0];
    assert_int_equal(a.notes.n_weight, 1);
    assert_int_equal(w->axis, 1);
    assert_int_equal(w->n_scales, 3);
    assert_true(w->threshold[2] == 4);
    assert_int_equal(((int8_t *)w->q->data)[1], -127);
    const float *f = (const float *)(const void *)a.m->var[w->var].data->buf->data;
    assert_true(f[0] == 1 && f[1] == -2 && f[5] == -2 * 4.0f / 127);
    assert_int_equal(a.notes.n_node, 1);
    assert_int_equal(a.notes.node[0].weight, 0);
    assert_int_equal(a.notes.node[0].act, 0);
    assert_true(a.notes.act[0].half_away);
    end(&a);
}

static void
fakequant_keeps_ranges_of_outputs_as_observed(void **state)
{
    struct apart a;
    (void)state;
    take_apart(&a, fake);
    must(&a);
    assert_int_equal(a.notes.n_act, 3);
    for (int i = 1; i < 3; i++) {
        assert_true(a.notes.act[i].observed);
        assert_string_equal(name(&a, a.notes.act[i].var), i == 1 ? "y" : "z");
        assert_true(a.notes.act[i].threshold == (i == 1 ? 5.5 : 3.5));
    }
    end(&a);
}

static void
one_scale_comes_from_max_range(void **state)
{
    struct apart a;
    (void)state;
    /* 127 * 127 / 2 */
    take_apart(&a, "var x 1,2\nvar xq 1,2\nvar y 1,3\nvar z 1,3\n"
                   "float w 2,3 127 -127 10 0 1 -2\nfloat s 1 4\n"
                   "op fake_quantize_moving_average_abs_max X=x InScale=s > Out=xq OutScale=s "
                   "@bit_length=8 @is_test=1\n"
                   "op mul X=xq Y=w > Out=y\n"
                   "op fake_dequantize_max_abs X=y Scale=s > Out=z @max_range=8064.5\n");
    must(&a);
    assert_int_equal(a.notes.weight[0].axis, -1);
    assert_true(a.notes.weight[0].threshold[0] == 2);
    end(&a);
}

/* Exports of training in dygraph: float weights, rounded by the program. */
static void
float_weights_are_rounded_as_the_program_does(void **state)
{
    static const int8_t want[] = {127, -64, 32, 127};
    struct apart a;
    (void)state;
    /* 0.5 * 127 / 127.00 lies between two: away from zero */
    take_apart(&a, "var x 1,2\nvar d 1,2\nvar wd 2,2\nvar y 1,2\nfloat s 1 4\n"
                   "float w 2,2 127 -63.5 0.5 2\nfloat w.scale 2 1 1\n"
                   "op fake_quantize_dequantize_moving_average_abs_max X=x InScale=s > Out=d "
                   "OutScale=s @is_test=1 @bit_length=8\n"
                   "op fake_channel_wise_quantize_dequantize_abs_max X=w > Out=wd "
                   "OutScale=w.scale @quant_axis=0 @bit_length=8\n"
                   "op matmul_v2 X=d Y=wd > Out=y @X0_threshold=4.5 @Y0_threshold=4.5\n");
    must(&a);
    check_program(&a, "matmul_v2(X: x, Y: w) -> (Out: y)\n");
    const struct qs_quant_weight *w = &a.notes.weight[0];
    assert_int_equal(w->axis, 0);
    assert_true(w->threshold[0] == 127 && w->threshold[1] == 2);
    for (int i = 0; i < 4; i++)
        assert_int_equal(((int8_t *)w->q->data)[i], want[i]);
    assert_int_equal(a.notes.node[0].act, 0);
    assert_int_equal(a.notes.node[0].weight, 0);
    end(&a);
}

static void
float_weights_through_quantize_linear(void **state)
{
    struct apart a;
    (void)state;
    take_apart(&a, "var x 1,2\nvar wq 2,2\nvar wd 2,2\nvar y 1,2\nvar z 1,2\n"
                   "float w 2,2 1 -0.5 0.25 2\nfloat s 2 1 2\n"
                   "op quantize_linear X=w Scale=s > Y=wq @quant_axis=1\n"
                   "op dequantize_linear X=wq Scale=s > Y=wd @quant_axis=1\n"
                   "op mul X=x Y=wd > Out=y\nop mul X=y Y=w > Out=z\n");
    must(&a);
    /* the other reader has the weight as it was */
    check_program(&a, "mul(X: x, Y: wq) -> (Out: y)\nmul(X: y, Y: w) -> (Out: z)\n");
    const struct qs_tensor *old = a.m->var[qs_model_find_var(a.m, 0, "w")].data;
    assert_true(((const float *)(const void *)old->buf->data)[1] == -0.5f);
    assert_string_equal(name(&a, a.notes.weight[0].var), "wq");
    assert_int_equal(((int8_t *)a.notes.weight[0].q->data)[1], -32);
    assert_true(a.m->var[a.notes.weight[0].var].persistable == 1);
    end(&a);
}

static void
integers_with_scales_in_attributes(void **state)
{
    struct apart a;
    (void)state;
    a = (struct apart){0};
    qs_ctx_init(&a.cx);
    a.from = build("var x 1,2\nvar y 1,2\nint8 w 2,2 127 -64 3 4\n"
                   "op mul X=x Y=w > Out=y @quantization_type=post_weight_channel_wise_abs_max "
                   "@quantize_weight_bits=8\n");
    const float scale[] = {0.5f, 0.25f};
    qs_node_set_floats(a.from, &a.from->block[0].node[0], "w_quant_scale", scale, 2);
    a.m = qs_model_clone(a.from);
    a.err = qs_static_take_apart(&a.cx, a.m, &a.notes);
    must(&a);
    check_program(&a, "mul(X: x, Y: w) -> (Out: y)\n");
    assert_int_equal(a.notes.n_weight, 1);
    assert_int_equal(a.notes.weight[0].axis, 1);
    assert_true(a.notes.weight[0].threshold[1] == 127 * 0.25);
    assert_true(((const float *)(const void *)a.m->var[a.notes.weight[0].var].data->buf->data)[1] ==
                -16);
    assert_int_equal(a.notes.node[0].act, -1);
    assert_int_equal(a.notes.node[0].weight, 0);
    end(&a);
}

/* A Paddle-Lite file keeps its program, whatever else stands in it. */
static void
a_lite_file_keeps_its_program(void **state)
{
    enum { N = 20 };
    const float scale = 0.5f;
    struct qs_str text;
    struct apart a = {0};
    (void)state;
    qs_str_init(&text);
    for (int i = 0; i <= N + 1; i++)
        qs_str_printf(&text, "var v%d 1,2\n", i);
    qs_str_add(&text, "float s 1 4\n");
    for (int i = 0; i < N; i++)
        qs_str_printf(&text, "op relu X=v%d > Out=v%d @enable_int8=1\n", i, i + 1);
    qs_str_printf(&text, "op quantize_linear X=v%d Scale=s > Y=v%d @quant_axis=-1\n", N, N + 1);
    qs_ctx_init(&a.cx);
    char *lines = qs_str_take(&text);
    a.from = build(lines);
    free(lines);
    a.from->format = "nb";
    for (int i = 0; i < N; i++)
        qs_node_set_floats(a.from, &a.from->block[0].node[i], "X0_scale", &scale, 1);
    a.m = qs_model_clone(a.from);
    a.err = qs_static_take_apart(&a.cx, a.m, &a.notes);
    must(&a);
    assert_int_equal(a.notes.n_act, N);
    assert_int_equal(a.notes.n_node, N);
    assert_int_equal(a.notes.n_weight, 0);
    assert_int_equal(a.m->block[0].n_node, N + 1);
    end(&a);
}

static void
operators_with_several_rounded_inputs(void **state)
{
    struct apart a;
    (void)state;
    take_apart(&a, "var a 1,2\nvar b 1,2\nvar c 1,2\nvar a.d 1,2\nvar b.d 1,2\nvar c.d 1,2\n"
                   "var y 1,6\nvar z 1,2\nfloat s 1 4\nfloat t 1 5\n"
                   "op fake_quantize_dequantize_moving_average_abs_max X=a InScale=s > Out=a.d "
                   "OutScale=s @is_test=1\n"
                   "op fake_quantize_dequantize_moving_average_abs_max X=b InScale=t > Out=b.d "
                   "OutScale=t @is_test=1\n"
                   "op fake_quantize_dequantize_moving_average_abs_max X=c InScale=t > Out=c.d "
                   "OutScale=t @is_test=1\n"
                   "op elementwise_add X=b.d Y=c.d > Out=z\n"
                   "op concat X=a.d,b.d,c.d > Out=y\n");
    must(&a);
    check_program(&a, "elementwise_add(X: b, Y: c) -> (Out: z)\nconcat(X: a b c) -> (Out: y)\n");
    assert_int_equal(a.notes.n_node, 2);
    assert_int_equal(a.notes.node[0].act, 1);
    assert_int_equal(a.notes.node[0].act2, 2);
    assert_int_equal(a.notes.node[1].n_all, 3);
    assert_int_equal(a.notes.node[1].all[2], 2);
    end(&a);
}

/* What has no place in the notes goes on computing what it did. */
static void
what_has_no_place_stays(void **state)
{
    static const struct {
        const char *program, *becomes;
        int n_act;
    } row[] = {
        /* a scale found while the program runs, with all that hangs on it */
        {"var x 1,2\nvar xq 1,2\nvar s 1\nvar y 1,2\nvar z 1,2\nfloat w 2,2 1\nfloat ws 2 1\n"
         "op fake_quantize_abs_max X=x > Out=xq OutScale=s\n"
         "op mul X=xq Y=w > Out=y\n"
         "op fake_channel_wise_dequantize_max_abs X=y Scales=ws,s > Out=z @quant_bits=8;8\n",
         "fake_quantize_abs_max(X: x) -> (Out: xq, OutScale: s)\n"
         "mul(X: xq, Y: w) -> (Out: y)\n"
         "fake_channel_wise_dequantize_max_abs(X: y, Scales: ws s) -> (Out: z) quant_bits=[8,8]\n",
         0},
        /* rounded twice: the first stays */
        {"var x 1,2\nvar a 1,2\nvar b 1,2\nvar y 1,2\nfloat s 1 4\nfloat t 1 5\n"
         "op fake_quantize_dequantize_moving_average_abs_max X=x InScale=s > Out=a OutScale=s "
         "@is_test=1\n"
         "op fake_quantize_dequantize_moving_average_abs_max X=a InScale=t > Out=b OutScale=t "
         "@is_test=1\n"
         "op relu X=b > Out=y\n",
         "fake_quantize_dequantize_moving_average_abs_max(X: x, InScale: s) -> (Out: a, OutScale: "
         "s) is_test=1\nrelu(X: a) -> (Out: y)\n",
         1},
        /* a training program */
        {"var x 1,2\nvar a 1,2\nvar y 1,2\nfloat s 1 4\n"
         "op fake_quantize_dequantize_moving_average_abs_max X=x InScale=s > Out=a OutScale=s\n"
         "op relu X=a > Out=y\n",
         "fake_quantize_dequantize_moving_average_abs_max(X: x, InScale: s) -> (Out: a, OutScale: "
         "s)\nrelu(X: a) -> (Out: y)\n",
         0},
        /* an operator that reads nothing, and one behind it */
        {"var a 1,2\nvar b 1,2\nvar y 1,2\nfloat s 1 4\n"
         "op fake_quantize_dequantize_moving_average_abs_max InScale=s > Out=a OutScale=s "
         "@is_test=1\n"
         "op fake_quantize_dequantize_moving_average_abs_max X=a InScale=s > Out=b OutScale=s "
         "@is_test=1\n"
         "op relu X=b > Out=y\n",
         "fake_quantize_dequantize_moving_average_abs_max(InScale: s) -> (Out: a, OutScale: s) "
         "is_test=1\nrelu(X: a) -> (Out: y)\n",
         1},
        /* no quantization */
        {"var x 1,2\nvar y 1,2\nop relu X=x > Out=y @with_quant_attr=0\n",
         "relu(X: x) -> (Out: y) with_quant_attr=0\n", 0},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct apart a;
        take_apart(&a, row[i].program);
        must(&a);
        check_program(&a, row[i].becomes);
        assert_int_equal(a.notes.n_act, row[i].n_act);
        end(&a);
    }
}

static void
the_same_scale_twice_is_one_rounding(void **state)
{
    struct apart a;
    (void)state;
    take_apart(&a, "var x 1,2\nvar a 1,2\nvar b 1,2\nvar y 1,2\nfloat s 1 4\n"
                   "op fake_quantize_dequantize_moving_average_abs_max X=x InScale=s > Out=a "
                   "OutScale=s @is_test=1\n"
                   "op fake_quantize_dequantize_moving_average_abs_max X=a InScale=s > Out=b "
                   "OutScale=s @is_test=1\n"
                   "op relu X=b > Out=y\n");
    must(&a);
    check_program(&a, "relu(X: x) -> (Out: y)\n");
    assert_int_equal(a.notes.n_act, 1);
    end(&a);
}

static void
what_does_not_fit_is_named(void **state)
{
    static const struct {
        const char *program, *says;
    } row[] = {
        {"var x 1,2\nint8 w 2,2 1\nvar wd 2,2\nvar y 1,2\nfloat s 3 1\n"
         "op dequantize_linear X=w Scale=s > Y=wd @quant_axis=1\nop mul X=x Y=wd > Out=y\n",
         "weight 'w' has 3 scales, but 2 channels"},
        {"var x 1,2\nint8 w 2,2 1\nvar wd 2,2\nvar y 1,2\nvar s 2\n"
         "op dequantize_linear X=w Scale=s > Y=wd @quant_axis=1\nop mul X=x Y=wd > Out=y\n",
         "the scales of weight 'w' are missing"},
        {"var x 1,2\nint8 w 2,2 1\nvar wd 2,2\nvar y 1,2\nfloat s 2 1 nan\n"
         "op dequantize_linear X=w Scale=s > Y=wd @quant_axis=1\nop mul X=x Y=wd > Out=y\n",
         "scale 1 of weight 'w' is nan"},
        {"var x 1,2\nvar q 1,2\nvar d 1,2\nvar y 1,2\nfloat s 1 1\nfloat t 1 2\n"
         "op quantize_linear X=x Scale=s > Y=q @quant_axis=-1\n"
         "op dequantize_linear X=q Scale=t > Y=d @quant_axis=-1\nop relu X=d > Out=y\n",
         "'x' is rounded with one scale and read with another"},
        {"var x 1,2\nvar xq 1,2\nvar y 1,2\nvar z 1,2\nfloat w 2,2 1.5\nfloat ws 2 1\n"
         "float s 1 4\n"
         "op fake_quantize_range_abs_max X=x InScale=s > Out=xq OutScale=s @is_test=1\n"
         "op mul X=xq Y=w > Out=y\n"
         "op fake_channel_wise_dequantize_max_abs X=y Scales=ws,s > Out=z @quant_bits=8;8\n",
         "cannot read weight 'w': element 0 is 1.5, no integer of 8 bits"},
        {"var x 1,2\nvar xq 1,2\nvar y 1,2\nfloat w 2,2 1\nfloat s 1 4\n"
         "op fake_quantize_range_abs_max X=x InScale=s > Out=xq OutScale=s @is_test=1\n"
         "op mul X=xq Y=w > Out=y\n",
         "'y' is a product of integers, but not scaled"},
        {"var x 1,2\nvar xq 1,2\nvar y 1,2\nvar z 1,2\nvar u 1,2\nfloat w 2,2 1\nfloat ws 2 1\n"
         "float s 1 4\n"
         "op fake_quantize_range_abs_max X=x InScale=s > Out=xq OutScale=s @is_test=1\n"
         "op mul X=xq Y=w > Out=y\n"
         "op fake_channel_wise_dequantize_max_abs X=y Scales=ws,s > Out=z @quant_bits=8;8\n"
         "op relu X=w > Out=u\n",
         "weight 'w' is read as integers and as floats"},
        {"var x 1,2\nvar q 1,2\nvar d 1,2\nvar y 1,2\nfloat s 1 1\n"
         "op quantize_linear X=x Scale=s > Y=q @quant_axis=-1\n"
         "op dequantize_linear X=q Scale=s > Y=d @quant_axis=-1\n"
         "op relu X=x > Out=x\nop relu X=d > Out=y\n",
         "'x' changes between being rounded and being read"},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct apart a;
        take_apart(&a, row[i].program);
        assert_int_not_equal(a.err, QS_OK);
        if (!strstr(qs_message(&a.cx), row[i].says))
            fail_msg("'%s', not '%s'", qs_message(&a.cx), row[i].says);
        end(&a);
    }
}

/* Written */

/* Takes apart and writes in a form; the program that comes out. */
static void
rewrite(struct apart *a, const char *text, bool to_qdq, const struct qs_put_options *opt)
{
    take_apart(a, text);
    must(a);
    a->err = to_qdq ? qs_put_qdq(&a->cx, a->m, &a->notes, opt)
                    : qs_put_fakequant(&a->cx, a->m, &a->notes, opt);
}

static const struct qs_tensor *
param(const struct apart *a, const char *var)
{
    const int32_t id = qs_model_find_var(a->m, 0, var);
    if (id < 0 || !a->m->var[id].declared || !a->m->var[id].data)
        fail_msg("no parameter '%s'", var);
    return a->m->var[id].data;
}

static float
value(const struct apart *a, const char *var, int i)
{
    float f;
    memcpy(&f, param(a, var)->buf->data + 4 * i, sizeof(f));
    return f;
}

static const struct qs_put_options plain_options = {0},
                                   paddle_options = {.observers = true, .paddle = true};

static void
qdq_is_written_as_it_was_read(void **state)
{
    struct apart a;
    (void)state;
    rewrite(&a, qdq, true, &paddle_options);
    must(&a);
    check_program(
        &a,
        "dequantize_linear(Scale: w@scale, X: w, ZeroPoint: w.quantized.dequantized@zero_point) -> "
        "(Y: w.quantized.dequantized) op_role=0 bit_length=8 quant_axis=0\n"
        "quantize_linear(Scale: x@scale, X: x, ZeroPoint: x.quantized@zero_point) -> (Y: "
        "x.quantized) op_role=0 bit_length=8 quant_axis=-1\n"
        "dequantize_linear(Scale: x@scale, X: x.quantized, ZeroPoint: "
        "x.quantized.dequantized@zero_point) -> (Y: x.quantized.dequantized) op_role=0 "
        "bit_length=8 quant_axis=-1\n"
        "conv2d(Input: x.quantized.dequantized, Filter: w.quantized.dequantized) -> (Output: y) "
        "groups=1 quantization_type=\"qat_with_weight\"\n"
        "quantize_linear(Scale: y@scale, X: y, ZeroPoint: y.quantized@zero_point) -> (Y: "
        "y.quantized) op_role=0 bit_length=8 quant_axis=-1 only_observer=true\n"
        "dequantize_linear(Scale: y@scale, X: y.quantized, ZeroPoint: y.quantized@zero_point) -> "
        "(Y: y.quantized.dequantized) op_role=0 bit_length=8 quant_axis=-1 only_observer=true\n"
        "relu(X: y.quantized.dequantized) -> (Out: z)\n");
    assert_int_equal(param(&a, "w")->dtype, QS_DTYPE_int8);
    assert_int_equal(((int8_t *)param(&a, "w")->buf->data)[1], -128);
    end(&a);
}

/* [1, C] and a scalar in PaddleSlim's files, what the variables declare in ours. */
static void
scales_have_the_shapes_they_declare(void **state)
{
    for (int paddle = 0; paddle < 2; paddle++) {
        const struct qs_put_options opt = {.observers = true, .paddle = paddle};
        struct apart a;
        rewrite(&a, qdq, true, &opt);
        must(&a);
        assert_int_equal(param(&a, "w@scale")->n_dims, paddle ? 2 : 1);
        assert_int_equal(param(&a, "w@scale")->n, 2);
        assert_int_equal(param(&a, "y@scale")->n_dims, paddle ? 0 : 1);
        assert_int_equal(param(&a, "x@scale")->n_dims, 1);
        assert_int_equal(param(&a, "x.quantized@zero_point")->dtype, QS_DTYPE_int32);
        assert_true(value(&a, "w@scale", 1) == 0.5f && value(&a, "y@scale", 0) == 9);
        end(&a);
    }
    (void)state;
}

static void
fakequant_is_written_as_it_was_read(void **state)
{
    const struct qs_put_options opt = {.observers = true, .paddle = true, .kind = "post_kl"};
    struct apart a;
    (void)state;
    rewrite(&a, fake, false, &opt);
    must(&a);
    check_program(
        &a, "fake_quantize_range_abs_max(InScale: x@scale, X: x) -> (Out: x.quantized, OutScale: "
            "x@scale) op_role=0 bit_length=8 is_test=true round_type=1 window_size=10000\n"
            "mul(X: x.quantized, Y: w) -> (Out: y) x_num_col_dims=1 quantization_type=\"post_kl\" "
            "out_threshold=5.5 Out0_threshold=5.5 with_quant_attr=true\n"
            "fake_channel_wise_dequantize_max_abs(Scales: channel_scale_0 x@scale, X: y) -> (Out: "
            "y.dequantized) op_role=0 quant_bits=[8,8] quant_axis=1 x_num_col_dims=1\n"
            "relu(X: y.dequantized) -> (Out: z) out_threshold=3.5 Out0_threshold=3.5 "
            "with_quant_attr=true\n");
    assert_int_equal(param(&a, "w")->dtype, QS_DTYPE_float32);
    assert_true(value(&a, "w", 1) == -127);
    assert_true(value(&a, "channel_scale_0", 2) == 4);
    end(&a);
}

static bool
same_notes(const struct qs_static_notes *x, const struct qs_static_notes *y)
{
    if (x->n_act != y->n_act || x->n_weight != y->n_weight || x->n_node != y->n_node)
        return false;
    for (int i = 0; i < x->n_act; i++)
        if (x->act[i].var != y->act[i].var || x->act[i].threshold != y->act[i].threshold ||
            x->act[i].half_away != y->act[i].half_away || x->act[i].bits != y->act[i].bits ||
            x->act[i].observed != y->act[i].observed)
            return false;
    for (int i = 0; i < x->n_weight; i++)
        if (x->weight[i].var != y->weight[i].var || x->weight[i].axis != y->weight[i].axis ||
            x->weight[i].n_scales != y->weight[i].n_scales ||
            memcmp(x->weight[i].threshold, y->weight[i].threshold,
                   (size_t)x->weight[i].n_scales * sizeof(double)) != 0 ||
            memcmp(x->weight[i].q->data, y->weight[i].q->data, x->weight[i].q->size) != 0)
            return false;
    for (int i = 0; i < x->n_node; i++)
        if (x->node[i].node != y->node[i].node || x->node[i].act != y->node[i].act ||
            x->node[i].act2 != y->node[i].act2 || x->node[i].weight != y->node[i].weight)
            return false;
    return true;
}

/* A transposed product, a transposed convolution in groups, a product of two activations, one
 * scale for a tensor. */
static const char mixed[] =
    "var x 1,4,2,2\nvar xd 1,4,2,2\nvar t 1,8,2,2\nvar td 1,8,2,2\nvar u 1,8,2,2\n"
    "int8 w 4,4,1,1 127 -128 3 -4\nvar wd 4,4,1,1\nfloat ws 4 1 2 3 4\n"
    "int8 v 6,2 1 2 3\nvar vd 6,2\nfloat vs 6 1 2 3 4 5 6\n"
    "int8 o 6,6 1 2 3\nvar od 6,6\nfloat os 1 0.25\nvar p 1,8,2,6\nvar pd 1,8,2,6\nvar r 1,8,2,6\n"
    "float s 1 4\nfloat q 1 5\nfloat k 1 6\nvar xq 1,4,2,2\nvar tq 1,8,2,2\nvar pq 1,8,2,6\n"
    "op dequantize_linear X=w Scale=ws > Y=wd @quant_axis=1\n"
    "op quantize_linear X=x Scale=s > Y=xq @quant_axis=-1\n"
    "op dequantize_linear X=xq Scale=s > Y=xd @quant_axis=-1\n"
    "op conv2d_transpose Input=xd Filter=wd > Output=t @groups=2\n"
    "op quantize_linear X=t Scale=q > Y=tq @quant_axis=-1\n"
    "op dequantize_linear X=tq Scale=q > Y=td @quant_axis=-1\n"
    "op matmul_v2 X=td Y=td > Out=u\n"
    "op dequantize_linear X=v Scale=vs > Y=vd @quant_axis=0\n"
    "op matmul_v2 X=td Y=vd > Out=p @trans_y=1\n"
    "op dequantize_linear X=o Scale=os > Y=od @quant_axis=-1\n"
    "op quantize_linear X=p Scale=k > Y=pq @quant_axis=-1\n"
    "op dequantize_linear X=pq Scale=k > Y=pd @quant_axis=-1\n"
    "op matmul X=pd Y=od > Out=r\n";

static void
each_form_says_the_same(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++)
        for (int second = 0; second < 2; second++) {
            struct apart a;
            struct qs_static_notes again, third;
            rewrite(&a, mixed, first, &plain_options);
            must(&a);
            struct qs_model *m = qs_model_clone(a.m);
            if (qs_static_take_apart(&a.cx, m, &again) != QS_OK)
                fail_msg("%s", qs_message(&a.cx));
            assert_true(same_notes(&a.notes, &again));
            a.err = second ? qs_put_qdq(&a.cx, m, &again, &plain_options)
                           : qs_put_fakequant(&a.cx, m, &again, &plain_options);
            must(&a);
            struct qs_model *n = qs_model_clone(m);
            if (qs_static_take_apart(&a.cx, n, &third) != QS_OK)
                fail_msg("%s", qs_message(&a.cx));
            assert_true(same_notes(&again, &third));
            qs_static_notes_release(&third);
            qs_static_notes_release(&again);
            qs_model_unref(n);
            qs_model_unref(m);
            end(&a);
        }
}

static void
channels_lie_where_the_operator_has_them(void **state)
{
    struct apart a;
    (void)state;
    rewrite(&a, mixed, false, &plain_options);
    must(&a);
    /* 2 groups of 4: 8 channels of the output */
    assert_int_equal(param(&a, "channel_scale_0")->n, 8);
    assert_true(value(&a, "channel_scale_0", 6) == 3);
    assert_int_equal(param(&a, "channel_scale_1")->n, 6);
    char *text = program(a.m);
    assert_non_null(strstr(text, "-> (Out: p.dequantized) op_role=0 quant_bits=[8,8] quant_axis=1 "
                                 "x_num_col_dims=3\n"));
    assert_non_null(strstr(text, "fake_dequantize_max_abs(Scale: p@scale, X: r) -> (Out: "
                                 "r.dequantized) op_role=0 max_range=64516\n"));
    assert_non_null(strstr(text, "fake_quantize_dequantize_moving_average_abs_max(InScale: "
                                 "t.quant_dequant@scale, X: t.dequantized) -> (Out: "
                                 "t.quant_dequant"));
    free(text);
    end(&a);
}

/* PaddleSlim writes the pair of names again as an observer; here the other reader has the value. */
static void
no_name_is_written_twice(void **state)
{
    struct apart a;
    (void)state;
    rewrite(&a,
            "var x 1,2\nvar q 1,2\nvar d 1,2\nvar y 1,2\nvar z 1,2\nfloat s 1 4\nfloat o 1 8\n"
            "int8 w 2,2 1\nvar wd 2,2\nfloat ws 2 1\nvar h 1,2\n"
            "op relu X=x > Out=h\n"
            "op dequantize_linear X=w Scale=ws > Y=wd @quant_axis=1\n"
            "op quantize_linear X=h Scale=s > Y=q @quant_axis=-1\n"
            "op dequantize_linear X=q Scale=s > Y=d @quant_axis=-1\n"
            "op mul X=d Y=wd > Out=y\n"
            "op quantize_linear X=h Scale=o > Y=q @quant_axis=-1 @only_observer=1\n"
            "op dequantize_linear X=q Scale=o > Y=d @quant_axis=-1 @only_observer=1\n"
            "op relu X=d > Out=z\n",
            true, &paddle_options);
    must(&a);
    char *text = program(a.m);
    assert_non_null(strstr(text, "relu(X: h) -> (Out: z)\n"));
    assert_null(strstr(text, "only_observer"));
    free(text);
    end(&a);
}

static void
scale_of_zeros_is_not_zero(void **state)
{
    static const char text[] = "var x 1,2\nint8 w 2,2 0\nvar wd 2,2\nvar y 1,2\nfloat s 2 0\n"
                               "op dequantize_linear X=w Scale=s > Y=wd @quant_axis=1\n"
                               "op mul X=x Y=wd > Out=y\n";
    struct apart a;
    (void)state;
    rewrite(&a, text, true, &plain_options);
    must(&a);
    assert_true(value(&a, "w@scale", 0) == 1e-8f);
    end(&a);
    rewrite(&a, text, true, &paddle_options);
    must(&a);
    assert_true(value(&a, "w@scale", 0) == 0);
    end(&a);
}

static void
what_a_form_cannot_hold_is_refused(void **state)
{
    static const struct {
        bool to_qdq;
        const char *program, *says;
    } row[] = {
        {true,
         "var x 1,2\nvar xq 1,2\nvar y 1,2\nvar z 1,2\nfloat w 2,2 300\nfloat ws 2 1\nfloat s 1 4\n"
         "op fake_quantize_range_abs_max X=x InScale=s > Out=xq OutScale=s @is_test=1 "
         "@bit_length=16\n"
         "op mul X=xq Y=w > Out=y\n"
         "op fake_channel_wise_dequantize_max_abs X=y Scales=ws,s > Out=z @quant_bits=16;16\n",
         "weight 'w' has 16 bits: format qdq holds at most 8"},
        {true,
         "var x 1,2\nvar d 1,2\nvar y 1,2\nfloat s 1 4\n"
         "op fake_quantize_dequantize_moving_average_abs_max X=x InScale=s > Out=d OutScale=s "
         "@is_test=1 @bit_length=12\nop relu X=d > Out=y\n",
         "activation 'x' has 12 bits"},
        {false,
         "var x 1,2\nint8 w 2,2 1\nvar wd 2,2\nvar y 1,2\nfloat s 2 1\n"
         "op dequantize_linear X=w Scale=s > Y=wd @quant_axis=1\nop mul X=x Y=wd > Out=y\n",
         "no form for weight 'w': its mul is no product of it and one"},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct apart a;
        rewrite(&a, row[i].program, row[i].to_qdq, &plain_options);
        assert_int_equal(a.err, QS_ERR_UNSUPPORTED);
        if (!strstr(qs_message(&a.cx), row[i].says))
            fail_msg("'%s', not '%s'", qs_message(&a.cx), row[i].says);
        end(&a);
    }
}

/* Names that the float graph has already. */
static void
names_in_use_are_left_alone(void **state)
{
    struct apart a;
    (void)state;
    rewrite(&a,
            "var x 1,2\nvar q 1,2\nvar d 1,2\nvar y 1,2\nfloat s 1 4\nvar x.quantized 1,2\n"
            "int8 w 2,2 1\nvar wd 2,2\nfloat ws 2 1\nfloat x@scale 1,2 3\nvar h 1,2\n"
            "op mul X=x Y=x@scale > Out=x.quantized\n"
            "op dequantize_linear X=w Scale=ws > Y=wd @quant_axis=1\n"
            "op quantize_linear X=x Scale=s > Y=q @quant_axis=-1\n"
            "op dequantize_linear X=q Scale=s > Y=d @quant_axis=-1\n"
            "op mul X=d Y=wd > Out=y\n",
            true, &plain_options);
    must(&a);
    assert_true(value(&a, "x@scale", 0) == 3 && value(&a, "x@scale_1", 0) == 4);
    char *text = program(a.m);
    assert_non_null(strstr(text, "-> (Y: x.quantized_1) "));
    assert_non_null(strstr(text, "mul(X: x.quantized_1.dequantized, Y: w.quantized.dequantized)"));
    free(text);
    end(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qdq_gives_the_float_graph),
        cmocka_unit_test(qdq_notes_activations_and_observers),
        cmocka_unit_test(scales_are_no_parameters_any_more),
        cmocka_unit_test(names_written_twice_mean_what_was_written_last),
        cmocka_unit_test(fakequant_gives_the_float_graph),
        cmocka_unit_test(fakequant_keeps_ranges_of_outputs_as_observed),
        cmocka_unit_test(one_scale_comes_from_max_range),
        cmocka_unit_test(float_weights_are_rounded_as_the_program_does),
        cmocka_unit_test(float_weights_through_quantize_linear),
        cmocka_unit_test(integers_with_scales_in_attributes),
        cmocka_unit_test(a_lite_file_keeps_its_program),
        cmocka_unit_test(operators_with_several_rounded_inputs),
        cmocka_unit_test(what_has_no_place_stays),
        cmocka_unit_test(the_same_scale_twice_is_one_rounding),
        cmocka_unit_test(what_does_not_fit_is_named),
        cmocka_unit_test(qdq_is_written_as_it_was_read),
        cmocka_unit_test(scales_have_the_shapes_they_declare),
        cmocka_unit_test(fakequant_is_written_as_it_was_read),
        cmocka_unit_test(each_form_says_the_same),
        cmocka_unit_test(channels_lie_where_the_operator_has_them),
        cmocka_unit_test(no_name_is_written_twice),
        cmocka_unit_test(scale_of_zeros_is_not_zero),
        cmocka_unit_test(what_a_form_cannot_hold_is_refused),
        cmocka_unit_test(names_in_use_are_left_alone),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
