/* SPDX-License-Identifier: Apache-2.0 */
/* One face for both engines: plans by shape, what goes to the exact engine, what a watch sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../graphs.h"
#include "base/mem.h"
#include "engine/engine.h"

enum { SEEN_MOST = 32, SHAPES = 21 };

/* A classifier with all that plans share: squares, depthwise, concatenations, a product,
 * an operator that is not lowered, halos that others write over. */
static const char *const net[] = {
    "conv2d Input:x Filter:w1(24,3,3,3) > Output:a strides=[2,2] paddings=[1,1]",
    "relu X:a > Out:b",
    "conv2d Input:b Filter:w2(32,24,3,3) > Output:c paddings=[1,1]",
    "batch_norm X:c Scale:s(32) Bias:o(32) Mean:m(32) Variance:v(32) > Y:d is_test=true",
    "depthwise_conv2d Input:d Filter:w3(32,1,5,5) > Output:e groups=32 paddings=[2,2]",
    "elementwise_add X:d Y:e > Out:f",
    "pool2d X:f > Out:g ksize=[3,3] strides=[1,1] paddings=[1,1] pooling_type=max",
    "concat X:f X:g > Out:h axis=1",
    "conv2d Input:h Filter:w4(20,64,1,1) > Output:i",
    "abs X:i > Out:j",
    "pool2d X:j > Out:k ksize=[1,1] global_pooling=true pooling_type=avg",
    "flatten_contiguous_range X:k > Out:l start_axis=1 stop_axis=3",
    "matmul_v2 X:l Y:w5(20,7) > Out:q",
    "softmax X:q > Out:y axis=-1",
};

static void
must_run(struct qs_ctx *cx, struct qs_engine *e, const struct qs_value *in, const char *kind)
{
    if (qs_engine_run(cx, e, in, 1, NULL) != QS_OK)
        fail_msg("%s", qs_message(cx));
    assert_string_equal(qs_engine_kind(e), kind);
}

/* More shapes than plans are kept, each run again when others have used the memory. */
static void
engine_runs_any_order_of_shapes(void **state)
{
    struct test_random r = {3};
    struct qs_ctx cx;
    struct qs_value in[SHAPES];
    (void)state;
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph("-1,3,-1,-1", net, QS_LEN(net), &r);
    struct qs_engine *fast = test_graph_engine(&cx, m, false, NULL);
    struct qs_engine *exact = test_graph_engine(&cx, m, true, NULL);
    for (int i = 0; i < SHAPES; i++) {
        char dims[32];
        snprintf(dims, sizeof(dims), "%d,3,%d,%d", 1 + i % 3, 9 + 8 * (i % 4), 16 + 3 * i);
        test_graph_input(dims, &r, &in[i]);
    }
    for (int i = 0; i < 120; i++) {
        const int k = (i * i + i / 7) % SHAPES;
        char what[32];
        snprintf(what, sizeof(what), "run %d, shape %d", i, k);
        must_run(&cx, fast, &in[k], "fast");
        must_run(&cx, exact, &in[k], "exact");
        test_graph_near(qs_engine_out(fast, 0), qs_engine_out(exact, 0), what);
    }
    for (int i = 0; i < SHAPES; i++)
        free(in[i].data);
    qs_engine_free(fast);
    qs_engine_free(exact);
    qs_model_unref(m);
}

static void
shapes_that_depend_on_data_run_exactly(void **state)
{
    static const char *const line[] = {"where_index Condition:x > Out:i",
                                       "cast X:i > Out:y in_dtype=3 out_dtype=5"};
    struct test_random r = {3};
    struct qs_ctx cx;
    struct qs_value in;
    (void)state;
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph("4", line, QS_LEN(line), &r);
    struct qs_engine *e = test_graph_engine(&cx, m, false, NULL);
    test_graph_input("4", &r, &in);
    in.f32[2] = 0;
    assert_string_equal(qs_engine_kind(e), "");
    for (int i = 0; i < 2; i++) {
        must_run(&cx, e, &in, "exact");
        assert_int_equal(qs_engine_out(e, 0)->d[0], 3);
        assert_null(qs_engine_fast(e));
    }
    free(in.data);
    qs_engine_free(e);
    qs_model_unref(m);
}

static void
operators_that_cannot_run_are_all_named(void **state)
{
    static const char *const line[] = {"strange X:x > Out:a", "relu X:a > Out:b",
                                       "odd X:b > Out:y"};
    const struct qs_engine_options opt = {0};
    struct test_random r = {3};
    struct qs_engine *e = NULL;
    struct qs_ctx cx;
    (void)state;
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph("1,3,8,8", line, QS_LEN(line), &r);
    assert_int_equal(qs_engine_new(&cx, m, &opt, &e), QS_ERR_UNSUPPORTED);
    assert_non_null(strstr(qs_message(&cx), "'odd', 'strange'"));
    assert_null(e);
    qs_model_unref(m);
}

/* A shape the model cannot take costs that run only. */
static void
a_shape_that_does_not_fit_is_an_error_of_that_run(void **state)
{
    struct test_random r = {3};
    struct qs_ctx cx;
    struct qs_value good, bad, other;
    (void)state;
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph("-1,3,-1,-1", net, QS_LEN(net), &r);
    struct qs_engine *e = test_graph_engine(&cx, m, false, NULL);
    test_graph_input("1,3,16,16", &r, &good);
    test_graph_input("1,4,16,16", &r, &bad);
    must_run(&cx, e, &good, "fast");
    assert_int_equal(qs_engine_run(&cx, e, &bad, 1, NULL), QS_ERR_FORMAT);
    assert_non_null(strstr(qs_message(&cx), "conv2d"));
    qs_clear(&cx);
    other = good;
    other.dtype = QS_DTYPE_int32;
    assert_int_equal(qs_engine_run(&cx, e, &other, 1, NULL), QS_ERR_FORMAT);
    qs_clear(&cx);
    assert_int_equal(qs_engine_run(&cx, e, &good, 0, NULL), QS_ERR_USAGE);
    qs_clear(&cx);
    must_run(&cx, e, &good, "fast");
    free(good.data);
    free(bad.data);
    qs_engine_free(e);
    qs_model_unref(m);
}

/* A picture that nobody has: it is refused by its size, without its data. */
static void
a_run_that_does_not_fit_in_memory_is_refused(void **state)
{
    static const char *const line[] = {
        "conv2d Input:x Filter:w(64,1,3,3) > Output:c paddings=[1,1]", "relu X:c > Out:y"};
    struct test_random r = {3};
    struct qs_fast *f = NULL;
    struct qs_ctx cx;
    (void)state;
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph("1,1,-1,-1", line, QS_LEN(line), &r);
    const struct qs_value in = {.dtype = QS_DTYPE_float32,
                                .n = 4,
                                .d = {1, 1, 1 << 17, 1 << 17},
                                .count = INT64_C(1) << 34};
    assert_int_equal(qs_fast_new(&cx, m, &in, 1, NULL, &f), QS_ERR_MEMORY);
    assert_non_null(strstr(qs_message(&cx), " TB wanted, "));
    assert_non_null(strstr(qs_message(&cx), " available"));
    qs_model_unref(m);
}

/* ---- watches ---- */

struct seen {
    int32_t node[SEEN_MOST], var[SEEN_MOST];
    struct qs_value value[SEEN_MOST]; /* copies */
    int n;
};

static enum qs_err
note(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    struct seen *s = arg;
    const size_t bytes = (size_t)v->count * sizeof(float);
    (void)cx;
    assert_true(s->n < SEEN_MOST);
    s->node[s->n] = node;
    s->var[s->n] = var;
    s->value[s->n] = *v;
    s->value[s->n].data = memcpy(qs_xmalloc(bytes + 1), v->data, bytes);
    s->n++;
    return QS_OK;
}

static void
a_watch_sees_the_same_in_both_engines(void **state)
{
    static const char *const wanted[] = {"x", "b", "d", "h", "l", "y"};
    struct test_random r = {3};
    struct qs_ctx cx;
    struct qs_value in;
    struct seen seen[2] = {{.n = 0}, {.n = 0}};
    (void)state;
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph("-1,3,-1,-1", net, QS_LEN(net), &r);
    bool *keep = qs_xcalloc((size_t)m->n_var, sizeof(*keep));
    for (int32_t v = 0; v < m->n_var; v++)
        for (size_t i = 0; i < QS_LEN(wanted); i++)
            keep[v] |= strcmp(m->var[v].name, wanted[i]) == 0;
    test_graph_input("2,3,17,16", &r, &in);
    for (int exact = 0; exact < 2; exact++) {
        const struct qs_watch watch = {note, &seen[exact]};
        struct qs_engine *e = test_graph_engine(&cx, m, exact, keep);
        if (qs_engine_run(&cx, e, &in, 1, &watch) != QS_OK)
            fail_msg("%s", qs_message(&cx));
        assert_string_equal(qs_engine_kind(e), exact ? "exact" : "fast");
        qs_engine_free(e);
        assert_int_equal(seen[exact].n, QS_LEN(wanted));
    }
    for (size_t i = 0; i < QS_LEN(wanted); i++) {
        assert_string_equal(m->var[seen[0].var[i]].name, wanted[i]);
        assert_int_equal(seen[0].var[i], seen[1].var[i]);
        assert_int_equal(seen[0].node[i], seen[1].node[i]);
        test_graph_near(&seen[0].value[i], &seen[1].value[i], wanted[i]);
        free(seen[0].value[i].data);
        free(seen[1].value[i].data);
    }
    free(keep);
    free(in.data);
    qs_model_unref(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engine_runs_any_order_of_shapes),
        cmocka_unit_test(shapes_that_depend_on_data_run_exactly),
        cmocka_unit_test(operators_that_cannot_run_are_all_named),
        cmocka_unit_test(a_shape_that_does_not_fit_is_an_error_of_that_run),
        cmocka_unit_test(a_run_that_does_not_fit_in_memory_is_refused),
        cmocka_unit_test(a_watch_sees_the_same_in_both_engines),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
