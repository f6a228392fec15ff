/* SPDX-License-Identifier: Apache-2.0 */
/* Which activations are joined, and the threshold they share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../graphs.h"
#include "base/mem.h"
#include "base/str.h"
#include "passes/same_scale.h"

enum { LINES_MOST = 12, VARS_MOST = 64 };

struct graph {
    const char *fact;
    const char *line[LINES_MOST];
    const char *rounded; /* names, " a b " */
    const char *groups;  /* members with '+' between, in order of the graph */
};

static const struct graph graphs[] = {
    {"concat joins its inputs",
     {"conv2d Input:x Filter:w(4,3,1,1) > Output:a", "conv2d Input:a Filter:u(4,4,1,1) > Output:b",
      "concat X:a X:b > Out:c axis=1", "conv2d Input:b Filter:v(4,4,1,1) > Output:d",
      "conv2d Input:c Filter:t(4,8,1,1) > Output:y"},
     " x a b c ",
     "a+b+c"},
    {"a residual chain is one group",
     {"conv2d Input:x Filter:w(4,3,1,1) > Output:a", "conv2d Input:a Filter:u(4,4,1,1) > Output:b",
      "elementwise_add X:a Y:b > Out:c", "conv2d Input:c Filter:v(4,4,1,1) > Output:d",
      "elementwise_add X:d Y:c > Out:e", "conv2d Input:e Filter:t(4,4,1,1) > Output:y"},
     " x a c e ",
     "a+c+e"},
    {"no group across a convolution or a sigmoid",
     {"conv2d Input:x Filter:w(4,3,1,1) > Output:a", "sigmoid X:a > Out:b",
      "conv2d Input:b Filter:u(4,4,1,1) > Output:c", "conv2d Input:c Filter:v(4,4,1,1) > Output:y"},
     " x a b c ",
     ""},
    {"a relu keeps the scale",
     {"conv2d Input:x Filter:w(4,3,1,1) > Output:a", "relu X:a > Out:b",
      "conv2d Input:b Filter:u(4,4,1,1) > Output:c", "relu6 X:c > Out:d",
      "conv2d Input:d Filter:v(4,4,1,1) > Output:y"},
     " x a b c d ",
     "a+b c+d"},
    {"residual blocks with relu are one group",
     {"conv2d Input:x Filter:w(4,3,1,1) > Output:a", "relu X:a > Out:b",
      "conv2d Input:b Filter:u(4,4,1,1) > Output:c", "elementwise_add X:c Y:b > Out:d",
      "relu X:d > Out:e", "conv2d Input:e Filter:v(4,4,1,1) > Output:f",
      "elementwise_add X:f Y:e > Out:g", "relu X:g > Out:h",
      "conv2d Input:h Filter:t(4,4,1,1) > Output:y"},
     " x b e h ",
     "b+e+h"},
    {"a bias joins nothing, reshaped or not",
     {"reshape2 X:k(4) > Out:r shape=[1,4,1,1]", "conv2d Input:x Filter:w(4,3,1,1) > Output:a",
      "elementwise_add X:a Y:r > Out:b", "conv2d Input:b Filter:u(4,4,1,1) > Output:c",
      "elementwise_add X:c Y:r > Out:d", "conv2d Input:d Filter:v(4,4,1,1) > Output:e",
      "elementwise_add X:e Y:l(4) > Out:y axis=1"},
     " x a r b c d e ",
     ""},
    {"values that are only moved",
     {"pool2d X:x > Out:a pooling_type=max ksize=[2,2] strides=[2,2]",
      "nearest_interp_v2 X:a > Out:b scale=[2.0,2.0]", "transpose2 X:b > Out:c axis=[0,2,3,1]",
      "pool2d X:c > Out:d pooling_type=avg ksize=[2,2]", "slice Input:d > Out:y axes=[1]"},
     " x b c d y ",
     "x+b+c d+y"},
    {"what is not rounded does not count",
     {"conv2d Input:x Filter:w(4,3,1,1) > Output:a", "split X:a > Out:b Out:c num=2 axis=1",
      "concat X:b X:c > Out:y axis=1"},
     " x c ",
     ""},
    {"a variable written twice joins nothing",
     {"relu X:x > Out:a", "assign X:a > Out:b", "relu X:x > Out:a", "assign X:a > Out:y"},
     " a b y ",
     ""},
};

static struct qs_model *
model_of(const struct graph *k)
{
    struct test_random r = {7};
    int n = 0;
    while (n < LINES_MOST && k->line[n])
        n++;
    struct qs_model *m = test_graph("1,3,8,8", k->line, n, &r);
    assert_true(m->n_var < VARS_MOST);
    return m;
}

static void
find(const struct graph *k, const struct qs_model *m, struct qs_same_scale *s)
{
    bool rounded[VARS_MOST] = {false};
    struct qs_edges *e = qs_edges_new(m);
    for (int v = 0; v < m->n_var; v++) {
        char *name = qs_xasprintf(" %s ", m->var[v].name);
        rounded[v] = strstr(k->rounded, name) != NULL;
        free(name);
    }
    qs_same_scale_find(m, e, rounded, s);
    qs_edges_free(e);
}

/* Names in the order of k->rounded, which is that of the graph. */
static char *
members(const struct graph *k, const struct qs_model *m, const struct qs_same_scale *s, int32_t g)
{
    struct qs_str out;
    char *names = qs_xstrdup(k->rounded), *save = NULL;
    qs_str_init(&out);
    for (char *t = strtok_r(names, " ", &save); t; t = strtok_r(NULL, " ", &save))
        if (s->group[qs_model_find_var(m, 0, t)] == g)
            qs_str_printf(&out, "%s%s", out.n ? "+" : "", t);
    free(names);
    return qs_str_take(&out);
}

static void
check_groups(void **state)
{
    const struct graph *k = *state;
    struct qs_model *m = model_of(k);
    struct qs_same_scale s;
    int n = 0;
    find(k, m, &s);
    char *expected = qs_xstrdup(k->groups), *save = NULL;
    for (char *t = strtok_r(expected, " ", &save); t; t = strtok_r(NULL, " ", &save), n++) {
        char first[8] = "";
        strncat(first, t, strcspn(t, "+"));
        const int32_t group = s.group[qs_model_find_var(m, 0, first)];
        char *got = members(k, m, &s, group);
        assert_true(group >= 0);
        assert_string_equal(got, t);
        assert_int_equal(s.size[group], (strlen(t) + 1) / 2);
        free(got);
    }
    assert_int_equal(s.n_group, n);
    free(expected);
    qs_same_scale_release(&s);
    qs_model_unref(m);
}

struct sharing {
    const char *fact;
    double threshold[3]; /* of a, c, e */
    bool by_hand[3];
    double expected;
    int n_changed, from; /* of the three whose it is */
};
static const struct sharing sharings[] = {
    {"the largest is taken", {1, 3, 2}, {0}, 3, 2, 1},
    {"equal ones stay their own", {2, 2, 1}, {0}, 2, 1, 0},
    {"one by hand rules", {1, 3, 2}, {true}, 1, 2, 0},
    {"of two by hand the larger", {1, 3, 2}, {true, false, true}, 2, 2, 2},
};

static void
check_sharing(void **state)
{
    static const char *const name[] = {"a", "c", "e"};
    const struct sharing *k = *state;
    const struct graph *g = &graphs[1];
    struct qs_model *m = model_of(g);
    struct qs_same_scale s;
    double threshold[VARS_MOST];
    bool by_hand[VARS_MOST] = {false};
    int32_t from[VARS_MOST], id[3];
    find(g, m, &s);
    for (int v = 0; v < m->n_var; v++)
        threshold[v] = NAN;
    for (int i = 0; i < 3; i++) {
        id[i] = qs_model_find_var(m, 0, name[i]);
        threshold[id[i]] = k->threshold[i];
        by_hand[id[i]] = k->by_hand[i];
    }
    const int32_t x = qs_model_find_var(m, 0, "x");
    threshold[x] = 0.5;
    assert_int_equal(qs_same_scale_apply(&s, by_hand, threshold, from), k->n_changed);
    for (int i = 0; i < 3; i++) {
        const bool own = k->threshold[i] == k->expected;
        assert_true(threshold[id[i]] == k->expected);
        assert_int_equal(s.size[s.group[id[i]]], 3);
        if (own)
            assert_int_equal(from[id[i]], id[i]);
        else
            assert_true(threshold[from[id[i]]] == k->expected && from[id[i]] != id[i]);
    }
    assert_int_equal(from[id[k->from]], id[k->from]);
    assert_true(threshold[x] == 0.5 && from[x] == x);
    qs_same_scale_release(&s);
    qs_model_unref(m);
}

/* What calibration never saw neither rules nor is given a range. */
static void
unseen_stays_unseen(void **state)
{
    (void)state;
    const struct graph *g = &graphs[1];
    struct qs_model *m = model_of(g);
    struct qs_same_scale s;
    double threshold[VARS_MOST];
    const bool by_hand[VARS_MOST] = {false};
    int32_t from[VARS_MOST];
    const int32_t c = qs_model_find_var(m, 0, "c"), e = qs_model_find_var(m, 0, "e");
    find(g, m, &s);
    for (int v = 0; v < m->n_var; v++)
        threshold[v] = NAN;
    threshold[c] = 1;
    threshold[e] = 2;
    assert_int_equal(qs_same_scale_apply(&s, by_hand, threshold, from), 1);
    assert_true(threshold[c] == 2 && from[c] == e);
    assert_true(isnan(threshold[qs_model_find_var(m, 0, "a")]));
    qs_same_scale_release(&s);
    qs_model_unref(m);
}

int
main(void)
{
    struct CMUnitTest tests[QS_LEN(graphs) + QS_LEN(sharings) + 1];
    cmocka_set_message_output(CM_OUTPUT_TAP);
    for (size_t i = 0; i < QS_LEN(graphs); i++)
        tests[i] = (struct CMUnitTest){
            .name = graphs[i].fact, .test_func = check_groups, .initial_state = (void *)&graphs[i]};
    for (size_t i = 0; i < QS_LEN(sharings); i++)
        tests[QS_LEN(graphs) + i] = (struct CMUnitTest){.name = sharings[i].fact,
                                                        .test_func = check_sharing,
                                                        .initial_state = (void *)&sharings[i]};
    tests[QS_LEN(graphs) + QS_LEN(sharings)] =
        (struct CMUnitTest)cmocka_unit_test(unseen_stays_unseen);
    return _cmocka_run_group_tests("same_scale", tests, QS_LEN(tests), NULL, NULL);
}
