/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ui/scan.h"
#include "ui/text.h"

static char mode[] = "both";

static struct qs_run_sensitivity
row(char *weight, double drop, double cosine, double sqnr_db)
{
    return (struct qs_run_sensitivity){.weight = weight,
                                       .mode = mode,
                                       .bits = 8,
                                       .drop = drop,
                                       .cosine = cosine,
                                       .sqnr_db = sqnr_db};
}

static void
the_worst_come_first(void **state)
{
    char name[][2] = {"a", "b", "c", "d", "e", "f"};
    struct qs_run_sensitivity r[] = {row(name[0], NAN, NAN, 30),  row(name[1], 0.1, 0.99, 40),
                                     row(name[2], NAN, NAN, 20),  row(name[3], 0.1, 0.9, 50),
                                     row(name[4], -0.1, 0.5, 10), row(name[5], 0.5, 0.99, 45)};
    char order[8] = "";
    (void)state;
    ui_scan_sort(r, QS_LEN(r));
    for (size_t i = 0; i < QS_LEN(r); i++)
        strcat(order, r[i].weight);
    assert_string_equal(order, "fdbeca");
}

static void
the_metric_stands_in_the_plan(void **state)
{
    static const struct {
        const char *plan, *want;
    } c[] = {
        {"# data = /d\n# metric = top1\n# mode = both\n", "top1"},
        {"# data = /d\n", ""},
        {NULL, ""},
        {"# metric = cosine", "cosine"},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(c); i++) {
        struct qs_run run = {.plan = c[i].plan ? qs_xstrdup(c[i].plan) : NULL};
        char *metric = ui_scan_metric(&run);
        assert_string_equal(metric, c[i].want);
        free(metric);
        free(run.plan);
    }
}

static void
a_number_behind_a_path_is_a_count(void **state)
{
    static const struct {
        const char *text, *path;
        int64_t count;
    } c[] = {
        {"data.yaml", "data.yaml", 0},
        {"data.yaml 20", "data.yaml", 20},
        {"my data.yaml", "my data.yaml", 0},
        {"my data.yaml  7", "my data.yaml", 7},
        {"data 2x", "data 2x", 0},
        {"data -3", "data -3", 0},
        {"12", "12", 0},
        {"", "", 0},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(c); i++) {
        int64_t count = -1;
        char *path = ui_split_count(c[i].text, &count);
        assert_string_equal(path, c[i].path);
        assert_int_equal(count, c[i].count);
        free(path);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_come_first),
        cmocka_unit_test(the_metric_stands_in_the_plan),
        cmocka_unit_test(a_number_behind_a_path_is_a_count),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
