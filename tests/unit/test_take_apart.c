/* SPDX-License-Identifier: Apache-2.0 */
/* Quantized programs of every form, taken apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "apart_fixture.h"
#include "base/mem.h"
#include "base/str.h"

static const char *
name(const struct apart *a, int32_t var)
{
    return a->m->var[var].name;
}

static void
qdq_gives_the_float_graph(void **state)
{
    static const float want[] = {2, (float)(-128.0 * 2 / 127), 3 * 0.5f / 127, -4 * 0.5f / 127};
    struct apart a;
    (void)state;
    take_apart(&a, qdq_program);
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
    take_apart(&a, qdq_program);
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
    take_apart(&a, qdq_program);
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

static void
fakequant_gives_the_float_graph(void **state)
{
    struct apart a;
    (void)state;
    take_apart(&a, fake_program);
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
    take_apart(&a, fake_program);
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
    start(&a, "var x 1,2\nvar y 1,2\nint8 w 2,2 127 -64 3 4\n"
              "op mul X=x Y=w > Out=y @quantization_type=post_weight_channel_wise_abs_max "
              "@quantize_weight_bits=8\n");
    const float scale[] = {0.5f, 0.25f};
    qs_node_set_floats(a.from, &a.from->block[0].node[0], "w_quant_scale", scale, 2);
    go(&a);
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
    struct apart a;
    (void)state;
    qs_str_init(&text);
    for (int i = 0; i <= N + 1; i++)
        qs_str_printf(&text, "var v%d 1,2\n", i);
    qs_str_add(&text, "float s 1 4\n");
    for (int i = 0; i < N; i++)
        qs_str_printf(&text, "op relu X=v%d > Out=v%d @enable_int8=1\n", i, i + 1);
    qs_str_printf(&text, "op quantize_linear X=v%d Scale=s > Y=v%d @quant_axis=-1\n", N, N + 1);
    char *lines = qs_str_take(&text);
    start(&a, lines);
    free(lines);
    a.from->format = "nb";
    for (int i = 0; i < N; i++)
        qs_node_set_floats(a.from, &a.from->block[0].node[i], "X0_scale", &scale, 1);
    go(&a);
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
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
