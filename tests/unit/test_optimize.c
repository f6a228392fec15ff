/* SPDX-License-Identifier: Apache-2.0 */
/* Which parts of a run are left in float: the least of all choices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "app/choose.h"
#include "app/optimize.h"
#include "base/mem.h"
#include "base/str.h"

enum { PARTS = 9 };

/* Floats come before the first part and after the last. */
static double
time_of(const double *int8, const double *fp32, int n, double change, const bool *in_float)
{
    double sum = 0;
    bool before = true;
    for (int i = 0; i <= n; i++) {
        const bool now = i < n ? in_float[i] : true;
        sum += now != before ? change : 0;
        sum += i == n ? 0 : now ? fp32[i] : int8[i];
        before = now;
    }
    return sum;
}

static void
equals_the_least_of_all(void **state)
{
    unsigned random = 1;
    (void)state;
    for (int round = 0; round < 300; round++) {
        double int8[PARTS], fp32[PARTS], least = (double)INFINITY;
        const int n = 1 + round % PARTS;
        const double change = round % 5 * 3;
        bool chosen[PARTS], tried[PARTS];
        for (int i = 0; i < n; i++) {
            random = random * 1664525U + 1013904223U;
            int8[i] = random >> 28;
            fp32[i] = random >> 24 & 15;
        }
        qs_optimize_choose(int8, fp32, n, change, chosen);
        for (unsigned set = 0; set < 1U << n; set++) {
            for (int i = 0; i < n; i++)
                tried[i] = (set >> i & 1) != 0;
            least = fmin(least, time_of(int8, fp32, n, change, tried));
        }
        assert_true(time_of(int8, fp32, n, change, chosen) == least);
    }
}

static void
neighbours_go_together(void **state)
{
    const double int8[] = {1, 5, 2, 5, 1}, fp32[] = {3, 1, 3, 1, 3};
    bool chosen[5];
    (void)state;
    qs_optimize_choose(int8, fp32, 5, 0, chosen);
    assert_true(!chosen[0] && chosen[1] && !chosen[2] && chosen[3] && !chosen[4]);
    qs_optimize_choose(int8, fp32, 5, 0.9, chosen);
    assert_true(!chosen[0] && chosen[1] && chosen[2] && chosen[3] && !chosen[4]);
}

static void
what_cannot_be_float_stays(void **state)
{
    const double int8[] = {9, 9, 9}, fp32[] = {1, (double)INFINITY, 1};
    bool chosen[3];
    (void)state;
    qs_optimize_choose(int8, fp32, 3, 1, chosen);
    assert_true(chosen[0] && !chosen[1] && chosen[2]);
}

static void
bench_tells_what_is_clearly_slower_in_integers(void **state)
{
    char a[] = "a", b[] = "b", c[] = "c", d[] = "d", e[] = "e", f[] = "f", g[] = "g";
    struct qs_bench_op op[] = {
        {.name = a, .integer = true, .int8_ms = 2, .fp32_ms = 1},
        {.name = b, .integer = true, .int8_ms = 1, .fp32_ms = 2},
        {.name = c, .integer = true, .int8_ms = 1, .fp32_ms = 0.99},
        {.name = d, .ms = 1, .int8_ms = (double)NAN, .fp32_ms = (double)NAN},
        {.name = e, .integer = true, .int8_ms = 5, .fp32_ms = 1},
        {.name = f, .integer = true, .int8_ms = 3, .fp32_ms = 1},
        {.name = g, .integer = true, .int8_ms = 4, .fp32_ms = 1},
    };
    struct qs_benched done = {.op = op, .n_op = 4};
    struct qs_str text;
    (void)state;
    qs_str_init(&text);
    assert_int_equal(qs_benched_slower(&done, &text), 1);
    assert_string_equal(text.s, "a (2 ms, 1 ms in float)");
    qs_str_release(&text);
    qs_str_init(&text);
    done.n_op = QS_LEN(op);
    op[1].fp32_ms = 0.9;
    assert_int_equal(qs_benched_slower(&done, &text), 5);
    assert_string_equal(text.s, "e (5 ms, 1 ms in float), g (4 ms, 1 ms in float), "
                                "f (3 ms, 1 ms in float), a (2 ms, 1 ms in float) and 1 more");
    qs_str_release(&text);
    done.n_op = 0;
    qs_str_init(&text);
    assert_int_equal(qs_benched_slower(&done, &text), 0);
    qs_str_release(&text);
}

/* A hundredth is chance: what stands first stays. */
static void
the_least_error_wins_clearly(void **state)
{
    struct qs_choice c[] = {{NULL, 0.1}, {NULL, 0.0995}, {NULL, 0.05}, {NULL, 0.0496}, {NULL, 1}};
    (void)state;
    assert_int_equal(qs_choices_best(c, 1), 0);
    assert_int_equal(qs_choices_best(c, 2), 0);
    assert_int_equal(qs_choices_best(c, 5), 2);
    c[3].error = 0;
    assert_int_equal(qs_choices_best(c, 5), 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_least_of_all),
        cmocka_unit_test(the_least_error_wins_clearly),
        cmocka_unit_test(neighbours_go_together),
        cmocka_unit_test(what_cannot_be_float_stays),
        cmocka_unit_test(bench_tells_what_is_clearly_slower_in_integers),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
