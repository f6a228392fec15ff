/* SPDX-License-Identifier: Apache-2.0 */
/* Batches in the fast engine: which programs run in parts, and that all give what the exact engine
 * gives; a sample of a batch what it gives alone, to the last bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../graphs.h"
#include "base/mem.h"
#include "engine/exec.h"
#include "engine/lower.h"

enum { LINES_MOST = 10 };

struct graph {
    const char *fact;
    bool parts;        /* it runs in parts */
    const char *input; /* dims of x; the first counts samples */
    const char *line[LINES_MOST];
};

#define CONV "conv2d Input:x Filter:w(20,3,3,3) > Output:c strides=[2,2] paddings=[1,1]"

static struct graph graphs[] = {
    {"a classifier",
     true,
     "6,3,17,15",
     {CONV, "relu X:c > Out:d", "pool2d X:d > Out:e ksize=[1,1] adaptive=true pooling_type=avg",
      "flatten_contiguous_range X:e > Out:f start_axis=1 stop_axis=3",
      "matmul_v2 X:f Y:w2(20,7) > Out:g", "softmax X:g > Out:y"}},
    {"squares, a residual, a concatenation",
     true,
     "5,3,32,32",
     {"conv2d Input:x Filter:w(32,3,3,3) > Output:c paddings=[1,1]",
      "conv2d Input:c Filter:w2(32,32,3,3) > Output:d paddings=[1,1]",
      "elementwise_add X:c Y:d > Out:e", "concat X:e X:c > Out:f axis=1",
      "conv2d Input:f Filter:w3(24,64,1,1) > Output:y"}},
    {"shuffled channels",
     true,
     "4,3,12,12",
     {CONV, "reshape2 X:c > Out:p shape=[0,2,10,6,6]", "transpose2 X:p > Out:q axis=[0,2,1,3,4]",
      "reshape2 X:q > Out:r shape=[0,20,6,6]", "split X:r > Out:s Out:t num=2 axis=1",
      "concat X:t X:s > Out:u axis=1", "sigmoid X:u > Out:y"}},
    {"a recurrence, samples in the middle",
     true,
     "4,3,8,40",
     {"conv2d Input:x Filter:w(16,3,8,3) > Output:c paddings=[0,1]",
      "squeeze2 X:c > Out:d axes=[2]", "transpose2 X:d > Out:e axis=[2,0,1]",
      "fill_constant_batch_size_like Input:x > Out:h shape=[1,-1,16] input_dim_idx=0 "
      "output_dim_idx=1 dtype=5 value=0.5",
      "rnn Input:e PreState:h PreState:h WeightList:a(64,16) WeightList:b(64,16) WeightList:f(64) "
      "WeightList:g(64) > Out:i mode=LSTM hidden_size=16 num_layers=1 is_test=true",
      "transpose2 X:i > Out:j axis=[1,0,2]", "matmul_v2 X:j Y:w2(16,9) > Out:k",
      "softmax X:k > Out:y"}},
    {"the output counts samples second",
     true,
     "4,3,6,5",
     {CONV, "reshape2 X:c > Out:d shape=[0,20,9]", "transpose2 X:d > Out:y axis=[2,0,1]"}},
    {"attention",
     true,
     "3,8,32",
     {"matmul_v2 X:x Y:w(32,32) > Out:a",
      "layer_norm X:a Scale:s(32) Bias:b(32) > Y:c begin_norm_axis=2",
      "transpose2 X:c > Out:d axis=[0,2,1]", "matmul_v2 X:c Y:d > Out:e",
      "softmax X:e > Out:f axis=-1", "matmul_v2 X:f Y:a > Out:g", "gelu X:g > Out:y"}},
    {"a constant for every sample",
     false,
     "4,3,6,5",
     {CONV, "elementwise_add X:c Y:k(4,20,3,3) > Out:y"}},
    {"softmax over samples", false, "4,12", {"relu X:x > Out:a", "softmax X:a > Out:y axis=0"}},
    {"the mean of all samples",
     false,
     "4,12",
     {"reduce_mean X:x > Out:m dim=[0] keep_dim=true", "elementwise_sub X:x Y:m > Out:y"}},
    {"rows of two samples together",
     false,
     "4,6",
     {"reshape2 X:x > Out:a shape=[2,12]", "softmax X:a > Out:y"}},
    {"a square turned on its side",
     true,
     "4,4",
     {"relu X:x > Out:a", "transpose2 X:a > Out:y axis=[1,0]"}},
    {"the first samples",
     false,
     "4,6",
     {"relu X:x > Out:a", "slice Input:a > Out:y axes=[0] starts=[0] ends=[2]"}},
    {"numbers of samples",
     false,
     "4,6",
     {"shape Input:x > Out:s", "cast X:s > Out:t in_dtype=2 out_dtype=5",
      "reduce_sum X:t > Out:u dim=[0] keep_dim=true", "elementwise_mul X:x Y:u > Out:y"}},
};

static void
check_batch(const struct graph *g, const struct qs_model *m, const struct qs_value *in,
            const struct qs_value *want, int threads)
{
    struct qs_ctx cx;
    struct qs_fast *f;
    char what[128];
    qs_ctx_init(&cx);
    cx.threads = threads;
    snprintf(what, sizeof(what), "%s, %d threads", g->fact, threads);
    if (qs_fast_new(&cx, m, in, 1, NULL, &f) != QS_OK)
        fail_msg("%s: %s", g->fact, qs_message(&cx));
    if ((f->split != NULL) != g->parts)
        fail_msg("%s: it %s in parts", g->fact, f->split ? "runs" : "does not run");
    for (int run = 0; run < 2; run++) {
        if (qs_fast_run(&cx, f, in, 1, NULL) != QS_OK)
            fail_msg("%s: %s", g->fact, qs_message(&cx));
        test_graph_near(qs_fast_out(f, 0), want, what);
    }
    qs_fast_free(f);
}

static void
check_graph(void **state)
{
    const struct graph *g = *state;
    struct test_random r = {11};
    struct qs_exec *e;
    struct qs_value in;
    struct qs_ctx cx;
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph(g->input, g->line, LINES_MOST, &r);
    test_graph_input(g->input, &r, &in);
    if (qs_exec_new(&cx, m, &e) != QS_OK || qs_exec_run(&cx, e, &in, 1, NULL) != QS_OK)
        fail_msg("%s: %s", g->fact, qs_message(&cx));
    for (int threads = 1; threads <= 4; threads++)
        check_batch(g, m, &in, qs_exec_out(e, 0), threads);
    free(in.data);
    qs_exec_free(e);
    qs_model_unref(m);
}

static void
a_sample_gives_the_same_alone(void **state)
{
    const struct graph *g = &graphs[1];
    struct test_random r = {5};
    struct qs_fast *all, *one;
    struct qs_value in, sample;
    struct qs_ctx cx;
    (void)state;
    qs_ctx_init(&cx);
    cx.threads = 2;
    struct qs_model *m = test_graph(g->input, g->line, LINES_MOST, &r);
    test_graph_input(g->input, &r, &in);
    sample = in;
    sample.count = in.count / in.d[0];
    sample.d[0] = 1;
    assert_int_equal(qs_fast_new(&cx, m, &in, 1, NULL, &all), QS_OK);
    assert_int_equal(qs_fast_run(&cx, all, &in, 1, NULL), QS_OK);
    assert_int_equal(qs_fast_new(&cx, m, &sample, 1, NULL, &one), QS_OK);
    for (int64_t i = 0; i < in.d[0]; i++) {
        sample.f32 = in.f32 + i * sample.count;
        assert_int_equal(qs_fast_run(&cx, one, &sample, 1, NULL), QS_OK);
        const struct qs_value *out = qs_fast_out(one, 0);
        assert_memory_equal(out->f32, qs_fast_out(all, 0)->f32 + i * out->count,
                            (size_t)out->count * sizeof(float));
    }
    qs_fast_free(one);
    qs_fast_free(all);
    free(in.data);
    qs_model_unref(m);
}

int
main(void)
{
    struct CMUnitTest tests[QS_LEN(graphs) + 1];
    cmocka_set_message_output(CM_OUTPUT_TAP);
    for (size_t i = 0; i < QS_LEN(graphs); i++)
        tests[i] = (struct CMUnitTest){
            .name = graphs[i].fact, .test_func = check_graph, .initial_state = &graphs[i]};
    tests[QS_LEN(graphs)] = (struct CMUnitTest)cmocka_unit_test(a_sample_gives_the_same_alone);
    return _cmocka_run_group_tests("batch", tests, QS_LEN(tests), NULL, NULL);
}
