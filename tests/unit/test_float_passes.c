/* SPDX-License-Identifier: Apache-2.0 */
/* Folding and equalization keep what a model computes and do what they are for. */
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
#include "engine/exec.h"
#include "passes/float_passes.h"

enum { LINES_MOST = 12 };

struct graph {
    const char *fact, *input;
    const char *line[LINES_MOST];
    int n_fold, n_pair; /* what is to be found */
};

#define BN_OUT(x, y, c)                                                                         \
    "batch_norm X:" x " Scale:s" y "(" c ") Bias:b" y "(" c ") Mean:m" y "(" c ") Variance:v" y \
    "(" c ") > Y:" y " MeanOut:m" y " is_test=true"

static const struct graph graphs[] = {
    {"convolution and batch norm",
     "2,3,9,9",
     {"conv2d Input:x Filter:w(20,3,3,3) > Output:c paddings=[1,1]", BN_OUT("c", "y", "20")},
     1,
     0},
    {"a batch norm with statistics of its own batch stays",
     "2,3,9,9",
     {"conv2d Input:x Filter:w(4,3,3,3) > Output:c",
      "batch_norm X:c Scale:s(4) Bias:b(4) Mean:m(4) Variance:v(4) > Y:y"},
     0,
     0},
    {"a bias between",
     "1,3,9,9",
     {"conv2d Input:x Filter:w(6,3,3,3) > Output:c", "elementwise_add X:c Y:b(6) > Out:d axis=1",
      BN_OUT("d", "e", "6"), "relu X:e > Out:y"},
     1,
     0},
    {"grouped transposed convolution",
     "1,6,5,5",
     {"conv2d_transpose Input:x Filter:w(6,4,2,2) > Output:c strides=[2,2] groups=2",
      BN_OUT("c", "y", "8")},
     1,
     0},
    {"an output that is read twice stays",
     "1,3,9,9",
     {"conv2d Input:x Filter:w(4,3,3,3) > Output:c", BN_OUT("c", "d", "4"),
      "elementwise_add X:c Y:d > Out:y"},
     0,
     0},
    {"a filter that is read twice stays",
     "1,4,9,9",
     {"conv2d Input:x Filter:w(4,4,1,1) > Output:c", BN_OUT("c", "d", "4"),
      "conv2d Input:d Filter:w > Output:y"},
     0,
     0},
    {"a chain of three with biases and relus",
     "1,3,12,12",
     {"conv2d Input:x Filter:w(8,3,3,3) > Output:a", BN_OUT("a", "b", "8"), "relu X:b > Out:c",
      "depthwise_conv2d Input:c Filter:w2(8,1,3,3) > Output:d groups=8", BN_OUT("d", "e", "8"),
      "leaky_relu X:e > Out:f alpha=0.1", "conv2d Input:f Filter:w3(5,8,1,1) > Output:y"},
     2,
     2},
    {"hard_swish is no factor's friend",
     "1,3,9,9",
     {"conv2d Input:x Filter:w(8,3,3,3) > Output:a", "hard_swish X:a > Out:b",
      "conv2d Input:b Filter:w3(5,8,1,1) > Output:y"},
     0,
     0},
};

static void
run(const struct graph *g, const struct qs_model *m, const struct qs_value *in, float *out,
    int64_t most)
{
    struct qs_ctx cx;
    struct qs_exec *e;
    qs_ctx_init(&cx);
    if (qs_exec_new(&cx, m, &e) != QS_OK || qs_exec_run(&cx, e, in, 1, NULL) != QS_OK)
        fail_msg("%s: %s", g->fact, qs_message(&cx));
    const struct qs_value *v = qs_exec_out(e, 0);
    assert_true(v->count <= most);
    memcpy(out, v->f32, (size_t)v->count * sizeof(float));
    qs_exec_free(e);
}

static double
difference(const float *a, const float *b, int n)
{
    double error = 0, size = 1e-30;
    for (int i = 0; i < n; i++) {
        error += pow((double)a[i] - (double)b[i], 2);
        size += (double)b[i] * (double)b[i];
    }
    return sqrt(error / size);
}

static int
count_of(const struct qs_model *m, const char *type)
{
    int n = 0;
    for (int i = 0; i < m->block[0].n_node; i++)
        n += strcmp(m->block[0].node[i].type, type) == 0;
    return n;
}

/* Largest |w| of each output channel of a filter [O, ...]. */
static double
channel_max(const struct qs_model *m, const char *name, int64_t channel)
{
    const struct qs_tensor *t = m->var[qs_model_find_var(m, 0, name)].data;
    const int64_t inner = t->n / t->dims[0];
    double most = 0;
    for (int64_t i = 0; i < inner; i++) {
        float w;
        memcpy(&w, t->buf->data + t->offset + (size_t)(channel * inner + i) * sizeof(w), sizeof(w));
        most = fmax(most, fabs((double)w));
    }
    return most;
}

static void
check_graph(void **arg)
{
    enum { MOST = 20000 };
    const struct graph *g = *arg;
    static float before[MOST], folded[MOST], equal[MOST];
    struct test_random r = {11};
    struct qs_value in;
    struct qs_ctx cx;
    int n;
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph(g->input, g->line, LINES_MOST, &r), *c = qs_model_clone(m);
    test_graph_input(g->input, &r, &in);
    memset(before, 0, sizeof(before));
    memcpy(folded, before, sizeof(before));
    memcpy(equal, before, sizeof(before));
    run(g, m, &in, before, MOST);
    assert_int_equal(qs_fold_bn(&cx, c, &n), QS_OK);
    assert_int_equal(n, g->n_fold);
    assert_int_equal(count_of(c, "batch_norm"), count_of(m, "batch_norm") - n);
    run(g, c, &in, folded, MOST);
    if (!(difference(folded, before, MOST) < 2e-6))
        fail_msg("%s: folded differs by %g: %g %g", g->fact, difference(folded, before, MOST),
                 folded[0], before[0]);
    assert_int_equal(qs_equalize(&cx, c, &n), QS_OK);
    assert_int_equal(n, g->n_pair);
    run(g, c, &in, equal, MOST);
    assert_true(difference(equal, before, MOST) < 5e-6);
    run(g, m, &in, equal, MOST); /* the model it was cloned from is as it was */
    assert_memory_equal(equal, before, sizeof(before));
    free(in.data);
    qs_model_unref(c);
    qs_model_unref(m);
}

/* After it a channel is as wide where it is made as where it is read. */
static void
test_balanced(void **arg)
{
    static const char *const line[] = {"conv2d Input:x Filter:w(8,3,3,3) > Output:a",
                                       "relu X:a > Out:b",
                                       "depthwise_conv2d Input:b Filter:w2(8,1,3,3) > Output:y "
                                       "groups=8"};
    struct test_random r = {3};
    struct qs_ctx cx;
    int n;
    (void)arg;
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph("1,3,9,9", line, 3, &r);
    assert_int_equal(qs_equalize(&cx, m, &n), QS_OK);
    for (int c = 0; c < 8; c++)
        assert_true(fabs(channel_max(m, "w", c) / channel_max(m, "w2", c) - 1) < 1e-2);
    qs_model_unref(m);
}

/* Biases: what is taken off each channel c of the layer's output comes out times factor(c). */
struct correction {
    const char *fact, *input;
    const char *line[4];
    bool done, norm; /* whether there is a place for it; a batch norm with parameters sy, vy */
};

static const struct correction corrections[] = {
    {"a bias takes it off",
     "1,3,5,5",
     {"conv2d Input:x Filter:w(4,3,3,3) > Output:c", "elementwise_add X:c Y:b(4) > Out:y axis=1"},
     true,
     false},
    {"a reshaped bias takes it off",
     "1,3,5,5",
     {"reshape2 X:b(4) > Out:r shape=[1,-1,1,1]", "conv2d Input:x Filter:w(4,3,3,3) > Output:c",
      "elementwise_add X:c Y:r > Out:y axis=-1"},
     true,
     false},
    {"a batch norm takes it off",
     "1,3,5,5",
     {"conv2d Input:x Filter:w(4,3,3,3) > Output:c", BN_OUT("c", "y", "4")},
     true,
     true},
    {"the bias of a product takes it off",
     "3,6",
     {"matmul_v2 X:x Y:w(6,4) > Out:c", "elementwise_add X:c Y:b(4) > Out:y"},
     true,
     false},
    {"behind nothing it stays",
     "1,3,5,5",
     {"conv2d Input:x Filter:w(4,3,3,3) > Output:c", "relu X:c > Out:y"},
     false,
     false},
    {"a bias that others read stays",
     "1,4,5,5",
     {"conv2d Input:x Filter:w(4,4,1,1) > Output:c", "elementwise_add X:c Y:b(4) > Out:d axis=1",
      "elementwise_add X:d Y:b > Out:y axis=1"},
     false,
     false},
};

static double
param_at(const struct qs_model *m, const char *name, int i)
{
    const struct qs_tensor *t = m->var[qs_model_find_var(m, 0, name)].data;
    float v;
    memcpy(&v, t->buf->data + t->offset + (size_t)i * sizeof(v), sizeof(v));
    return (double)v;
}

static int32_t
layer_of(const struct qs_model *m)
{
    int32_t i = 0;
    while (!qs_is_conv(&m->block[0].node[i]) && strcmp(m->block[0].node[i].type, "matmul_v2") != 0)
        i++;
    return i;
}

static void
check_correction(void **arg)
{
    enum { MOST = 256, CHANNELS = 4 };
    static const double shift[CHANNELS] = {0.5, -0.25, 0, 1};
    const struct correction *k = *arg;
    const struct graph g = {.fact = k->fact};
    float before[MOST] = {0}, after[MOST] = {0};
    struct test_random r = {9};
    struct qs_value in;
    struct qs_ctx cx;
    bool done;
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph(k->input, k->line, 4, &r), *c = qs_model_clone(m);
    struct qs_edges *e = qs_edges_new(m);
    test_graph_input(k->input, &r, &in);
    run(&g, m, &in, before, MOST);
    assert_int_equal(qs_correct_bias(&cx, c, e, layer_of(c), shift, CHANNELS, &done), QS_OK);
    assert_int_equal(done, k->done);
    run(&g, c, &in, after, MOST);
    for (int i = 0; i < 12 && done; i++) {
        const int at = in.n == 2 ? i : i * 3, channel = in.n == 2 ? i % 4 : at / 9;
        const double factor =
            k->norm ? param_at(m, "sy", channel) / sqrt(param_at(m, "vy", channel) + 1e-5) : 1;
        assert_true(fabs((double)before[at] - (double)after[at] - factor * shift[channel]) < 1e-5);
    }
    if (!done)
        assert_memory_equal(before, after, sizeof(before));
    free(in.data);
    qs_edges_free(e);
    qs_model_unref(c);
    qs_model_unref(m);
}

int
main(void)
{
    struct CMUnitTest tests[QS_LEN(graphs) + QS_LEN(corrections) + 1];
    cmocka_set_message_output(CM_OUTPUT_TAP);
    for (size_t i = 0; i < QS_LEN(graphs); i++)
        tests[i] = (struct CMUnitTest){
            .name = graphs[i].fact, .test_func = check_graph, .initial_state = (void *)&graphs[i]};
    for (size_t i = 0; i < QS_LEN(corrections); i++)
        tests[QS_LEN(graphs) + 1 + i] =
            (struct CMUnitTest){.name = corrections[i].fact,
                                .test_func = check_correction,
                                .initial_state = (void *)&corrections[i]};
    tests[QS_LEN(graphs)] = (struct CMUnitTest)cmocka_unit_test(test_balanced);
    return _cmocka_run_group_tests("float_passes", tests, QS_LEN(tests), NULL, NULL);
}
