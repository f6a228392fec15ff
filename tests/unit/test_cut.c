/* SPDX-License-Identifier: Apache-2.0 */
/* Models in two: which nodes are left to the exact engine, and that both parts give what one engine
 * gives. */
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
#include "engine/cut.h"
#include "engine/engine.h"
#include "model/shape.h"

enum { SEEN_MOST = 64 };

static const struct graph {
    const char *name, *input;
    const char *line[12];
    const char *rest; /* first outputs of the nodes left to the exact engine; NULL: the model runs
                         in one engine, `kind` */
    const char *kind;
} graphs[] = {
    {.name = "a size that depends on data",
     .input = "2,3,9,9",
     .line = {"conv2d Input:x Filter:w(8,3,3,3) > Output:a", "relu X:a > Out:b",
              "pool2d X:b > Out:p ksize=[1,1] global_pooling=true pooling_type=avg",
              "where_index Condition:b > Out:i", "cast X:i > Out:j in_dtype=3 out_dtype=5",
              "scale X:j > Out:y scale=0.5", "fetch X:p col=1"},
     .rest = "i j y",
     .kind = "mixed"},
    {.name = "what does not depend on it stays",
     .input = "1,3,9,9",
     .line = {"where_index Condition:x > Out:i", "cast X:i > Out:j in_dtype=3 out_dtype=5",
              "conv2d Input:x Filter:w(8,3,3,3) > Output:a", "sigmoid X:a > Out:y",
              "reduce_sum X:j > Out:z reduce_all=true", "fetch X:z col=1"},
     .rest = "i j z",
     .kind = "mixed"},
    {.name = "a variable written twice that the rest reads",
     .input = "1,3,9,9",
     .line = {"conv2d Input:x Filter:w(8,3,3,3) > Output:a", "relu X:a > Out:b",
              "conv2d Input:b Filter:v(8,8,3,3) > Output:c", "tanh X:c > Out:c",
              "where_index Condition:c > Out:i", "cast X:i > Out:y in_dtype=3 out_dtype=5"},
     .rest = "c c i y",
     .kind = "mixed"},
    {.name = "an input that is written and that the rest reads",
     .input = "1,3,9,9",
     .line = {"conv2d Input:x Filter:w(8,3,3,3) > Output:a", "relu X:a > Out:b",
              "where_index Condition:x > Out:i", "cast X:i > Out:j in_dtype=3 out_dtype=5",
              "scale X:x > Out:x scale=2.0", "reduce_sum X:x > Out:s reduce_all=true",
              "conv2d Input:b Filter:v(8,8,3,3) > Output:y", "fetch X:s col=1", "fetch X:j col=2"},
     .rest = "a b i j x s y",
     .kind = "exact"},
    {.name = "a branch",
     .input = "1,3,9,9",
     .line = {"conv2d Input:x Filter:w(8,3,3,3) > Output:a", "relu X:a > Out:b",
              "reduce_mean X:b > Out:m reduce_all=true", "less_than X:m Y:n(1) > Out:c",
              "scale X:b > Out:v scale=1.5",
              "conditional_block Cond:c Input:b > Out:v sub_block=BLOCK1 is_scalar_condition=true",
              "| square X:b > Out:v", "elementwise_add X:v Y:b > Out:y"},
     .rest = "v v y",
     .kind = "mixed"},
    {.name = "a branch that makes what only it knows",
     .input = "1,3,9,9",
     .line = {"conv2d Input:x Filter:w(8,3,3,3) > Output:a", "relu X:a > Out:b",
              "logical_not X:b > Out:c", "tanh X:b > Out:t",
              "conditional_block Cond:c > Out:v sub_block=BLOCK1",
              "| elementwise_mul X:t Y:t > Out:u", "| scale X:u > Out:v scale=-1.0",
              "elementwise_add X:v Y:b > Out:y"},
     .rest = "v y",
     .kind = "mixed"},
    {.name = "rows that belong together",
     .input = "2,3,9,9",
     .line = {"conv2d Input:x Filter:w(8,3,3,3) > Output:a", "relu X:a > Out:b",
              "im2sequence X:b > Out:r kernels=[7,1] strides=[1,1] paddings=[0,0,0,0]",
              "mul X:r Y:v(56,24) > Out:g", "gru Input:g Weight:q(8,24) Bias:o(1,24) > Hidden:y"},
     .rest = "r g y",
     .kind = "mixed"},
    {.name = "rows of one sample",
     .input = "1,3,9,9",
     .line = {"conv2d Input:x Filter:w(8,3,3,3) > Output:a", "relu X:a > Out:b",
              "im2sequence X:b > Out:r kernels=[7,1] strides=[1,1] paddings=[0,0,0,0]",
              "mul X:r Y:v(56,24) > Out:g", "gru Input:g Weight:q(8,24) Bias:o(1,24) > Hidden:y"},
     .kind = "fast"},
    {.name = "an input that goes on to the rest",
     .input = "1,3,9,9",
     .line = {"conv2d Input:x Filter:w(8,3,3,3) > Output:a", "flatten2 X:x > Out:f axis=1",
              "where_index Condition:f > Out:i", "gather_nd X:f Index:i > Out:y",
              "relu X:a > Out:z", "fetch X:z col=1"},
     .rest = "f i y",
     .kind = "mixed"},
    {.name = "nothing that multiplies",
     .input = "1,3,9,9",
     .line = {"relu X:x > Out:b", "where_index Condition:b > Out:i",
              "cast X:i > Out:y in_dtype=3 out_dtype=5"},
     .kind = "exact"},
};

/* ---- runs ---- */

struct seen {
    const struct qs_model *m;
    int32_t node[SEEN_MOST], var[SEEN_MOST];
    struct qs_value value[SEEN_MOST]; /* copies */
    int n;
};

static size_t
bytes_of(const struct qs_value *v)
{
    return (size_t)v->count * (size_t)qs_dtype_bytes(v->dtype);
}

static enum qs_err
note(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    struct seen *s = arg;
    (void)cx;
    assert_true(s->n < SEEN_MOST);
    s->node[s->n] = node;
    s->var[s->n] = var;
    s->value[s->n] = *v;
    s->value[s->n].data = memcpy(qs_xmalloc(bytes_of(v) + 1), v->data, bytes_of(v));
    s->n++;
    return QS_OK;
}

static void
drop_seen(struct seen *s)
{
    for (int i = 0; i < s->n; i++)
        free(s->value[i].data);
    s->n = 0;
}

static void
must_run(struct qs_ctx *cx, struct qs_engine *e, const struct qs_value *in, struct seen *seen)
{
    const struct qs_watch watch = {note, seen};
    if (qs_engine_run(cx, e, in, 1, seen ? &watch : NULL) != QS_OK)
        fail_msg("%s", qs_message(cx));
}

static void
check_near(const struct qs_value *got, const struct qs_value *want, const char *what)
{
    double sum = 0, diff = 0;
    assert_int_equal(got->dtype, want->dtype);
    assert_int_equal(got->n, want->n);
    for (int i = 0; i < got->n; i++)
        assert_int_equal(got->d[i], want->d[i]);
    for (int64_t i = 0; i < got->count; i++) {
        const double x = qs_value_real(got, i), y = qs_value_real(want, i);
        sum += y * y;
        diff += (x - y) * (x - y);
    }
    if (!(diff <= 1e-10 * sum))
        fail_msg("%s: relative error %g", what, sqrt(diff / sum));
}

static struct qs_model *
model_of(const struct graph *g, struct test_random *r)
{
    return test_graph(g->input, g->line, QS_LEN(g->line), r);
}

static void
both_parts_give_what_one_engine_gives(void **state)
{
    struct test_random r = {5};
    struct qs_ctx cx;
    (void)state;
    qs_ctx_init(&cx);
    cx.threads = 2;
    for (size_t i = 0; i < QS_LEN(graphs); i++) {
        struct qs_model *m = model_of(&graphs[i], &r);
        struct qs_engine *fast = test_graph_engine(&cx, m, false, NULL);
        struct qs_engine *exact = test_graph_engine(&cx, m, true, NULL);
        for (int run = 0; run < 3; run++) {
            struct qs_value in;
            test_graph_input(graphs[i].input, &r, &in);
            must_run(&cx, fast, &in, NULL);
            must_run(&cx, exact, &in, NULL);
            if (strcmp(qs_engine_kind(fast), graphs[i].kind) != 0)
                fail_msg("%s: %s", graphs[i].name, qs_engine_kind(fast));
            assert_string_equal(qs_engine_kind(exact), "exact");
            assert_int_equal(qs_engine_n_out(fast), qs_engine_n_out(exact));
            for (int k = 0; k < qs_engine_n_out(exact); k++)
                check_near(qs_engine_out(fast, k), qs_engine_out(exact, k), graphs[i].name);
            free(in.data);
        }
        assert_true(qs_engine_param_bytes(fast) > 0 || !graphs[i].rest);
        qs_engine_free(fast);
        qs_engine_free(exact);
        qs_model_unref(m);
    }
}

static bool
is_named(const char *list, const char *name)
{
    const size_t n = strlen(name);
    const char *at = list;
    while ((at = strstr(at, name)) != NULL) {
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
        at++;
    }
    return false;
}

/* What each watch sees when all variables are kept: the parts show every one, each node once. */
static void
a_watch_sees_the_variables_of_both_parts(void **state)
{
    struct test_random r = {5};
    struct qs_ctx cx;
    (void)state;
    qs_ctx_init(&cx);
    for (size_t i = 0; i < QS_LEN(graphs); i++) {
        const struct graph *g = &graphs[i];
        struct qs_model *m = model_of(g, &r);
        struct seen seen[2] = {{.n = 0}, {.n = 0}};
        struct qs_value in;
        bool *keep = qs_xcalloc((size_t)m->n_var, sizeof(*keep));
        for (int32_t v = 0; v < m->n_var; v++)
            keep[v] = !m->var[v].data;
        test_graph_input(g->input, &r, &in);
        for (int exact = 0; exact < 2; exact++) {
            struct qs_engine *e = test_graph_engine(&cx, m, exact, keep);
            must_run(&cx, e, &in, &seen[exact]);
            const int first = seen[exact].n; /* what cannot be planned shows now */
            drop_seen(&seen[exact]);
            must_run(&cx, e, &in, &seen[exact]);
            assert_int_equal(seen[exact].n, first);
            qs_engine_free(e);
        }
        assert_int_equal(seen[0].n, seen[1].n);
        for (int a = 0; a < seen[0].n; a++) {
            int b = 0;
            while (b < seen[1].n &&
                   (seen[0].node[a] != seen[1].node[b] || seen[0].var[a] != seen[1].var[b]))
                b++;
            assert_true(b < seen[1].n);
            check_near(&seen[0].value[a], &seen[1].value[b], m->var[seen[0].var[a]].name);
        }
        drop_seen(&seen[0]);
        drop_seen(&seen[1]);
        free(keep);
        free(in.data);
        qs_model_unref(m);
    }
}

/* Without `keep` a watch sees the rest alone. */
static void
a_watch_sees_every_node_of_the_rest(void **state)
{
    struct test_random r = {5};
    struct qs_ctx cx;
    (void)state;
    qs_ctx_init(&cx);
    for (size_t i = 0; i < QS_LEN(graphs); i++) {
        const struct graph *g = &graphs[i];
        struct qs_model *m = model_of(g, &r);
        struct seen seen = {.n = 0};
        struct qs_value in;
        int n = 0;
        if (strcmp(g->kind, "mixed") == 0) {
            struct qs_engine *e = test_graph_engine(&cx, m, false, NULL);
            test_graph_input(g->input, &r, &in);
            must_run(&cx, e, &in, NULL);
            must_run(&cx, e, &in, &seen);
            for (const char *p = g->rest; *p; p++)
                n += *p != ' ';
            assert_int_equal(seen.n, n);
            for (int k = 0; k < seen.n; k++) {
                const struct qs_node *node = &m->block[0].node[seen.node[k]];
                assert_true(is_named(g->rest, m->var[seen.var[k]].name));
                assert_int_equal(node->out[0].var[0], seen.var[k]);
            }
            qs_engine_free(e);
            free(in.data);
        }
        drop_seen(&seen);
        qs_model_unref(m);
    }
}

/* ---- the cut itself ---- */

static int32_t
maker_of(const struct qs_model *m, const char *var)
{
    for (int32_t i = 0; i < m->block[0].n_node; i++) {
        const struct qs_node *node = &m->block[0].node[i];
        if (node->n_out > 0 && strcmp(m->var[node->out[0].var[0]].name, var) == 0)
            return i;
    }
    return -1;
}

static void
what_cannot_be_left_is_refused(void **state)
{
    struct test_random r = {5};
    (void)state;
    struct qs_model *m = model_of(&graphs[0], &r);
    struct qs_cut *c = qs_cut_new(m);
    assert_false(qs_cut_leave(c, -1));
    assert_false(qs_cut_leave(c, maker_of(m, "x"))); /* a port */
    assert_true(qs_cut_leave(c, maker_of(m, "i")));
    assert_false(qs_cut_leave(c, maker_of(m, "y"))); /* it is there */
    qs_cut_make(c);
    assert_int_equal(qs_cut_find(c, maker_of(m, "i")), -1);
    assert_int_equal(c->first_node[qs_cut_find(c, maker_of(m, "b"))], maker_of(m, "b"));
    assert_int_equal(qs_model_inputs(c->first, NULL, 0), 1);
    assert_int_equal(qs_model_outputs(c->first, NULL, 0), 2); /* p, and b for the rest */
    assert_int_equal(c->n_in, 1);
    assert_true(c->in[0].first);
    assert_false(qs_cut_leave(c, maker_of(m, "a"))); /* nothing remains that multiplies */
    qs_cut_free(c);
    qs_model_unref(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_parts_give_what_one_engine_gives),
        cmocka_unit_test(a_watch_sees_the_variables_of_both_parts),
        cmocka_unit_test(a_watch_sees_every_node_of_the_rest),
        cmocka_unit_test(what_cannot_be_left_is_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
