/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ui/braille.h"

static void
each_dot_has_its_bit(void **state)
{
    static const unsigned want[4][2] = {
        {0x2801, 0x2808}, {0x2802, 0x2810}, {0x2804, 0x2820}, {0x2840, 0x2880}};
    (void)state;
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 2; x++) {
            struct ui_braille b;
            ui_braille_init(&b, 3, 2);
            ui_braille_dot(&b, 2 + x, 4 + y);
            assert_int_equal(ui_braille_wide(&b, 1, 1), want[y][x]);
            assert_int_equal(ui_braille_wide(&b, 0, 1), ' ');
            assert_int_equal(ui_braille_wide(&b, 1, 2), ' ');
            assert_int_equal(ui_braille_plain(&b, 1, 1), y < 2 ? '\'' : '.');
            ui_braille_release(&b);
        }
}

static void
what_lies_outside_is_not_drawn(void **state)
{
    static const int at[][2] = {{-1, 0}, {0, -1}, {6, 0}, {0, 8}, {1 << 30, 0}, {0, -(1 << 30)}};
    struct ui_braille b;
    (void)state;
    ui_braille_init(&b, 3, 2);
    for (size_t i = 0; i < QS_LEN(at); i++)
        ui_braille_dot(&b, at[i][0], at[i][1]);
    for (int i = 0; i < 6; i++)
        assert_int_equal(b.cell[i], 0);
    ui_braille_release(&b);
}

static void
a_line_joins_its_ends_without_gaps(void **state)
{
    static const int end[][4] = {{0, 0, 19, 39}, {19, 0, 0, 39}, {0, 39, 19, 0},
                                 {3, 5, 3, 30},  {0, 7, 19, 7},  {4, 4, 4, 4}};
    (void)state;
    for (size_t i = 0; i < QS_LEN(end); i++) {
        struct ui_braille b;
        const int dx = abs(end[i][2] - end[i][0]), dy = abs(end[i][3] - end[i][1]);
        int dots = 0;
        ui_braille_init(&b, 10, 10);
        ui_braille_line(&b, end[i][0], end[i][1], end[i][2], end[i][3]);
        for (int k = 0; k < 100; k++)
            dots += __builtin_popcount(b.cell[k]);
        assert_int_equal(dots, (dx > dy ? dx : dy) + 1);
        for (int e = 0; e < 4; e += 2)
            assert_int_not_equal(ui_braille_wide(&b, end[i][e + 1] / 4, end[i][e] / 2), ' ');
        ui_braille_release(&b);
    }
}

static void
plain_characters_say_where_the_dots_are(void **state)
{
    struct ui_braille b;
    (void)state;
    ui_braille_init(&b, 1, 1);
    assert_int_equal(ui_braille_plain(&b, 0, 0), ' ');
    ui_braille_dot(&b, 1, 3);
    assert_int_equal(ui_braille_plain(&b, 0, 0), '.');
    ui_braille_dot(&b, 0, 0);
    assert_int_equal(ui_braille_plain(&b, 0, 0), ':');
    ui_braille_release(&b);
}

static void
ticks_are_round_and_lie_on_the_axis(void **state)
{
    static const struct {
        double lo, hi;
        int most;
        double step;
    } c[] = {
        {0, 1, 6, 0.5}, {0.91, 0.93, 6, 0.005}, {68331, 104335, 5, 10000},
        {0, 0, 4, 0.2}, {5, 5, 4, 0.5},         {1e-9, 4e-9, 5, 1e-9},
        {-3, 7, 6, 5},  {1, 1e12, 3, 1e12},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(c); i++) {
        struct ui_axis a;
        ui_axis_init(&a, c[i].lo, c[i].hi, c[i].most);
        if (fabs(a.step / c[i].step - 1) > 1e-9)
            fail_msg("case %zu: step %g, not %g", i, a.step, c[i].step);
        assert_in_range(a.n, 1, c[i].most);
        assert_true(a.lo <= c[i].lo && a.hi >= c[i].hi && a.hi > a.lo);
        assert_true(c[i].lo < 0 || a.lo >= 0);
        for (int k = 0; k < a.n; k++)
            assert_true(ui_axis_tick(&a, k) >= a.lo && ui_axis_tick(&a, k) <= a.hi + a.step * 1e-9);
    }
}

static void
values_lie_in_order_on_the_axis(void **state)
{
    struct ui_axis a;
    (void)state;
    ui_axis_init(&a, 10, 20, 5);
    assert_int_equal(ui_axis_at(&a, a.lo, 100), 0);
    assert_int_equal(ui_axis_at(&a, a.hi, 100), 99);
    assert_int_equal(ui_axis_at(&a, 15, 101), 50);
    assert_int_equal(ui_axis_at(&a, -1e300, 100), 0);
    assert_int_equal(ui_axis_at(&a, 1e300, 100), 99);
    assert_int_equal(ui_axis_at(&a, (double)NAN, 100), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_dot_has_its_bit),
        cmocka_unit_test(what_lies_outside_is_not_drawn),
        cmocka_unit_test(a_line_joins_its_ends_without_gaps),
        cmocka_unit_test(plain_characters_say_where_the_dots_are),
        cmocka_unit_test(ticks_are_round_and_lie_on_the_axis),
        cmocka_unit_test(values_lie_in_order_on_the_axis),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
