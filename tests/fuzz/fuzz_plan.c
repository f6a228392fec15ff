/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the text of a plan. A plan that is taken prints as text that gives it again. */
#include "model/plan.h"
#include "use_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
print(const struct qs_plan *plan)
{
    struct qs_str text;
    qs_str_init(&text);
    qs_plan_print(plan, &text);
    return qs_str_take(&text);
}

static void
print_again(const struct qs_plan *plan)
{
    struct qs_ctx cx;
    struct qs_plan again;
    struct qs_str command;
    char *first = print(plan), *second;
    qs_ctx_init(&cx);
    qs_plan_init(&again);
    if (qs_plan_parse(&cx, first, "fuzz", &again) != QS_OK)
        abort();
    second = print(&again);
    if (strcmp(first, second) != 0)
        abort();
    qs_str_init(&command);
    qs_plan_print_command(&again, &command);
    qs_str_release(&command);
    qs_plan_release(&again);
    free(first);
    free(second);
}

static void
use_rules(struct qs_ctx *cx, const struct qs_plan *plan)
{
    for (int i = 0; i < plan->layer.n; i++) {
        struct qs_rule rule;
        qs_clear(cx);
        if (!taken(cx, qs_rule_parse(cx, plan->layer.v[i], &rule)))
            continue;
        qs_pattern_match(rule.pattern, "conv2d_0.w_0");
        qs_rule_release(&rule);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qs_ctx cx;
    struct qs_plan plan;
    char *text = text_of(data, size);
    qs_ctx_init(&cx);
    qs_plan_init(&plan);
    if (taken(&cx, qs_plan_parse(&cx, text, "fuzz", &plan))) {
        print_again(&plan);
        (void)taken(&cx, qs_plan_check(&cx, &plan));
        use_rules(&cx, &plan);
    }
    qs_plan_release(&plan);
    free(text);
    return 0;
}
