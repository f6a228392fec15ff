/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ui/model.h"

static void
assert_rules(const struct qs_plan *plan, const char *want)
{
    char all[256] = "";
    for (int i = 0; i < plan->layer.n; i++)
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? " " : "",
                 plan->layer.v[i]);
    assert_string_equal(all, want);
}

static void
a_rule_replaces_that_of_its_kind(void **state)
{
    struct qs_plan plan;
    (void)state;
    qs_plan_init(&plan);
    ui_plan_add_rule(&plan, "conv", "bits:4");
    ui_plan_add_rule(&plan, "conv", "algo:mse");
    ui_plan_add_rule(&plan, "fc", "skip");
    ui_plan_add_rule(&plan, "conv", "skip");
    assert_rules(&plan, "conv=algo:mse fc=skip conv=skip");
    ui_plan_add_rule(&plan, "conv", "threshold:1.5");
    assert_rules(&plan, "fc=skip conv=skip conv=threshold:1.5");
    assert_true(ui_plan_has_rule(&plan, "conv", "skip"));
    assert_true(ui_plan_drop_rules(&plan, "conv", "bits:8"));
    assert_rules(&plan, "fc=skip conv=threshold:1.5");
    assert_true(ui_plan_drop_rules(&plan, "conv", NULL));
    assert_false(ui_plan_drop_rules(&plan, "conv", NULL));
    assert_rules(&plan, "fc=skip");
    qs_plan_release(&plan);
}

static void
undo_brings_back_rules(void **state)
{
    struct ui_plan plan;
    (void)state;
    ui_plan_init(&plan);
    ui_plan_keep(&plan);
    ui_plan_add_rule(&plan.now, "a", "skip");
    ui_plan_keep(&plan);
    ui_plan_add_rule(&plan.now, "a", "bits:4");
    assert_true(ui_plan_undo(&plan));
    assert_rules(&plan.now, "a=skip");
    assert_true(ui_plan_undo(&plan));
    assert_rules(&plan.now, "");
    assert_false(ui_plan_undo(&plan));
    assert_true(ui_plan_redo(&plan) && ui_plan_redo(&plan));
    assert_rules(&plan.now, "a=bits:4");
    ui_plan_release(&plan);
}

static void
names_with_wildcards_are_escaped(void **state)
{
    (void)state;
    char *pattern = ui_rule_pattern("a*b?c[d");
    assert_string_equal(pattern, "a\\*b\\?c\\[d");
    free(pattern);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_replaces_that_of_its_kind),
        cmocka_unit_test(undo_brings_back_rules),
        cmocka_unit_test(names_with_wildcards_are_escaped),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
