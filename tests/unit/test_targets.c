/* SPDX-License-Identifier: Apache-2.0 */
/* The table of targets, and what it says of small models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../models.h"
#include "base/mem.h"
#include "passes/preflight.h"

static enum qs_verdict
verdict(const struct qs_targets *t, const char *target, const char *format, const char *op)
{
    const struct qs_target_row *row = qs_targets_find(t, target, format, op);
    return row ? row->verdict : QS_VERDICT_FLOAT;
}

static void
built_in_rows_are_found(void **state)
{
    struct qs_targets t;
    (void)state;
    qs_targets_init(&t);
    assert_int_equal(t.n_name, 4);
    assert_int_equal(verdict(&t, "lite-arm", "qdq", "conv2d"), QS_VERDICT_INT8);
    assert_int_equal(verdict(&t, "lite-x86", "qdq", "matmul_v2"), QS_VERDICT_REFUSED);
    assert_int_equal(verdict(&t, "lite-x86", "fakequant", "conv2d"), QS_VERDICT_WRONG);
    assert_int_equal(verdict(&t, "paddle", "qdq", "conv2d"), QS_VERDICT_FLOAT);
    assert_int_equal(verdict(&t, "paddle", "dynamic", "conv2d"), QS_VERDICT_REFUSED);
    assert_int_equal(verdict(&t, "lite-arm", "float", "softmax"), QS_VERDICT_FLOAT);
    qs_targets_release(&t);
}

static void
rows_of_a_file_come_after(void **state)
{
    struct qs_ctx cx;
    struct qs_targets t;
    (void)state;
    qs_ctx_init(&cx);
    qs_targets_init(&t);
    assert_int_equal(qs_targets_parse(&cx,
                                      "# mine\n\n  lite-x86 qdq conv2d int8   since 2.14 \r\n"
                                      "npu * * refused\nnpu qdq conv2d int8",
                                      "test", &t),
                     QS_OK);
    assert_int_equal(t.n_name, 5);
    assert_string_equal(t.name[4], "npu");
    assert_int_equal(verdict(&t, "lite-x86", "qdq", "conv2d"), QS_VERDICT_INT8);
    assert_int_equal(verdict(&t, "lite-x86", "fakequant", "conv2d"), QS_VERDICT_WRONG);
    assert_string_equal(qs_targets_find(&t, "lite-x86", "qdq", "conv2d")->note, "since 2.14");
    assert_int_equal(verdict(&t, "npu", "qdq", "conv2d"), QS_VERDICT_INT8);
    assert_int_equal(verdict(&t, "npu", "float", "relu"), QS_VERDICT_REFUSED);
    qs_targets_release(&t);
}

static void
a_line_that_is_no_row_is_named(void **state)
{
    static const char *const bad[] = {"npu",
                                      "npu qdq",
                                      "npu qdq conv2d",
                                      "npu qdq conv2d maybe",
                                      "npu q conv2d int8",
                                      "npu qdq,fakequant conv2d int8",
                                      "npu dq conv2d int8"};
    (void)state;
    for (size_t i = 0; i < QS_LEN(bad); i++) {
        struct qs_ctx cx;
        struct qs_targets t;
        char *text = qs_xasprintf("npu qdq conv2d int8\n%s\n", bad[i]);
        qs_ctx_init(&cx);
        qs_targets_init(&t);
        assert_int_equal(qs_targets_parse(&cx, text, "mine", &t), QS_ERR_FORMAT);
        assert_non_null(strstr(qs_message(&cx), "'mine': line 2"));
        qs_targets_release(&t);
        free(text);
    }
}

static const struct qs_preflight_target *
target(const struct qs_preflight *p, const char *name)
{
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->target[i].name, name) == 0)
            return &p->target[i];
    fail_msg("no target '%s'", name);
    return NULL;
}

static void
look(const char *model, const char *text, const char *more, struct qs_preflight *out)
{
    struct qs_ctx cx;
    struct qs_targets t;
    struct qs_plan plan;
    struct qs_decisions *d = NULL;
    struct qs_model *m = test_model(model);
    struct qs_edges *e = qs_edges_new(m);
    struct qs_layers *l = qs_layers_new(m, e);
    qs_ctx_init(&cx);
    qs_targets_init(&t);
    qs_plan_init(&plan);
    assert_int_equal(qs_targets_parse(&cx, more, "test", &t), QS_OK);
    assert_int_equal(qs_plan_parse(&cx, text, "test", &plan), QS_OK);
    assert_int_equal(qs_decide(&cx, m, e, l, &plan, &d), QS_OK);
    qs_preflight_make(m, l, &plan, d, &t, out);
    qs_decisions_free(d);
    qs_plan_release(&plan);
    qs_targets_release(&t);
    qs_layers_free(l);
    qs_edges_free(e);
    qs_model_unref(m);
}

/* conv2d -> relu -> flatten -> mul -> + bias: into integers for the convolution, out of them for
 * flatten, into them for the product, out of them at the end. */
static void
operators_and_conversions_are_counted(void **state)
{
    struct qs_preflight p;
    (void)state;
    look("small", "method = static", "", &p);
    const struct qs_preflight_target *arm = target(&p, "lite-arm");
    assert_int_equal(arm->count[QS_VERDICT_INT8], 2);
    assert_int_equal(arm->count[QS_VERDICT_FUSED], 2);
    assert_int_equal(arm->count[QS_VERDICT_FLOAT], 1);
    assert_int_equal(arm->to_int8, 2);
    assert_int_equal(arm->to_float, 2);
    const struct qs_preflight_target *x86 = target(&p, "lite-x86");
    assert_int_equal(x86->count[QS_VERDICT_WRONG], 2);
    assert_int_equal(x86->n_problem, 2);
    assert_string_equal(x86->problem[0].op_type, "conv2d");
    assert_int_equal(x86->problem[0].n, 1);
    const struct qs_preflight_target *paddle = target(&p, "paddle");
    assert_int_equal(paddle->count[QS_VERDICT_FLOAT], 5);
    assert_int_equal(paddle->to_int8 + paddle->to_float, 0);
    qs_preflight_release(&p);
}

static void
what_the_plan_leaves_is_float(void **state)
{
    struct qs_preflight p;
    (void)state;
    look("small", "method = static\nlayer = conv.w=skip",
         "lite-arm float flatten_contiguous_range fused", &p);
    assert_int_equal(target(&p, "lite-arm")->count[QS_VERDICT_INT8], 1);
    assert_int_equal(target(&p, "lite-arm")->count[QS_VERDICT_FUSED], 1); /* the bias */
    qs_preflight_release(&p);
    look("small", "", "", &p);
    assert_int_equal(target(&p, "paddle")->count[QS_VERDICT_REFUSED], 2);
    assert_int_equal(target(&p, "lite-arm")->count[QS_VERDICT_FLOAT], 5);
    qs_preflight_release(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in_rows_are_found),
        cmocka_unit_test(rows_of_a_file_come_after),
        cmocka_unit_test(a_line_that_is_no_row_is_named),
        cmocka_unit_test(operators_and_conversions_are_counted),
        cmocka_unit_test(what_the_plan_leaves_is_float),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
