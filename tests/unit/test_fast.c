/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast engine against the exact one on small graphs, for every instruction set and for one and
 * three threads: results agree, and the steps are those that fusion should leave.
 */
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
#include "base/str.h"
#include "engine/exec.h"
#include "engine/fast.h"
#include "kernels/cpu.h"

enum { LINES_MOST = 16, SEEN_MOST = 64 };

struct graph {
    const char *fact;
    const char *input;            /* dims of x */
    const char *line[LINES_MOST]; /* operators */
    const char *steps;            /* kinds, on AVX-512 and where it does not matter; NULL: any */
};

/* ---- running ---- */

static void
check_equal(const struct graph *g, const struct qs_value *got, const struct qs_value *want,
            double tolerance, const char *isa, int threads)
{
    double error = 0, size = 0;
    assert_int_equal(got->n, want->n);
    for (int i = 0; i < want->n; i++)
        assert_int_equal(got->d[i], want->d[i]);
    for (int64_t i = 0; i < want->count; i++) {
        const double d = (double)got->f32[i] - (double)want->f32[i];
        error += d * d;
        size += (double)want->f32[i] * (double)want->f32[i];
    }
    const double relative = sqrt(error / (size > 0 ? size : 1));
    if (!(relative <= tolerance))
        fail_msg("%s, %s, %d threads: relative L2 error %g", g->fact, isa, threads, relative);
}

/* Winograd's convolutions lose a digit. */
static double
tolerance_of(const struct qs_fast *f)
{
    for (int i = 0; i < qs_fast_n_steps(f); i++)
        if (strcmp(qs_fast_step(f, i).how, "WINOGRAD") == 0)
            return 1e-5;
    return 2e-6;
}

static void
check_steps(const struct graph *g, const struct qs_fast *f)
{
    struct qs_str text;
    qs_str_init(&text);
    for (int i = 0; i < qs_fast_n_steps(f); i++)
        qs_str_printf(&text, "%s%s", i ? " " : "", qs_fast_step(f, i).how);
    if (strcmp(text.s, g->steps) != 0)
        fail_msg("%s: steps %s, not %s", g->fact, text.s, g->steps);
    qs_str_release(&text);
}

static void
check_fast(const struct graph *g, const struct qs_model *m, const struct qs_value *in,
           const struct qs_value *want, const char *isa, int threads)
{
    struct qs_ctx cx;
    struct qs_fast *f;
    qs_ctx_init(&cx);
    cx.threads = threads;
    if (qs_fast_new(&cx, m, in, 1, NULL, &f) != QS_OK)
        fail_msg("%s: %s", g->fact, qs_message(&cx));
    for (int run = 0; run < 2; run++) { /* the second finds used memory */
        if (qs_fast_run(&cx, f, in, 1, NULL) != QS_OK)
            fail_msg("%s: %s", g->fact, qs_message(&cx));
        assert_int_equal(qs_fast_n_out(f), 1);
        check_equal(g, qs_fast_out(f, 0), want, tolerance_of(f), isa, threads);
    }
    if (g->steps && strcmp(isa, "scalar") != 0)
        check_steps(g, f);
    qs_fast_free(f);
}

/* ---- kept variables ---- */

struct seen {
    const struct graph *g;
    const struct qs_value *in;
    int32_t node[SEEN_MOST], var[SEEN_MOST];
    struct qs_value value[SEEN_MOST]; /* copies */
    int n, matched;
};

static enum qs_err
note_exact(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    struct seen *s = arg;
    const size_t bytes = (size_t)(v->count * qs_dtype_bytes(v->dtype));
    (void)cx;
    assert_true(s->n < SEEN_MOST);
    s->node[s->n] = node;
    s->var[s->n] = var;
    s->value[s->n] = *v;
    s->value[s->n].data = qs_xmalloc(bytes + 1);
    memcpy(s->value[s->n++].data, v->data, bytes);
    return QS_OK;
}

/* The next of those that the exact engine showed; before them inputs as they are. */
static enum qs_err
match_fast(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    struct seen *s = arg;
    (void)cx;
    if (node == 0) {
        assert_int_equal(s->matched, 0);
        assert_memory_equal(v->data, s->in->data, (size_t)v->count * sizeof(float));
        return QS_OK;
    }
    assert_true(s->matched < s->n);
    assert_int_equal(node, s->node[s->matched]);
    assert_int_equal(var, s->var[s->matched]);
    check_equal(s->g, v, &s->value[s->matched++], 1e-5, "kept", 2);
    return QS_OK;
}

/* Every variable kept: the fast engine shows what the exact one shows, in the same order. */
static void
check_kept(void **arg)
{
    const struct graph *g = *arg;
    struct seen s = {.g = g};
    const struct qs_watch exact = {note_exact, &s}, fast = {match_fast, &s};
    struct qs_ctx cx;
    struct qs_exec *e;
    struct qs_fast *f;
    struct qs_value in;
    struct test_random r = {11};
    qs_ctx_init(&cx);
    cx.threads = 2;
    struct qs_model *m = test_graph(g->input, g->line, LINES_MOST, &r);
    test_graph_input(g->input, &r, &in);
    s.in = &in;
    if (qs_exec_new(&cx, m, &e) != QS_OK || qs_exec_run(&cx, e, &in, 1, &exact) != QS_OK)
        fail_msg("%s: %s", g->fact, qs_message(&cx));
    bool *keep = qs_xcalloc((size_t)m->n_var, sizeof(*keep));
    memset(keep, true, (size_t)m->n_var);
    const struct qs_fast_options opt = {.keep = keep};
    assert_int_equal(qs_fast_new(&cx, m, &in, 1, &opt, &f), QS_OK);
    free(keep);
    for (int run = 0; run < 2; run++) {
        s.matched = 0;
        if (qs_fast_run(&cx, f, &in, 1, &fast) != QS_OK)
            fail_msg("%s: %s", g->fact, qs_message(&cx));
        assert_int_equal(s.matched, s.n);
        check_equal(g, qs_fast_out(f, 0), qs_exec_out(e, 0), 1e-5, "kept", 2);
    }
    for (int i = 0; i < s.n; i++)
        free(s.value[i].data);
    free(in.data);
    qs_fast_free(f);
    qs_exec_free(e);
    qs_model_unref(m);
}

/* One kept variable: what others fuse stays fused. */
static void
a_kept_variable_ends_a_fusion(void **arg)
{
    static const struct graph g = {"kept",
                                   "1,3,16,16",
                                   {"conv2d Input:x Filter:w(20,3,3,3) > Output:c",
                                    "relu X:c > Out:r",
                                    "conv2d Input:r Filter:w2(20,20,1,1) > Output:d",
                                    "elementwise_add X:d Y:b(20) > Out:a "
                                    "axis=1",
                                    "relu X:a > Out:y"},
                                   "CONVERT CONV AFFINE CONV CONVERT"};
    struct qs_ctx cx;
    struct qs_fast *f;
    struct qs_value in;
    struct test_random r = {11};
    (void)arg;
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph(g.input, g.line, LINES_MOST, &r);
    test_graph_input(g.input, &r, &in);
    bool *keep = qs_xcalloc((size_t)m->n_var, sizeof(*keep));
    keep[qs_model_find_var(m, 0, "c")] = true;
    const struct qs_fast_options opt = {.keep = keep};
    assert_int_equal(qs_fast_new(&cx, m, &in, 1, &opt, &f), QS_OK);
    check_steps(&g, f);
    free(keep);
    free(in.data);
    qs_fast_free(f);
    qs_model_unref(m);
}

static void
check_graph(void **arg)
{
    const struct graph *g = *arg;
    struct qs_ctx cx;
    struct qs_exec *e;
    struct qs_value in;
    struct test_random r = {7};
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph(g->input, g->line, LINES_MOST, &r);
    test_graph_input(g->input, &r, &in);
    if (qs_exec_new(&cx, m, &e) != QS_OK || qs_exec_run(&cx, e, &in, 1, NULL) != QS_OK)
        fail_msg("%s: %s", g->fact, qs_message(&cx));
    static const char *const isas[] = {"scalar", "avx2", "avx512"};
    for (size_t i = 0; i < QS_LEN(isas); i++) {
        assert_true(qk_cpu_cap(isas[i]));
        check_fast(g, m, &in, qs_exec_out(e, 0), isas[i], 1);
        check_fast(g, m, &in, qs_exec_out(e, 0), isas[i], 3);
    }
    free(in.data);
    qs_exec_free(e);
    qs_model_unref(m);
}

/* To the grid and back. */
#define QDQ(x, y, s)                                                 \
    "quantize_linear X:" x " Scale:" s " > Y:" y "_q quant_axis=-1", \
        "dequantize_linear X:" y "_q Scale:" s " > Y:" y " quant_axis=-1"
#define FAKE(type, x, y, s) type " X:" x " InScale:" s " > Out:" y " is_test=true"

/* ---- memory ---- */

static int64_t
bytes_of_params(const struct qs_model *m)
{
    int64_t bytes = 0;
    for (int32_t i = 0; i < m->n_var; i++)
        bytes += m->var[i].data ? (int64_t)m->var[i].data->bytes : 0;
    return bytes;
}

static int
steps_of(const struct qs_fast *f, const char *how)
{
    int n = 0;
    for (int i = 0; i < qs_fast_n_steps(f); i++)
        n += strcmp(qs_fast_step(f, i).how, how) == 0;
    return n;
}

/* Two stages of residual blocks. Winograd's weights are transformed into memory that the promise
 * leaves: in the first stage there is enough, in the second not for all points of squares of four,
 * and none are kept. */
static void
memory_is_what_is_promised(void **arg)
{
#define BLOCK(x, y, c)                                                                       \
    "conv2d Input:" x " Filter:" y "1(" c "," c ",3,3) > Output:" y "a paddings=[1,1]",      \
        "relu X:" y "a > Out:" y "b",                                                        \
        "conv2d Input:" y "b Filter:" y "2(" c "," c ",3,3) > Output:" y "c paddings=[1,1]", \
        "elementwise_add X:" y "c Y:" x " > Out:" y "d", "relu X:" y "d > Out:" y
    static const struct graph g = {
        "residual blocks",
        "1,3,48,48",
        {"conv2d Input:x Filter:w(64,3,3,3) > Output:p paddings=[1,1]", BLOCK("p", "q", "64"),
         "conv2d Input:q Filter:v(128,64,3,3) > Output:r paddings=[1,1] strides=[2,2]",
         BLOCK("r", "y", "128")},
        NULL};
#undef BLOCK
    const int64_t live = 3 * INT64_C(48) * 48 * 64 * (int64_t)sizeof(float), slack = 1 << 20;
    struct qs_ctx cx;
    struct qs_fast *f;
    struct qs_value in;
    struct test_random r = {11};
    (void)arg;
    qs_ctx_init(&cx);
    cx.threads = 1;
    struct qs_model *m = test_graph(g.input, g.line, LINES_MOST, &r);
    test_graph_input(g.input, &r, &in);
    assert_int_equal(qs_fast_new(&cx, m, &in, 1, NULL, &f), QS_OK);
    assert_int_equal(qs_fast_live_bytes(f), live);
    assert_true(steps_of(f, "WINOGRAD") >= 2);
    assert_true(qs_fast_param_bytes(f) + qs_fast_tensor_bytes(f) <=
                bytes_of_params(m) + live + slack);
    free(in.data);
    qs_fast_free(f);
    qs_model_unref(m);
}

/* An image, one that is thinner, and sums that take the place of the first: never two images. */
static void
a_sum_takes_the_place_of_its_addend(void **arg)
{
    static const struct graph g = {
        "bottlenecks",
        "1,3,48,48",
        {"conv2d Input:x Filter:w(64,3,1,1) > Output:p", "relu X:p > Out:q",
         "conv2d Input:q Filter:v(16,64,1,1) > Output:r",
         "conv2d Input:r Filter:u(64,16,1,1) > Output:s", "elementwise_add X:s Y:q > Out:t",
         "relu X:t > Out:k", "conv2d Input:k Filter:j(16,64,1,1) > Output:l",
         "conv2d Input:l Filter:m(64,16,1,1) > Output:n", "elementwise_add X:n Y:k > Out:o",
         "pool2d X:o > Out:y ksize=[1,1] adaptive=true pooling_type=avg"},
        NULL};
    const int64_t image = INT64_C(48) * 48 * 64 * (int64_t)sizeof(float);
    struct qs_ctx cx;
    struct qs_fast *f;
    struct qs_value in;
    struct test_random r = {11};
    (void)arg;
    qs_ctx_init(&cx);
    cx.threads = 1;
    struct qs_model *m = test_graph(g.input, g.line, LINES_MOST, &r);
    test_graph_input(g.input, &r, &in);
    assert_int_equal(qs_fast_new(&cx, m, &in, 1, NULL, &f), QS_OK);
    assert_int_equal(qs_fast_live_bytes(f), 2 * image + image / 4);
    assert_true(qs_fast_tensor_bytes(f) < 2 * image);
    free(in.data);
    qs_fast_free(f);
    qs_model_unref(m);
}

static struct graph graphs[] = {
    {"a convolution takes in batch norm and relu",
     "2,3,17,15",
     {CONV1, BN("c", "n", "20"), "relu X:n > Out:y"},
     "CONVERT CONV CONVERT"},
    {"a convolution takes in a bias and hard_swish",
     "1,3,16,16",
     {CONV1, "elementwise_add X:c Y:b(20) > Out:a axis=1",
      "hard_swish X:a > Out:y offset=3.0 scale=6.0 threshold=6.0"},
     "CONVERT CONV CONVERT"},
    {"a batch norm in training runs as it is",
     "2,3,8,8",
     {CONV1, "batch_norm X:c Scale:s(20) Bias:b(20) Mean:m(20) Variance:v(20) > Y:y"},
     "CONVERT CONV CONVERT FORWARD"},
    {"a bias may be reshaped",
     "1,3,16,16",
     {CONV1, "reshape2 X:b(20) > Out:r shape=[1,-1,1,1]", "elementwise_add X:c Y:r > Out:y"},
     "CONVERT CONV CONVERT"},
    {"a residual goes into the later convolution",
     "2,3,16,14",
     {CONV1, "conv2d Input:c Filter:w2(20,20,1,1) > Output:d",
      "conv2d Input:d Filter:w3(20,20,3,3) > Output:e paddings=[1,1]", BN("e", "n", "20"),
      "elementwise_add X:c Y:n > Out:a", "relu X:a > Out:y"},
     "CONVERT CONV CONV CONV CONVERT"},
    {"an operand made later does not go into the earlier convolution",
     "1,3,16,14",
     {CONV1, "conv2d Input:c Filter:w2(20,20,1,1) > Output:d",
      "pool2d X:c > Out:e ksize=[3,3] strides=[1,1] paddings=[1,1] pooling_type=max",
      "elementwise_add X:d Y:e > Out:y"},
     "CONVERT CONV CONV POOL BINARY CONVERT"},
    {"a value that others read is kept",
     "1,3,16,14",
     {CONV1, "relu X:c > Out:r", "conv2d Input:r Filter:w2(20,20,1,1) > Output:d",
      "elementwise_add X:c Y:d > Out:y"},
     "CONVERT CONV AFFINE CONV CONVERT"},
    {"depthwise convolutions, strides and odd sizes",
     "2,3,21,19",
     {CONV1, "depthwise_conv2d Input:c Filter:d1(20,1,3,3) > Output:e groups=20 paddings=[1,1]",
      "relu6 X:e > Out:f threshold=6.0",
      "depthwise_conv2d Input:f Filter:d2(20,1,5,5) > Output:g groups=20 paddings=[2,2] "
      "strides=[2,1]",
      "swish X:g > Out:y beta=1.0"},
     "CONVERT CONV DEPTHWISE DEPTHWISE CONVERT"},
    {"paddings of four, SAME, dilation",
     "1,3,18,17",
     {"conv2d Input:x Filter:w(24,3,3,3) > Output:a paddings=[0,2,1,0]",
      "conv2d Input:a Filter:w2(12,24,3,3) > Output:b padding_algorithm=SAME strides=[2,2]",
      "conv2d Input:b Filter:w3(33,12,3,3) > Output:y paddings=[2,2] dilations=[2,2]"},
     "CONVERT CONV CONV CONV CONVERT"},
    {"squeeze and excite",
     "2,3,13,13",
     {CONV1, "pool2d X:c > Out:p ksize=[1,1] adaptive=true pooling_type=avg",
      "conv2d Input:p Filter:w2(8,20,1,1) > Output:q", "relu X:q > Out:r",
      "conv2d Input:r Filter:w3(20,8,1,1) > Output:s",
      "hard_sigmoid X:s > Out:t slope=0.2 offset=0.5", "elementwise_mul X:c Y:t > Out:u",
      "elementwise_add X:c Y:u > Out:y"},
     "CONVERT CONV POOL CONV CONV BINARY CONVERT"},
    {"pooling with paddings",
     "1,20,15,17",
     {"pool2d X:x > Out:a ksize=[3,3] strides=[2,2] paddings=[1,1] pooling_type=max",
      "pool2d X:a > Out:b ksize=[2,3] strides=[1,2] paddings=[0,1] pooling_type=avg exclusive=true",
      "pool2d X:b > Out:y ksize=[3,2] adaptive=true pooling_type=avg"},
     "CONVERT POOL POOL POOL CONVERT"},
    {"nearest resizing takes in an addition",
     "1,3,16,12",
     {CONV1, "conv2d Input:x Filter:w4(20,3,3,3) > Output:f paddings=[1,1]",
      "nearest_interp_v2 X:c > Out:b interp_method=nearest scale=[2.0,2.0] align_corners=0",
      "elementwise_add X:f Y:b > Out:y"},
     "CONVERT CONV CONV RESIZE CONVERT"},
    {"resizing by tables",
     "1,20,7,9",
     {"nearest_interp_v2 X:x > Out:a interp_method=nearest out_h=11 out_w=5 align_corners=0",
      "bilinear_interp_v2 X:a > Out:y interp_method=bilinear out_h=13 out_w=17 align_mode=0 "
      "align_corners=0"},
     "CONVERT RESIZE RESIZE CONVERT"},
    {"a concatenation costs nothing before a convolution",
     "1,3,16,16",
     {CONV1, "conv2d Input:x Filter:w2(24,3,3,3) > Output:d strides=[2,2] paddings=[1,1]",
      "conv2d Input:x Filter:w3(7,3,1,1) > Output:e strides=[2,2]",
      "concat X:c X:d X:e > Out:f axis=1",
      "conv2d Input:f Filter:w4(16,51,3,3) > Output:y paddings=[1,1]"},
     "CONVERT CONV CONV CONV CONCAT CONV CONVERT"},
    {"a concatenation of a value with itself, read by pooling",
     "2,20,6,6",
     {"relu X:x > Out:a", "concat X:a X:a > Out:b axis=1",
      "pool2d X:b > Out:y ksize=[2,2] strides=[2,2] pooling_type=max"},
     NULL},
    {"transposed convolution 2x2",
     "1,20,5,7",
     {"conv2d_transpose Input:x Filter:w(20,24,2,2) > Output:a strides=[2,2]",
      "elementwise_add X:a Y:b(24) > Out:c axis=1", "relu X:c > Out:d",
      "conv2d_transpose Input:d Filter:w2(24,1,2,2) > Output:e strides=[2,2]",
      "elementwise_add X:e Y:b2(1) > Out:f axis=1", "sigmoid X:f > Out:y"},
     "CONVERT TRANSPOSED TRANSPOSED"},
    {"other transposed convolutions run as they are",
     "1,8,5,7",
     {"conv2d_transpose Input:x Filter:w(8,4,3,3) > Output:y strides=[2,2] paddings=[1,1]"},
     "FORWARD"},
    {"products, bias and softmax",
     "3,40",
     {"mul X:x Y:w(40,24) > Out:a", "elementwise_add X:a Y:b(24) > Out:c axis=1",
      "relu X:c > Out:d", "matmul_v2 X:d Y:w2(10,24) > Out:e trans_y=true",
      "elementwise_add X:e Y:b2(10) > Out:f axis=-1", "softmax X:f > Out:y axis=-1"},
     "DENSE DENSE SOFTMAX"},
    {"a classifier's head",
     "2,3,9,9",
     {CONV1, "pool2d X:c > Out:p ksize=[1,1] global_pooling=true pooling_type=avg",
      "flatten_contiguous_range X:p > Out:f start_axis=1 stop_axis=3",
      "matmul_v2 X:f Y:w2(20,7) > Out:g", "elementwise_add X:g Y:b(7) > Out:h",
      "dropout X:h > Out:i dropout_implementation=upscale_in_train dropout_prob=0.5 is_test=true",
      "softmax X:i > Out:y"},
     "CONVERT CONV POOL CONVERT ALIAS DENSE SOFTMAX"},
    {"unknown operators run between",
     "1,3,8,8",
     {CONV1, "transpose2 X:c > Out:t axis=[0,1,3,2]",
      "conv2d Input:t Filter:w2(5,20,3,3) > Output:d paddings=[1,1]", "abs X:d > Out:y"},
     "CONVERT CONV CONVERT FORWARD CONVERT CONV CONVERT FORWARD"},
    {"grouped convolutions run as they are",
     "1,8,8,8",
     {"conv2d Input:x Filter:w(8,4,3,3) > Output:a groups=2 paddings=[1,1]", "relu X:a > Out:y"},
     "FORWARD CONVERT AFFINE CONVERT"},
    {"activations that nothing takes in",
     "1,20,5,5",
     {"leaky_relu X:x > Out:a alpha=0.1", "tanh X:a > Out:b",
      "scale X:b > Out:c scale=2.0 bias=0.5", "elementwise_div X:c Y:k(20) > Out:y axis=1"},
     NULL},
    {"operands of a subtraction keep their order",
     "1,20,5,5",
     {"relu X:x > Out:a", "pool2d X:a > Out:p ksize=[1,1] adaptive=true pooling_type=avg",
      "elementwise_sub X:p Y:a > Out:y"},
     "CONVERT AFFINE POOL BINARY CONVERT"},
    {"convolutions of squares of four",
     "2,3,24,32",
     {"conv2d Input:x Filter:w(40,3,3,3) > Output:c paddings=[1,1]",
      "conv2d Input:c Filter:w2(40,40,3,3) > Output:d paddings=[1,1]", BN("d", "n", "40"),
      "elementwise_add X:c Y:n > Out:a", "hard_swish X:a > Out:b",
      "conv2d Input:b Filter:w3(24,40,3,3) > Output:y paddings=[1,1]"},
     "CONVERT CONV WINOGRAD WINOGRAD CONVERT"},
    {"convolutions of squares of two",
     "2,3,14,18",
     {"conv2d Input:x Filter:w(40,3,3,3) > Output:c paddings=[1,1]",
      "conv2d Input:c Filter:w2(33,40,3,3) > Output:d paddings=[1,1]", "sigmoid X:d > Out:y"},
     "CONVERT CONV WINOGRAD CONVERT"},
    {"a concatenation is read by squares",
     "1,3,16,16",
     {"conv2d Input:x Filter:w(20,3,3,3) > Output:c paddings=[1,1]",
      "conv2d Input:x Filter:w2(24,3,1,1) > Output:d", "concat X:c X:d > Out:f axis=1",
      "conv2d Input:f Filter:w4(30,44,3,3) > Output:y paddings=[1,1]"},
     NULL},
    {"a sum takes the place of an addend that nobody reads later",
     "2,3,12,12",
     {"conv2d Input:x Filter:w(32,3,1,1) > Output:p", "relu X:p > Out:q",
      "conv2d Input:q Filter:w2(16,32,1,1) > Output:a",
      "conv2d Input:a Filter:w3(32,16,1,1) > Output:r", "elementwise_add X:r Y:q > Out:s",
      "relu X:s > Out:t", "conv2d Input:t Filter:w4(16,32,1,1) > Output:b",
      "conv2d Input:b Filter:w5(32,16,1,1) > Output:c", "elementwise_add X:c Y:t > Out:d",
      "relu X:d > Out:e", "conv2d Input:e Filter:w6(32,32,1,1) > Output:f",
      "elementwise_add X:f Y:t > Out:g", "relu X:g > Out:h",
      "conv2d Input:h Filter:w7(32,32,1,1) > Output:i", "elementwise_add X:i Y:h > Out:y"},
     "CONVERT CONV CONV CONV CONV CONV CONV CONV CONVERT"},
    {"images of few channels stay plain",
     "2,3,20,24",
     {"conv2d Input:x Filter:w(1,3,3,3) > Output:c paddings=[1,1]", "sigmoid X:c > Out:s",
      "conv2d Input:x Filter:w2(1,3,1,1) > Output:d", "elementwise_sub X:s Y:d > Out:a",
      "pool2d X:a > Out:p ksize=[1,1] adaptive=true pooling_type=avg",
      "elementwise_mul X:a Y:p > Out:e", "scale X:e > Out:f scale=-3.0 bias=0.25",
      "concat X:f X:a > Out:y axis=1"},
     "CONVERT CONV CONV CONVERT CONVERT BINARY CONVERT POOL CONVERT BINARY AFFINE CONCAT"},
    {"channels are shuffled",
     "2,3,12,12",
     {CONV1, "reshape2 X:c > Out:p shape=[2,2,10,6,6]", "transpose2 X:p > Out:q axis=[0,2,1,3,4]",
      "reshape2 X:q > Out:r shape=[2,20,6,6]",
      "depthwise_conv2d Input:r Filter:d(20,1,3,3) > Output:y groups=20 paddings=[1,1]"},
     "CONVERT CONV CONVERT ALIAS FORWARD ALIAS CONVERT DEPTHWISE CONVERT"},
    {"two directions of a recurrence",
     "5,3,20",
     {"fill_constant > Out:h shape=[2,3,32] value=0.25 dtype=5",
      "fill_constant > Out:c shape=[2,3,32] value=-0.5 dtype=5",
      "rnn Input:x PreState:h PreState:c WeightList:a(128,20) WeightList:b(128,32) "
      "WeightList:d(128,20) WeightList:e(128,32) WeightList:f(128) WeightList:g(128) "
      "WeightList:i(128) WeightList:j(128) > Out:o State:p State:q mode=LSTM hidden_size=32 "
      "num_layers=1 is_bidirec=true is_test=true",
      "concat X:p X:q > Out:s axis=2", "reshape2 X:s > Out:t shape=[1,3,128]",
      "reshape2 X:o > Out:u shape=[5,3,64]", "matmul_v2 X:u Y:w(64,128) > Out:v",
      "elementwise_add X:v Y:t > Out:y axis=-1"},
     "FORWARD FORWARD RNN FORWARD ALIAS ALIAS DENSE FORWARD"},
    {"quantized values are floats on a grid, integers are summed exactly",
     "2,3,8,8",
     {QDQ("x", "a", "s(1)"), "quantize_linear X:w(20,3,3,3) Scale:sw(20) > Y:wq quant_axis=0",
      "dequantize_linear X:wq Scale:sw > Y:wd quant_axis=0",
      "conv2d Input:a Filter:wd > Output:c paddings=[1,1]", BN("c", "n", "20"), "relu X:n > Out:r",
      QDQ("r", "e", "t(1)"),
      "depthwise_conv2d Input:e Filter:d(20,1,3,3) > Output:y groups=20 paddings=[1,1]"},
     "GRID CONVERT CONV AFFINE GRID DEPTHWISE CONVERT"},
    {"integers of the older format",
     "2,20,5,6",
     {FAKE("fake_quantize_moving_average_abs_max", "x", "a", "s(1)"),
      "conv2d Input:a Filter:w(21,20,1,1) > Output:c",
      "fake_channel_wise_dequantize_max_abs X:c Scales:sw(21) Scales:s > Out:d",
      "elementwise_add X:d Y:b(21) > Out:f axis=1",
      FAKE("fake_quantize_dequantize_moving_average_abs_max", "f", "g", "t(1)"),
      "fake_channel_wise_dequantize_max_abs X:v(10,21) Scales:sv(10) > Out:vd quant_axis=0",
      "pool2d X:g > Out:p ksize=[1,1] global_pooling=true pooling_type=avg",
      "flatten_contiguous_range X:p > Out:h start_axis=1 stop_axis=3",
      "matmul_v2 X:h Y:vd > Out:y trans_y=true"},
     "GRID CONVERT CONV AFFINE GRID POOL CONVERT ALIAS DENSE"},
    {"a concatenation is rounded in its blocks",
     "1,3,8,8",
     {"conv2d Input:x Filter:w(20,3,3,3) > Output:c paddings=[1,1]",
      "conv2d Input:x Filter:w2(24,3,1,1) > Output:d", "concat X:c X:d > Out:f axis=1",
      QDQ("f", "g", "s(1)"), "conv2d Input:g Filter:w4(30,44,3,3) > Output:y paddings=[1,1]"},
     NULL},
    {"both what was rounded and what was not is read",
     "1,3,8,8",
     {CONV1, QDQ("c", "g", "s(1)"), "elementwise_mul X:c Y:g > Out:m",
      "quantize_linear X:m Scale:s > Y:q quant_axis=-1", "scale X:q > Out:y scale=0.5 bias=1.0"},
     "CONVERT CONV GRID BINARY GRID AFFINE CONVERT"},
    {"scales that are found while it runs",
     "1,3,8,8",
     {CONV1, "fake_quantize_abs_max X:c > Out:q OutScale:s",
      "fake_dequantize_max_abs X:q Scale:s > Out:y max_range=127.0"},
     "CONVERT CONV CONVERT FORWARD FORWARD"},
    {"a variable written twice",
     "1,3,8,8",
     {CONV1, "relu X:c > Out:c", "sigmoid X:c > Out:c",
      "pool2d X:c > Out:y ksize=[2,2] "
      "strides=[2,2] pooling_type=avg"},
     "CONVERT CONV AFFINE POOL CONVERT"},
};

int
main(void)
{
    enum { N = QS_LEN(graphs) };
    struct CMUnitTest tests[2 * N + 3];
    char name[N][128];
    cmocka_set_message_output(CM_OUTPUT_TAP);
    for (size_t i = 0; i < N; i++) {
        snprintf(name[i], sizeof(name[i]), "kept: %s", graphs[i].fact);
        tests[i] = (struct CMUnitTest){
            .name = graphs[i].fact, .test_func = check_graph, .initial_state = &graphs[i]};
        tests[N + i] = (struct CMUnitTest){
            .name = name[i], .test_func = check_kept, .initial_state = &graphs[i]};
    }
    tests[2 * N] = (struct CMUnitTest)cmocka_unit_test(a_kept_variable_ends_a_fusion);
    tests[2 * N + 1] = (struct CMUnitTest)cmocka_unit_test(memory_is_what_is_promised);
    tests[2 * N + 2] = (struct CMUnitTest)cmocka_unit_test(a_sum_takes_the_place_of_its_addend);
    return _cmocka_run_group_tests("fast", tests, QS_LEN(tests), NULL, NULL);
}
