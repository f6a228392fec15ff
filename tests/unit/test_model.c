/* SPDX-License-Identifier: Apache-2.0 */
/* The graph and its edits, clones, edges, plans as text, what is found of earlier quantization. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../models.h"
#include "base/mem.h"
#include "model/layer.h"
#include "model/plan.h"
#include "model/quant_info.h"
#include "model/text.h"

static char *
text_of(const struct qs_model *m)
{
    struct qs_str s;
    qs_str_init(&s);
    qs_text_model(m, false, &s);
    return qs_str_take(&s);
}

/* Graph */

static void
text_form_shows_everything(void **state)
{
    static const char want[] =
        "program version 2006002\n"
        "block 0 parent -1\n"
        "  var x float32 ?x8\n"
        "  var h1 float32 ?x8\n"
        "  var h2 float32 ?x8\n"
        "  var h3 float32 ?x8\n"
        "  var h4 float32 ?x8\n"
        "  var y float32 ?x4\n"
        "  param plain.w float32 8x8\n"
        "  param turned.w float32 8x8\n"
        "  param twice.w float32 8x8\n"
        "  param last.w float32 8x4\n"
        "  var feed type 9\n"
        "  var fetch type 10\n"
        "  0: feed(X: feed) -> (Out: x) col=0\n"
        "  1: matmul_v2(X: x, Y: plain.w) -> (Out: h1) trans_x=false trans_y=false\n"
        "  2: matmul_v2(X: h1, Y: turned.w) -> (Out: h2) trans_x=false trans_y=true\n"
        "  3: mul(X: h2, Y: twice.w) -> (Out: h3) x_num_col_dims=1 y_num_col_dims=1\n"
        "  4: mul(X: h3, Y: twice.w) -> (Out: h4) x_num_col_dims=1 y_num_col_dims=1\n"
        "  5: mul(X: h4, Y: last.w) -> (Out: y) x_num_col_dims=1 y_num_col_dims=1\n"
        "  6: fetch(X: y) -> (Out: fetch) col=0\n";
    struct qs_model *m = test_model("matmul");
    char *text = text_of(m);
    (void)state;
    assert_string_equal(text, want);
    free(text);
    qs_model_unref(m);
}

static void
clone_does_not_change_its_origin(void **state)
{
    struct qs_model *m = test_model("matmul"), *c = qs_model_clone(m);
    char *before = text_of(m);
    static const int64_t dims[] = {2, 2};
    struct qs_ctx cx;
    struct qs_buf *b = NULL;
    (void)state;
    qs_ctx_init(&cx);
    struct qs_node *node = &c->block[0].node[1];
    qs_node_set_type(c, node, "mul");
    qs_node_drop_attr(c, node, "trans_x");
    qs_node_set_int(c, node, "col", 7);
    qs_node_set_str(c, node, "added", "text");
    const int32_t x = qs_model_add_var(c, 0, "new");
    qs_model_declare(c, x);
    qs_model_index(c);
    qs_node_set_out(c, node, "Out", &x, 1);
    assert_int_equal(qs_buf_new(&cx, 16, &b), QS_OK);
    memset(b->data, 0, 16);
    const int32_t w = qs_model_find_var(c, 0, "plain.w");
    qs_model_set_data(c, w, QS_DTYPE_float32, 2, dims, b, 0);
    char *after = text_of(m), *changed = text_of(c);
    assert_string_equal(before, after);
    assert_non_null(strstr(changed, "mul(X: x, Y: plain.w) -> (Out: new) trans_y=false col=7 "
                                    "added=\"text\""));
    assert_int_equal(m->var[qs_model_find_var(m, 0, "plain.w")].data->n, 64);
    qs_model_unref(m); /* the clone keeps what it shares */
    free(changed);
    changed = text_of(c);
    assert_non_null(strstr(changed, "param plain.w float32 2x2"));
    free(before);
    free(after);
    free(changed);
    qs_model_unref(c);
}

static void
attributes_are_read_by_kind(void **state)
{
    struct qs_model *m = test_model("small");
    struct qs_node *conv = &m->block[0].node[1];
    int64_t list[4];
    (void)state;
    assert_string_equal(conv->type, "conv2d");
    assert_int_equal(qs_attr_int(conv, "groups", -5), 1);
    assert_int_equal(qs_attr_int(conv, "none", -5), -5);
    assert_int_equal(qs_attr_int(conv, "data_format", -5), -5);
    assert_string_equal(qs_attr_str(conv, "data_format", "-"), "NCHW");
    assert_string_equal(qs_attr_str(conv, "groups", "-"), "-");
    assert_int_equal(qs_attr_ints(conv, "strides", list, 4), 2);
    assert_int_equal(list[1], 1);
    assert_int_equal(qs_attr_ints(conv, "strides", list, 1), -1);
    assert_int_equal(qs_attr_ints(conv, "groups", list, 4), 1);
    qs_node_set_float(m, conv, "scale", 0.5f);
    assert_true(qs_attr_float(conv, "scale", 0) == 0.5);
    assert_true(qs_attr_float(conv, "groups", 0) == 1.0);
    assert_int_equal(qs_node_input(conv, "Filter", 0), qs_model_find_var(m, 0, "conv.w"));
    assert_int_equal(qs_node_input(conv, "Filter", 1), -1);
    assert_int_equal(qs_node_input(conv, "Bias", 0), -1);
    qs_model_unref(m);
}

static void
edges_tell_readers_and_writers(void **state)
{
    struct qs_model *m = test_model("matmul");
    struct qs_edges *e = qs_edges_new(m);
    static const struct {
        const char *name;
        int n_reader, n_writer;
    } row[] = {{"x", 1, 1},       {"h3", 1, 1},      {"y", 1, 1},
               {"plain.w", 1, 0}, {"twice.w", 2, 0}, {"fetch", 0, 1}};
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        const int32_t v = qs_model_find_var(m, 0, row[i].name);
        assert_int_equal(e->n_reader[v], row[i].n_reader);
        assert_int_equal(e->n_writer[v], row[i].n_writer);
    }
    assert_int_equal(e->reader[qs_model_find_var(m, 0, "twice.w")][1].node, 4);
    qs_edges_free(e);
    qs_model_unref(m);
}

static void
inner_blocks_see_the_variables_of_outer_ones(void **state)
{
    struct qs_model *m = test_model("doubling");
    (void)state;
    const int32_t outer = qs_model_add_var(m, 0, "a"), inner = qs_model_add_var(m, 3, "a");
    const int32_t *same;
    qs_model_index(m);
    assert_int_equal(qs_model_find_var(m, 0, "a"), outer);
    assert_int_equal(qs_model_find_var(m, 2, "a"), outer);
    assert_int_equal(qs_model_find_var(m, 3, "a"), inner);
    assert_int_equal(qs_model_find_var(m, 9, "a"), inner);
    assert_int_equal(qs_model_find_var(m, 9, "b"), -1);
    assert_int_equal(qs_model_find_var(m, -1, "a"), -1);
    assert_int_equal(qs_model_same_name(m, "a", &same), 2);
    qs_model_unref(m);
}

static void
element_counts_do_not_overflow(void **state)
{
    static const struct {
        int64_t dims[3];
        int n;
        int64_t want; /* -1: refused */
    } row[] = {
        {{0}, 0, 1},
        {{3, 4, 5}, 3, 60},
        {{3, 0, 5}, 3, 0},
        {{-1, 4}, 2, -1},
        {{INT64_MAX, 1}, 2, INT64_MAX},
        {{INT64_MAX, 2}, 2, -1},
        {{INT64_C(1) << 32, INT64_C(1) << 31}, 2, -1},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct qs_ctx cx;
        int64_t n = -1;
        qs_ctx_init(&cx);
        const enum qs_err err = qs_count_elements(&cx, row[i].dims, row[i].n, &n);
        assert_int_equal(err, row[i].want < 0 ? QS_ERR_FORMAT : QS_OK);
        assert_int_equal(n, row[i].want);
    }
}

/* Layers */

static void
layers_say_why_not(void **state)
{
    static const struct {
        const char *model, *weight;
        bool quantizable, int_loadable;
        const char *reason;
        int axis;
    } row[] = {
        {"small", "conv.w", true, true, "", 0},
        {"small", "fc.w", true, true, "", 1},
        {"small", "fc.b", false, false, "Y of elementwise_add", -1},
        {"matmul", "plain.w", true, false, "integer weights of matmul_v2", 1},
        {"matmul", "turned.w", true, false, "integer weights of matmul_v2", 0},
        {"matmul", "twice.w", true, true, "", 1},
        {"lite", "dw.w", true, true, "", 0},
        {"unknown", "strange.w", false, false, "strange_op is not known", -1},
        {"unknown", "unread.w", false, false, "no operator reads it", -1},
        {"float16", "conv.w", false, true, "float16", 0},
        {"empty-weight", "empty.w", false, true, "no elements", 1},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct qs_model *m = test_model(row[i].model);
        struct qs_edges *e = qs_edges_new(m);
        struct qs_layers *ls = qs_layers_new(m, e);
        const struct qs_layer *l = NULL;
        for (int k = 0; k < ls->n; k++)
            if (strcmp(m->var[ls->layer[k].var].name, row[i].weight) == 0)
                l = &ls->layer[k];
        assert_non_null(l);
        if (l->quantizable != row[i].quantizable || l->axis != row[i].axis ||
            l->int_loadable != row[i].int_loadable || !strstr(l->reason, row[i].reason) ||
            !*l->reason != !*row[i].reason)
            fail_msg("%s of %s: quantizable %d, loadable %d, axis %d, '%s'", row[i].weight,
                     row[i].model, l->quantizable, l->int_loadable, l->axis, l->reason);
        qs_layers_free(ls);
        qs_edges_free(e);
        qs_model_unref(m);
    }
}

/* Plans */

static void
plan_text_reads_back(void **state)
{
    static const char *const text[] = {
        "",
        "# a comment\n\n  method = weight-only \r\nweight-bits=4\n",
        "method = weight-only\nweight-type = abs_max\nthreshold-rate = 0.1\nweight-bits = 3\n"
        "target = lite-x86\nop-types = conv2d,mul\n"
        "layer = a=b*=skip\nlayer = /x|y/=bits:16\n",
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(text); i++) {
        struct qs_ctx cx;
        struct qs_plan a, b;
        struct qs_str first, second;
        qs_ctx_init(&cx);
        qs_plan_init(&a);
        qs_plan_init(&b);
        qs_str_init(&first);
        qs_str_init(&second);
        assert_int_equal(qs_plan_parse(&cx, text[i], "test", &a), QS_OK);
        qs_plan_print(&a, &first);
        assert_int_equal(qs_plan_parse(&cx, first.s, "test", &b), QS_OK);
        qs_plan_print(&b, &second);
        assert_string_equal(first.s, second.s);
        assert_int_equal(qs_plan_check(&cx, &b), QS_OK);
        qs_str_release(&first);
        qs_str_release(&second);
        qs_plan_release(&a);
        qs_plan_release(&b);
    }
}

static void
bad_plans_are_refused_with_their_line(void **state)
{
    static const struct {
        const char *text, *why;
    } row[] = {
        {"method", "line 1: KEY = VALUE expected"},
        {"\n\nmethod = magic", "line 3: --method takes one of"},
        {"weight-bits = 17", "line 1: --weight-bits takes a whole number from 2 to 16"},
        {"colour = red", "line 1: unknown key 'colour'"},
        {"= 3", "unknown key ''"},
        {"weight-bits = 4", "8 or 16"},
        {"op-types = conv2d,relu", "'relu'"},
        {"layer = x=bits:4", "8 or 16 bits"},
        {"layer = x", "PATTERN=skip, PATTERN=bits:N, "},
        {"layer = =skip", "PATTERN=skip, PATTERN=bits:N, "},
        {"layer = x=bits:", "PATTERN=skip, PATTERN=bits:N, "},
        {"layer = x=bits:99", "from 2 to 16"},
        {"layer = /(/=skip", "bad pattern"},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct qs_ctx cx;
        struct qs_plan plan;
        qs_ctx_init(&cx);
        qs_plan_init(&plan);
        enum qs_err err = qs_plan_parse(&cx, row[i].text, "test", &plan);
        if (!err)
            err = qs_plan_check(&cx, &plan);
        if (err != QS_ERR_USAGE || !strstr(qs_message(&cx), row[i].why))
            fail_msg("'%s': %s", row[i].text, qs_message(&cx));
        qs_plan_release(&plan);
    }
}

static void
plan_as_command_is_quoted_for_a_shell(void **state)
{
    struct qs_ctx cx;
    struct qs_plan plan;
    struct qs_str out;
    (void)state;
    qs_ctx_init(&cx);
    qs_plan_init(&plan);
    qs_str_init(&out);
    qs_plan_print_command(&plan, &out);
    assert_string_equal(out.s, "");
    assert_int_equal(qs_plan_parse(&cx,
                                   "method = weight-only\nweight-bits = 4\nlayer = it's*=skip\n"
                                   "layer = a=bits:3\ngenerate-test-model = yes\n",
                                   "test", &plan),
                     QS_OK);
    qs_plan_print_command(&plan, &out);
    assert_string_equal(out.s, " --method weight-only --weight-bits 4 --generate-test-model "
                               "--layer 'it'\\''s*=skip' --layer a=bits:3");
    qs_str_release(&out);
    qs_plan_release(&plan);
}

static void
lists_match_whole_words(void **state)
{
    (void)state;
    assert_true(qs_in_list("conv2d,mul", "mul"));
    assert_true(qs_in_list("mul", "mul"));
    assert_false(qs_in_list("conv2d,matmul", "mul"));
    assert_false(qs_in_list("mul2", "mul"));
    assert_false(qs_in_list("", "mul"));
    assert_false(qs_in_list(NULL, "mul"));
    assert_false(qs_in_list("a,,b", "mul"));
}

/* Earlier quantization */

static void
earlier_quantization_is_found(void **state)
{
    static const float scale[] = {0.1f, 0.2f, 0.3f};
    struct qs_quant_info q;
    struct qs_model *m = test_model("small");
    (void)state;
    qs_quant_info_of(m, &q);
    assert_int_equal(q.kind, QS_QUANT_NONE);
    struct qs_node *conv = &m->block[0].node[1];
    qs_node_set_str(m, conv, "quantization_type", "post_weight_channel_wise_abs_max");
    qs_node_set_int(m, conv, "quantize_weight_bits", 8);
    qs_node_set_floats(m, conv, "conv.w_quant_scale", scale, 3);
    qs_quant_info_of(m, &q);
    assert_int_equal(q.kind, QS_QUANT_DYNAMIC);
    assert_int_equal(q.n_scales, 3);
    assert_int_equal(q.n_layers, 1);
    assert_true(q.bits == UINT64_C(1) << 8);
    qs_node_set_type(m, &m->block[0].node[2], "fake_quantize_moving_average_abs_max");
    qs_node_set_int(m, &m->block[0].node[2], "bit_length", 4);
    qs_quant_info_of(m, &q);
    assert_int_equal(q.kind, QS_QUANT_FAKEQUANT);
    assert_true(q.bits == (UINT64_C(1) << 8 | UINT64_C(1) << 4));
    qs_node_set_type(m, &m->block[0].node[2], "quantize_linear");
    qs_quant_info_of(m, &q);
    assert_int_equal(q.kind, QS_QUANT_QDQ);
    qs_model_unref(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_form_shows_everything),
        cmocka_unit_test(clone_does_not_change_its_origin),
        cmocka_unit_test(attributes_are_read_by_kind),
        cmocka_unit_test(edges_tell_readers_and_writers),
        cmocka_unit_test(inner_blocks_see_the_variables_of_outer_ones),
        cmocka_unit_test(element_counts_do_not_overflow),
        cmocka_unit_test(layers_say_why_not),
        cmocka_unit_test(plan_text_reads_back),
        cmocka_unit_test(bad_plans_are_refused_with_their_line),
        cmocka_unit_test(plan_as_command_is_quoted_for_a_shell),
        cmocka_unit_test(lists_match_whole_words),
        cmocka_unit_test(earlier_quantization_is_found),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
