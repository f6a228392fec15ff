/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of whole programs: costs, shapes of inputs, columns, sub-blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/op.h"
#include "model/shape.h"
#include "ops_fixture.h"

/* feed x; conv2d (filter [4, 3, 3, 3], stride 2); relu; fetch */
static struct qs_model *
small_program(int n_dims, const int64_t *dims)
{
    static const int64_t filter[4] = {4, 3, 3, 3};
    struct qs_model *m = qs_model_new();
    add_block(m, 4);
    const int32_t feed = add_tensor(m, "feed", -1, -1, NULL);
    const int32_t fetch = add_tensor(m, "fetch", -1, -1, NULL);
    const int32_t x = add_tensor(m, "x", QS_DTYPE_float32, n_dims, dims);
    const int32_t w = add_tensor(m, "w", QS_DTYPE_float32, 4, filter);
    const int32_t a = add_tensor(m, "a", QS_DTYPE_float32, -1, NULL);
    const int32_t b = add_tensor(m, "b", QS_DTYPE_float32, -1, NULL);
    m->var[feed].container = QS_FEED_MINIBATCH;
    m->var[fetch].container = QS_FETCH_LIST;
    m->var[w].persistable = 1;
    struct qs_node *node = set_node(m, 0, 0, "feed");
    put(m, node, false, "X", feed);
    put(m, node, true, "Out", x);
    node = set_node(m, 0, 1, "conv2d");
    put(m, node, false, "Input", x);
    put(m, node, false, "Filter", w);
    put(m, node, true, "Output", a);
    qs_node_set_ints(m, node, "strides", (const int32_t[]){2, 2}, 2);
    node = set_node(m, 0, 2, "relu");
    put(m, node, false, "X", a);
    put(m, node, true, "Out", b);
    node = set_node(m, 0, 3, "fetch");
    put(m, node, false, "X", b);
    put(m, node, true, "Out", fetch);
    qs_model_index(m);
    return m;
}

static void
costs_are_those_of_the_convolution(void **state)
{
    struct qs_ctx cx;
    struct qs_shapes *s;
    struct qs_model *m = small_program(4, (const int64_t[]){1, 3, 9, 9});
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(qs_infer_shapes(&cx, m, NULL, 0, &s), QS_OK);
    assert_null(s->assumed);
    assert_int_equal(s->n_unknown, 0);
    const struct qs_node_cost *c = &s->node[0][1];
    assert_true(c->known);
    assert_int_equal(c->params, 4 * 3 * 3 * 3);
    assert_int_equal(c->param_bytes, 4 * c->params);
    assert_int_equal(c->out_bytes, 4 * (4 * 4 * 4));
    assert_int_equal(c->macs, (4 * 4 * 4) * (3 * 3 * 3));
    assert_int_equal(s->macs, c->macs);
    assert_int_equal(c->out.d[2], 4);
    qs_shapes_free(s);
    qs_model_unref(m);
}

static void
inputs_are_guessed_given_or_refused(void **state)
{
    static const struct {
        int n;
        int64_t d[4];
        const char *given, *assumed;
        enum qs_err err;
    } row[] = {
        {4, {1, 3, 9, 9}, NULL, NULL, QS_OK},
        {4, {-1, 3, 9, 9}, NULL, "x 1x3x9x9", QS_OK},
        {4, {-1, 3, -1, -1}, NULL, "x 1x3x224x224", QS_OK},
        {4, {-1, 3, 32, -1}, NULL, "x 1x3x32x320", QS_OK},
        {4, {-1, -1, 160, -1}, NULL, "x 1x3x160x160", QS_OK},
        {4, {-1, 3, -1, -1}, "2,3,32,32", NULL, QS_OK},
        {4, {-1, 3, -1, -1}, "x=2,3,32,32", NULL, QS_OK},
        {4, {-1, 3, -1, -1}, "y=2,3,32,32", NULL, QS_ERR_NOT_FOUND},
        {4, {-1, 3, -1, -1}, "2,3,32", NULL, QS_ERR_USAGE},
        {4, {-1, 3, -1, -1}, "1,1,32,32", NULL, QS_ERR_FORMAT},
        {4, {-1, 1, -1, -1}, NULL, NULL, QS_ERR_FORMAT},
        {4, {1, 3, INT64_MAX, INT64_MAX}, NULL, NULL, QS_OK},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct qs_ctx cx;
        struct qs_shapes *s = NULL;
        struct qs_input_shape given;
        struct qs_arena arena;
        struct qs_model *m = small_program(row[i].n, row[i].d);
        qs_arena_init(&arena);
        qs_ctx_init(&cx);
        if (row[i].given)
            assert_int_equal(qs_input_shape_parse(&cx, &arena, row[i].given, &given), QS_OK);
        const enum qs_err err = qs_infer_shapes(&cx, m, &given, row[i].given != NULL, &s);
        if (err != row[i].err)
            fail_msg("row %zu: error %d (%s), want %d", i, err, cx.message, row[i].err);
        if (!err && row[i].assumed)
            assert_string_equal(s->assumed, row[i].assumed);
        else if (!err)
            assert_null(s->assumed);
        qs_shapes_free(err ? NULL : s);
        qs_model_unref(m);
        qs_arena_release(&arena);
    }
}

static void
a_node_that_does_not_fit_is_named(void **state)
{
    struct qs_ctx cx;
    struct qs_shapes *s;
    struct qs_model *m = small_program(4, (const int64_t[]){1, 8, 9, 9});
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(qs_infer_shapes(&cx, m, NULL, 0, &s), QS_ERR_FORMAT);
    assert_string_equal(cx.message, "operator 'conv2d' (number 1, output 'a'): filter takes 3 "
                                    "channels, the input has 8");
    qs_model_unref(m);
}

static void
an_unknown_operator_leaves_what_follows_unknown(void **state)
{
    struct qs_ctx cx;
    struct qs_shapes *s;
    struct qs_model *m = small_program(4, (const int64_t[]){1, 3, 9, 9});
    (void)state;
    qs_ctx_init(&cx);
    qs_node_set_type(m, &m->block[0].node[1], "some_custom_op");
    assert_int_equal(qs_infer_shapes(&cx, m, NULL, 0, &s), QS_OK);
    assert_int_equal(s->n_unknown, 2);
    assert_int_equal(s->macs, 0);
    assert_false(s->var[qs_model_find_var(m, 0, "b")].known);
    qs_shapes_free(s);
    qs_model_unref(m);
}

static void
input_shapes_parse_or_are_refused(void **state)
{
    static const struct {
        const char *text, *name;
        int n;
        int64_t last;
    } row[] = {
        {"1,3,224,224", NULL, 4, 224}, {"x=1,3,32,320", "x", 4, 320},
        {"a=b=5", "a=b", 1, 5},        {"7", NULL, 1, 7},
        {"1x2x3", NULL, 3, 3},         {"", NULL, -1, 0},
        {"x=", NULL, -1, 0},           {"=1,2", NULL, -1, 0},
        {"1,,2", NULL, -1, 0},         {"1,2,", NULL, -1, 0},
        {"0,3", NULL, -1, 0},          {"-1,3", NULL, -1, 0},
        {"1,3k", NULL, -1, 0},         {"99999999999", NULL, -1, 0},
        {"+3", NULL, -1, 0},           {"1,1,1,1,1,1,1,1,1,1", NULL, -1, 0},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct qs_ctx cx;
        struct qs_arena arena;
        struct qs_input_shape out;
        qs_ctx_init(&cx);
        qs_arena_init(&arena);
        const enum qs_err err = qs_input_shape_parse(&cx, &arena, row[i].text, &out);
        if ((err == QS_OK) != (row[i].n >= 0))
            fail_msg("'%s': error %d", row[i].text, err);
        if (!err) {
            assert_int_equal(out.n, row[i].n);
            assert_int_equal(out.d[out.n - 1], row[i].last);
            if (row[i].name)
                assert_string_equal(out.name, row[i].name);
            else
                assert_null(out.name);
        }
        qs_arena_release(&arena);
    }
}

/* Two feeds and two fetches whose columns are not in file order. */
static void
inputs_and_outputs_come_by_column(void **state)
{
    struct qs_model *m = qs_model_new();
    int32_t got[2], var[4];
    static const char *const name[] = {"a", "b", "c", "d"};
    (void)state;
    add_block(m, 4);
    for (int i = 0; i < 4; i++) {
        var[i] = add_tensor(m, name[i], 5, -1, NULL);
        struct qs_node *node = set_node(m, 0, i, i < 2 ? "feed" : "fetch");
        put(m, node, i < 2, i < 2 ? "Out" : "X", var[i]);
        qs_node_set_int(m, node, "col", i < 2 ? 1 - i : 3 - i);
    }
    qs_model_index(m);
    assert_int_equal(qs_model_inputs(m, got, 2), 2);
    assert_int_equal(got[0], var[1]);
    assert_int_equal(got[1], var[0]);
    assert_int_equal(qs_model_outputs(m, got, 1), 2);
    assert_int_equal(got[0], var[3]);
    assert_int_equal(qs_model_inputs(m, NULL, 0), 2);
    qs_model_unref(m);
}

/* Block 0: a = 1x2 (fill), [while or conditional_block] over block 1, r = relu(a).
 * Block 1: a = concat(a, a) on axis 1, or a = relu(a); then c = relu(a). */
static struct qs_model *
sub_block_program(const char *type, bool grows)
{
    struct qs_model *m = qs_model_new();
    add_block(m, 3);
    add_block(m, 2);
    const int32_t a = add_tensor(m, "a", 5, -1, NULL), r = add_tensor(m, "r", 5, -1, NULL);
    const int32_t c = add_tensor(m, "c", 5, -1, NULL);
    struct qs_node *node = set_node(m, 0, 0, "fill_constant");
    put(m, node, true, "Out", a);
    qs_node_set_ints(m, node, "shape", (const int32_t[]){1, 2}, 2);
    node = set_node(m, 0, 1, type);
    put(m, node, true, "Out", a);
    set_block_attr(m, node, "sub_block", 1);
    node = set_node(m, 0, 2, "relu");
    put(m, node, false, "X", a);
    put(m, node, true, "Out", r);
    node = set_node(m, 1, 0, grows ? "concat" : "relu");
    qs_node_set_in(m, node, "X", (const int32_t[]){a, a}, grows ? 2 : 1);
    put(m, node, true, "Out", a);
    qs_node_set_int(m, node, "axis", 1);
    node = set_node(m, 1, 1, "relu");
    put(m, node, false, "X", a);
    put(m, node, true, "Out", c);
    qs_model_index(m);
    return m;
}

static void
what_a_sub_block_changes_becomes_unknown(void **state)
{
    static const char *const type[] = {"while", "conditional_block", "conditional_block_infer"};
    (void)state;
    for (size_t i = 0; i < 2 * QS_LEN(type); i++) {
        const bool grows = i & 1;
        struct qs_ctx cx;
        struct qs_shapes *s;
        struct qs_model *m = sub_block_program(type[i / 2], grows);
        qs_ctx_init(&cx);
        assert_int_equal(qs_infer_shapes(&cx, m, NULL, 0, &s), QS_OK);
        assert_int_equal(s->var[qs_model_find_var(m, 0, "r")].known, !grows);
        assert_true(s->node[1][1].known); /* as in the first turn */
        assert_int_equal(s->node[1][1].out.d[1], grows ? 4 : 2);
        assert_int_equal(s->n_unknown, grows ? 2 : 0);
        assert_null(s->var[qs_model_find_var(m, 0, "a")].value);
        qs_shapes_free(s);
        qs_model_unref(m);
    }
}

/* A block that contains itself, one that does not exist, and a chain that is too deep. */
static void
bad_sub_blocks_do_not_loop(void **state)
{
    static const struct {
        int64_t sub[2];
        enum qs_err err;
    } row[] = {
        {{1, 1}, QS_OK},         {{1, 0}, QS_OK},          {{0, 0}, QS_OK},
        {{2, 0}, QS_ERR_FORMAT}, {{-1, 0}, QS_ERR_FORMAT},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct qs_ctx cx;
        struct qs_shapes *s = NULL;
        struct qs_model *m = sub_block_program("while", false);
        qs_ctx_init(&cx);
        set_block_attr(m, &m->block[0].node[1], "sub_block", row[i].sub[0]);
        set_node(m, 1, 1, "while");
        set_block_attr(m, &m->block[1].node[1], "sub_block", row[i].sub[1]);
        assert_int_equal(qs_infer_shapes(&cx, m, NULL, 0, &s), row[i].err);
        qs_shapes_free(s);
        qs_model_unref(m);
    }
}

static void
deeply_nested_blocks_are_refused(void **state)
{
    struct qs_ctx cx;
    struct qs_shapes *s = NULL;
    struct qs_model *m = qs_model_new();
    enum { DEEP = 200 };
    (void)state;
    qs_ctx_init(&cx);
    for (int i = 0; i < DEEP; i++)
        add_block(m, 1);
    for (int i = 0; i < DEEP; i++)
        set_block_attr(m, set_node(m, i, 0, "while"), "sub_block", i + 1);
    qs_model_index(m);
    assert_int_equal(qs_infer_shapes(&cx, m, NULL, 0, &s), QS_ERR_FORMAT);
    assert_non_null(strstr(cx.message, "nested"));
    qs_model_unref(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_are_those_of_the_convolution),
        cmocka_unit_test(inputs_are_guessed_given_or_refused),
        cmocka_unit_test(a_node_that_does_not_fit_is_named),
        cmocka_unit_test(an_unknown_operator_leaves_what_follows_unknown),
        cmocka_unit_test(input_shapes_parse_or_are_refused),
        cmocka_unit_test(inputs_and_outputs_come_by_column),
        cmocka_unit_test(what_a_sub_block_changes_becomes_unknown),
        cmocka_unit_test(bad_sub_blocks_do_not_loop),
        cmocka_unit_test(deeply_nested_blocks_are_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
