/* SPDX-License-Identifier: Apache-2.0 */
/* Notes of a quantized model, written in each form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apart_fixture.h"
#include "base/mem.h"
#include "passes/put.h"
#include "passes/take_apart.h"

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
    rewrite(&a, qdq_program, true, &paddle_options);
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
        rewrite(&a, qdq_program, true, &opt);
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
    rewrite(&a, fake_program, false, &opt);
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
