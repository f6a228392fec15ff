/* SPDX-License-Identifier: Apache-2.0 */
/* How the verification of a written model judges, and which layers it names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "app/verify.h"
#include "base/mem.h"

static const double inf = (double)INFINITY, none = (double)NAN;

static bool
is_ok(double simulated, double integer)
{
    struct qs_verified v = {.labelled = true, .n_metric = 1, .cosine = 0.5};
    v.metric[0] = (struct qs_verified_metric){"top1", {0.9, simulated, integer}};
    qs_verified_judge(&v);
    return v.ok;
}

static void
a_tenth_of_a_point_is_the_most(void **state)
{
    (void)state;
    assert_true(is_ok(0.8, 0.8));
    assert_true(is_ok(0.8, 0.799));
    assert_true(is_ok(0.799, 0.8));
    assert_false(is_ok(0.8, 0.7989));
    assert_false(is_ok(0.7989, 0.8));
    assert_false(is_ok(0.8, none));
    assert_false(is_ok(none, none));
}

static void
without_labels_the_cosine_decides(void **state)
{
    (void)state;
    struct qs_verified v = {.n_metric = 1, .cosine = 0.9995};
    v.metric[0] = (struct qs_verified_metric){"cosine", {none, 0.9, 0.1}};
    qs_verified_judge(&v);
    assert_true(v.ok);
    assert_true(fabs(v.difference - 0.0005) < 1e-12);
    v.cosine = 0.998;
    qs_verified_judge(&v);
    assert_false(v.ok);
    v.cosine = none;
    qs_verified_judge(&v);
    assert_false(v.ok);
}

static void
a_layer_loses_what_its_input_had(void **state)
{
    (void)state;
    assert_true(qs_verify_lost_db(70, 30) == 40);
    assert_true(qs_verify_lost_db(30, 70) == -40);
    assert_true(qs_verify_lost_db(inf, 40) == 60);
    assert_true(qs_verify_lost_db(inf, inf) < 0);
    assert_true(qs_verify_lost_db(inf, 140) < 0);
    assert_true(isinf(qs_verify_lost_db(60, none)));
    assert_true(isinf(qs_verify_lost_db(inf, none)));
}

static void
the_first_is_named_and_the_worst(void **state)
{
    const double lost[] = {-80, 2, 12, 5, 30, inf, 11, -3, 40};
    int index[4];
    (void)state;
    assert_int_equal(qs_verify_worst(lost, QS_LEN(lost), index, 4), 4);
    assert_int_equal(index[0], 2);
    assert_int_equal(index[1], 5);
    assert_int_equal(index[2], 8);
    assert_int_equal(index[3], 4);
    assert_int_equal(qs_verify_worst(lost, 3, index, 4), 1);
    assert_int_equal(qs_verify_worst(lost, 2, index, 4), 0);
    assert_int_equal(qs_verify_worst(lost, 0, index, 4), 0);
    assert_int_equal(qs_verify_worst(lost, QS_LEN(lost), index, 1), 1);
}

static void
what_was_found_is_recorded(void **state)
{
    struct qs_run run = {0};
    struct qs_verified v = {.labelled = true, .n_metric = 2};
    (void)state;
    v.metric[0] = (struct qs_verified_metric){"top1", {0.9, 0.8, 0.7}};
    v.metric[1] = (struct qs_verified_metric){"cosine", {none, 0.6, 0.5}};
    qs_verified_record(&v, &run);
    assert_int_equal(run.n_metric, 5);
    assert_string_equal(run.metric[0].name, "verify_int8_top1");
    assert_true(run.metric[0].value == 0.7);
    assert_string_equal(run.metric[3].name, "verify_simulated_cosine");
    assert_true(run.metric[3].value == 0.6);
    assert_string_equal(run.metric[4].name, "verify_fp32_top1");
    assert_true(isnan(run.metric[4].low));
    qs_run_release(&run);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tenth_of_a_point_is_the_most),
        cmocka_unit_test(without_labels_the_cosine_decides),
        cmocka_unit_test(a_layer_loses_what_its_input_had),
        cmocka_unit_test(the_first_is_named_and_the_worst),
        cmocka_unit_test(what_was_found_is_recorded),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
