/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantized models in integers: small graphs are quantized (every convolution and product; the
 * named operators too) and written as programs with quantize_linear and dequantize_linear. The
 * exact engine runs these as they are, the fast one takes them apart and computes in integers, with
 * the same bits on every instruction set, for one and three threads, and simulated.
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
#include "engine/engine.h"
#include "kernels/cpu.h"
#include "model/infer.h"
#include "model/quant_static.h"
#include "passes/put.h"
#include "passes/take_apart.h"

enum { LINES_MOST = 16 };

struct graph {
    const char *fact;
    const char *input;            /* dims of x */
    const char *line[LINES_MOST]; /* operators */
    const char *also;             /* type of operators without weights whose inputs are rounded */
    const char *steps;            /* kinds, on AVX-512; NULL: any */
    bool away;                    /* ties are rounded away from zero, and the input has many */
};

/* ---- quantizing ---- */

struct maker {
    const struct graph *g;
    struct qs_ctx cx;
    struct qs_model *m;
    struct qs_static_notes notes;
    float *most; /* [n_var] largest magnitude */
};

static enum qs_err
see(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    float *most = arg;
    (void)cx, (void)node;
    for (int64_t i = 0; i < v->count && v->dtype == QS_DTYPE_float32; i++)
        most[var] = fmaxf(most[var], fabsf(v->f32[i]));
    return QS_OK;
}

static void
find_ranges(struct maker *k, const struct qs_value *in)
{
    struct qs_exec *e;
    const struct qs_watch watch = {see, k->most};
    int32_t input;
    if (qs_exec_new(&k->cx, k->m, &e) != QS_OK || qs_exec_run(&k->cx, e, in, 1, &watch) != QS_OK)
        fail_msg("%s: %s", k->g->fact, qs_message(&k->cx));
    qs_model_inputs(k->m, &input, 1);
    assert_int_equal(see(&k->cx, k->most, 0, input, in), QS_OK);
    qs_exec_free(e);
}

static int32_t
note_act(struct maker *k, int32_t var)
{
    struct qs_static_notes *n = &k->notes;
    for (int i = 0; i < n->n_act; i++)
        if (n->act[i].var == var)
            return i;
    /* less than the largest, so that some are cut */
    return qs_static_add_act(
        n, (struct qs_quant_act){.var = var,
                                 .bits = 8,
                                 .threshold = k->g->away ? 1 : (double)(0.9F * k->most[var]),
                                 .half_away = k->g->away});
}

static int32_t
note_weight(struct maker *k, int32_t var, int axis)
{
    const struct qs_tensor *t = k->m->var[var].data;
    struct qs_static_notes *n = &k->notes;
    int64_t inner = 1, count = 1;
    for (int i = 0; i < t->n_dims; i++) {
        inner *= i > axis ? t->dims[i] : 1;
        count *= t->dims[i];
    }
    struct qs_quant_weight w = {.var = var, .bits = 8, .axis = axis, .n_scales = t->dims[axis]};
    w.threshold = qs_xcalloc((size_t)w.n_scales, sizeof(*w.threshold));
    for (int64_t i = 0; i < count; i++) {
        const double v = fabs((double)((const float *)(const void *)t->buf->data)[i]);
        double *most = &w.threshold[i / inner % w.n_scales];
        *most = v > *most ? v : *most;
    }
    assert_int_equal(qs_static_quantize(&k->cx, t, axis, 8, w.threshold, QS_STATIC_QDQ, &w.q),
                     QS_OK);
    return qs_static_add_weight(n, w);
}

static int
axis_of(const struct qs_node *node)
{
    if (strcmp(node->type, "conv2d_transpose") == 0 || strcmp(node->type, "mul") == 0)
        return 1;
    return strcmp(node->type, "matmul_v2") == 0 && !qs_attr_int(node, "trans_y", 0);
}

static void
note_node(struct maker *k, int32_t number)
{
    const struct qs_node *node = &k->m->block[0].node[number];
    struct qs_quant_node q = {.node = number, .act = -1, .act2 = -1, .weight = -1};
    const bool also = k->g->also && strcmp(k->g->also, node->type) == 0;
    const bool product = strstr(node->type, "conv2d") || strstr(node->type, "mul") == node->type ||
                         strcmp(node->type, "matmul_v2") == 0;
    for (int i = 0; i < node->n_in && (also || product); i++) {
        const int32_t var = node->in[i].var[0];
        if (k->m->var[var].data)
            q.weight = product ? note_weight(k, var, axis_of(node)) : -1;
        else
            qs_static_add_read(&q, note_act(k, var));
    }
    if (q.n_all > 0)
        qs_static_add_node(&k->notes, q);
}

/* The graph as a quantized program. */
static struct qs_model *
make(const struct graph *g, const struct qs_value *in, struct test_random *r)
{
    struct maker k = {.g = g};
    const struct qs_put_options opt = {.observers = false};
    qs_ctx_init(&k.cx);
    k.m = test_graph(g->input, g->line, LINES_MOST, r);
    k.most = qs_xcalloc((size_t)k.m->n_var, sizeof(*k.most));
    find_ranges(&k, in);
    for (int32_t i = 0; i < k.m->block[0].n_node; i++)
        note_node(&k, i);
    if (qs_put_qdq(&k.cx, k.m, &k.notes, &opt) != QS_OK)
        fail_msg("%s: %s", g->fact, qs_message(&k.cx));
    qs_static_notes_release(&k.notes);
    free(k.most);
    return k.m;
}

/* ---- running ---- */

static void
check_equal(const struct graph *g, const struct qs_value *got, const struct qs_value *want)
{
    double error = 0, size = 0;
    assert_int_equal(got->count, want->count);
    for (int64_t i = 0; i < want->count; i++) {
        const double d = (double)got->f32[i] - (double)want->f32[i];
        error += d * d;
        size += (double)want->f32[i] * (double)want->f32[i];
    }
    /* the seed is one for which no value lies between two integers to rounding */
    if (!(sqrt(error) <= 2e-6 * sqrt(size)))
        fail_msg("%s: relative L2 error %g", g->fact, sqrt(error / size));
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

/* An engine that was made, and has run, with other thresholds: these give the same bits. */
static void
check_retuned(const struct graph *g, struct qs_ctx *cx, const struct qs_model *m,
              struct qs_static_notes *notes, const struct qs_value *in, const float *want)
{
    static const double off[] = {0.4, 1.7, 0.9};
    const struct qs_engine_options opt = {.notes = notes};
    struct qs_engine *e;
    for (int i = 0; i < notes->n_act; i++)
        notes->act[i].threshold *= off[i % 3];
    if (qs_engine_new(cx, m, &opt, &e) != QS_OK || qs_engine_run(cx, e, in, 1, NULL) != QS_OK)
        fail_msg("%s: %s", g->fact, qs_message(cx));
    const struct qs_value *out = qs_engine_out(e, 0);
    assert_memory_not_equal(out->f32, want, (size_t)out->count * sizeof(*want));
    for (int i = 0; i < notes->n_act; i++)
        notes->act[i].threshold /= off[i % 3];
    qs_engine_retune(e);
    assert_int_equal(qs_engine_run(cx, e, in, 1, NULL), QS_OK);
    if (memcmp(qs_engine_out(e, 0)->f32, want, (size_t)out->count * sizeof(*want)) != 0)
        fail_msg("%s: retuned, other bits than those of a new engine", g->fact);
    qs_engine_free(e);
}

/* The output, on an instruction set; the caller frees it. */
static float *
run_integer(const struct graph *g, const struct qs_model *program, const struct qs_value *in,
            const struct qs_value *want, const char *isa, int threads)
{
    struct qs_ctx cx;
    struct qs_static_notes notes;
    struct qs_engine *e;
    qs_ctx_init(&cx);
    cx.threads = threads;
    assert_true(qk_cpu_cap(isa));
    struct qs_model *m = qs_model_clone(program);
    if (qs_static_take_apart(&cx, m, &notes) != QS_OK)
        fail_msg("%s: %s", g->fact, qs_message(&cx));
    const struct qs_engine_options opt = {.notes = &notes};
    if (qs_engine_new(&cx, m, &opt, &e) != QS_OK)
        fail_msg("%s: %s", g->fact, qs_message(&cx));
    for (int run = 0; run < 2; run++) /* the second finds used memory */
        if (qs_engine_run(&cx, e, in, 1, NULL) != QS_OK)
            fail_msg("%s: %s", g->fact, qs_message(&cx));
    const struct qs_value *out = qs_engine_out(e, 0);
    check_equal(g, out, want);
    if (g->steps && strcmp(isa, "avx512") == 0)
        check_steps(g, qs_engine_fast(e));
    float *copy = qs_xcalloc((size_t)out->count, sizeof(*copy));
    memcpy(copy, out->f32, (size_t)out->count * sizeof(*copy));
    qs_engine_free(e);
    check_retuned(g, &cx, m, &notes, in, copy);
    qs_static_notes_release(&notes);
    qs_model_unref(m);
    return copy;
}

/* The fast engine on the program as it is, in floats. */
static void
check_simulated(const struct graph *g, const struct qs_model *m, const struct qs_value *in,
                const float *want, const char *isa)
{
    struct qs_ctx cx;
    struct qs_engine *e;
    const struct qs_engine_options opt = {0};
    qs_ctx_init(&cx);
    cx.threads = 2;
    assert_true(qk_cpu_cap(isa));
    if (qs_engine_new(&cx, m, &opt, &e) != QS_OK || qs_engine_run(&cx, e, in, 1, NULL) != QS_OK)
        fail_msg("%s: %s", g->fact, qs_message(&cx));
    assert_string_equal(qs_engine_kind(e), "fast");
    const struct qs_value *out = qs_engine_out(e, 0);
    if (memcmp(out->f32, want, (size_t)out->count * sizeof(*want)) != 0)
        fail_msg("%s, %s: simulated, other bits than in integers", g->fact, isa);
    qs_engine_free(e);
}

static void
check_graph(void **arg)
{
    static const char *const isas[] = {"scalar", "avx2", "avx512", "avx512vnni"};
    const struct graph *g = *arg;
    struct qs_ctx cx;
    struct qs_exec *e;
    struct qs_value in;
    struct test_random r = {5};
    qs_ctx_init(&cx);
    test_graph_input(g->input, &r, &in);
    for (int64_t i = 0; i < in.count && g->away; i++)
        in.f32[i] = ((float)(i % 250 - 125) + 0.5F) / 127;
    struct qs_model *m = make(g, &in, &r);
    if (qs_exec_new(&cx, m, &e) != QS_OK || qs_exec_run(&cx, e, &in, 1, NULL) != QS_OK)
        fail_msg("%s: %s", g->fact, qs_message(&cx));
    const struct qs_value *want = qs_exec_out(e, 0);
    float *first = run_integer(g, m, &in, want, "scalar", 1);
    for (size_t i = 0; i < QS_LEN(isas); i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            float *out = run_integer(g, m, &in, want, isas[i], threads);
            if (memcmp(out, first, (size_t)want->count * sizeof(*out)) != 0)
                fail_msg("%s: %s, %d threads: other bits than scalar", g->fact, isas[i], threads);
            free(out);
        }
    check_simulated(g, m, &in, first, "avx2");
    check_simulated(g, m, &in, first, "avx512");
    free(first);
    free(in.data);
    qs_exec_free(e);
    qs_model_unref(m);
}

static struct graph graphs[] = {
    {"a first convolution with batch norm and relu",
     "2,3,17,15",
     {CONV1, BN("c", "n", "20"), "relu X:n > Out:y"},
     .steps = "ROUND ICONV CONVERT"},
    {"ties that the program rounds away from zero",
     "1,4,25,25",
     {"conv2d Input:x Filter:w(8,4,1,1) > Output:y"},
     .steps = "ROUND ICONV CONVERT",
     .away = true},
    {"what a convolution makes leaves as bytes for the next",
     "1,3,16,16",
     {CONV1, "relu6 X:c > Out:r threshold=6.0", "conv2d Input:r Filter:w2(40,20,1,1) > Output:d",
      "hard_swish X:d > Out:y"},
     .steps = "ROUND ICONV ICONV CONVERT"},
    {"depthwise, 5x5, strides, channels of three kinds",
     "1,3,20,18",
     {"conv2d Input:x Filter:w(104,3,1,1) > Output:a",
      "depthwise_conv2d Input:a Filter:d(104,1,3,3) > Output:b groups=104 paddings=[1,1]",
      "hard_swish X:b > Out:c",
      "depthwise_conv2d Input:c Filter:e(104,1,5,5) > Output:f groups=104 paddings=[2,2] "
      "strides=[2,2]",
      "depthwise_conv2d Input:f Filter:g(104,1,3,2) > Output:y groups=104 paddings=[1,1] "
      "dilations=[2,1]"},
     .steps = "ROUND ICONV IDEPTHWISE IDEPTHWISE IDEPTHWISE CONVERT"},
    {"a residual stays in floats beside the bytes",
     "2,3,16,14",
     {CONV1, "relu X:c > Out:r", "conv2d Input:r Filter:w2(20,20,3,3) > Output:d paddings=[1,1]",
      BN("d", "n", "20"), "elementwise_add X:r Y:n > Out:a", "relu X:a > Out:b",
      "conv2d Input:b Filter:w3(12,20,1,1) > Output:y"},
     .steps = "ROUND ICONV ICONV ICONV CONVERT"},
    {"squeeze and excite: an island of floats",
     "2,3,13,13",
     {CONV1, "hard_swish X:c > Out:h",
      "pool2d X:h > Out:p ksize=[1,1] adaptive=true pooling_type=avg",
      "conv2d Input:p Filter:w2(8,20,1,1) > Output:q", "relu X:q > Out:r",
      "conv2d Input:r Filter:w3(20,8,1,1) > Output:s",
      "hard_sigmoid X:s > Out:t slope=0.2 offset=0.5", "elementwise_mul X:h Y:t > Out:u",
      "conv2d Input:u Filter:w4(24,20,1,1) > Output:y"},
     .steps = "ROUND ICONV POOL ROUND ICONV ICONV BINARY ROUND ICONV CONVERT"},
    {"values are rounded before max pooling",
     "1,3,19,17",
     {CONV1, "relu X:c > Out:r",
      "pool2d X:r > Out:p ksize=[3,3] strides=[2,2] paddings=[1,1] pooling_type=max",
      "conv2d Input:p Filter:w2(16,20,3,3) > Output:y paddings=[1,1]"},
     .steps = "ROUND ICONV POOL ICONV CONVERT"},
    {"but not when others read the pooled ones",
     "1,3,19,17",
     {CONV1, "pool2d X:c > Out:p ksize=[3,3] strides=[1,1] paddings=[1,1] pooling_type=max",
      "conv2d Input:p Filter:w2(20,20,1,1) > Output:d", "elementwise_add X:d Y:p > Out:y"},
     .steps = "ROUND ICONV POOL ROUND ICONV CONVERT"},
    {"paddings of four, SAME, dilation",
     "1,3,18,17",
     {"conv2d Input:x Filter:w(24,3,3,3) > Output:a paddings=[0,2,1,0]",
      "conv2d Input:a Filter:w2(12,24,3,3) > Output:b padding_algorithm=SAME strides=[2,2]",
      "conv2d Input:b Filter:w3(33,12,3,3) > Output:y paddings=[2,2] dilations=[2,2]"},
     .steps = "ROUND ICONV ICONV ICONV CONVERT"},
    {"every activation",
     "1,3,16,16",
     {CONV1, "leaky_relu X:c > Out:r alpha=0.1", "conv2d Input:r Filter:w2(17,20,1,1) > Output:d",
      "swish X:d > Out:s beta=1.0", "conv2d Input:s Filter:w3(20,17,1,1) > Output:e",
      "sigmoid X:e > Out:t", "conv2d Input:t Filter:w4(5,20,1,1) > Output:f", "tanh X:f > Out:y"},
     .steps = "ROUND ICONV ICONV ICONV ICONV CONVERT"},
    {"transposed convolutions, one of few channels",
     "1,20,5,7",
     {"conv2d_transpose Input:x Filter:w(20,24,2,2) > Output:a strides=[2,2]", BN("a", "n", "24"),
      "relu X:n > Out:r", "conv2d_transpose Input:r Filter:w2(24,40,2,2) > Output:b strides=[2,2]",
      "conv2d Input:b Filter:w3(18,40,1,1) > Output:d",
      "conv2d_transpose Input:d Filter:w4(18,1,2,2) > Output:y strides=[2,2]"},
     .steps = "CONVERT ROUND ITRANSPOSED ITRANSPOSED ICONV ITRANSPOSED"},
    {"products, one after the other",
     "5,36",
     {"matmul_v2 X:x Y:w(36,50) > Out:a", "elementwise_add X:a Y:b(50) > Out:c", "relu X:c > Out:r",
      "matmul_v2 X:r Y:w2(17,50) > Out:d trans_y=true", "mul X:d Y:w3(17,33) > Out:y"},
     .steps = "ROUND IDENSE IDENSE IDENSE"},
    {"a product behind pooling",
     "2,3,12,12",
     {CONV1, "pool2d X:c > Out:p ksize=[1,1] adaptive=true pooling_type=avg",
      "flatten_contiguous_range X:p > Out:f start_axis=1 stop_axis=3",
      "matmul_v2 X:f Y:w2(20,10) > Out:y"},
     .steps = "ROUND ICONV POOL CONVERT ALIAS ROUND IDENSE"},
    {"operators without weights on rounded inputs",
     "1,3,16,14",
     {CONV1, "conv2d Input:c Filter:w2(20,20,1,1) > Output:d", "elementwise_add X:c Y:d > Out:a",
      "conv2d Input:a Filter:w3(16,20,1,1) > Output:y"},
     .also = "elementwise_add"},
    {"average pooling of rounded values",
     "2,3,16,14",
     {CONV1, "pool2d X:c > Out:p ksize=[2,2] strides=[2,2] pooling_type=avg",
      "conv2d Input:p Filter:w3(16,20,1,1) > Output:y"},
     .also = "pool2d"},
    {"a concatenation of parts that end in the middle of a block",
     "1,3,16,16",
     {CONV1, "conv2d Input:x Filter:w2(24,3,3,3) > Output:d strides=[2,2] paddings=[1,1]",
      "conv2d Input:x Filter:w3(7,3,1,1) > Output:e strides=[2,2]",
      "concat X:c X:d X:e > Out:f axis=1",
      "conv2d Input:f Filter:w4(16,51,3,3) > Output:y paddings=[1,1]"},
     .steps = "ROUND ICONV ICONV ICONV CONCAT ICONV CONVERT"},
    {"a concatenation of bytes and of floats that are rounded to their place",
     "2,3,16,14",
     {CONV1, "pool2d X:c > Out:p ksize=[3,3] strides=[1,1] paddings=[1,1] pooling_type=avg",
      "conv2d Input:x Filter:w2(32,3,3,3) > Output:d strides=[2,2] paddings=[1,1]",
      "concat X:d X:p > Out:f axis=1", "relu X:p > Out:r",
      "conv2d Input:r Filter:w5(52,20,1,1) > Output:s",
      "depthwise_conv2d Input:f Filter:w4(52,1,3,3) > Output:g groups=52 paddings=[1,1]",
      "elementwise_add X:g Y:s > Out:y"},
     .steps = "ROUND ICONV POOL ICONV ROUND CONCAT AFFINE ROUND ICONV IDEPTHWISE CONVERT"},
    {"gaps between channels are no good for others than convolutions",
     "1,3,16,14",
     {CONV1, "conv2d Input:x Filter:w2(32,3,3,3) > Output:d strides=[2,2] paddings=[1,1]",
      "concat X:c X:d > Out:f axis=1",
      "depthwise_conv2d Input:f Filter:w4(52,1,3,3) > Output:y groups=52 paddings=[1,1]"},
     .steps = "ROUND ICONV ICONV CONCAT CONVERT CONVERT ROUND IDEPTHWISE CONVERT"},
    {"nearest resizing and an addition, as detectors have them",
     "1,3,16,12",
     {CONV1, "conv2d Input:x Filter:w4(20,3,3,3) > Output:f paddings=[1,1]",
      "nearest_interp_v2 X:c > Out:b interp_method=nearest scale=[2.0,2.0] align_corners=0",
      "elementwise_add X:f Y:b > Out:g", "conv2d Input:g Filter:w5(6,20,3,3) > Output:y"},
     .steps = NULL},
    {"an input of many channels and one of two",
     "1,2,9,9",
     {"conv2d Input:x Filter:w(70,2,1,1) > Output:a",
      "conv2d Input:a Filter:w2(3,70,3,3) > Output:b paddings=[1,1]",
      "conv2d Input:b Filter:w3(9,3,3,3) > Output:y"},
     .steps = NULL},
};

/* ---- weights alone in integers ---- */

/* Runs the float graph under its notes; the caller frees the output. */
static float *
run_notes(struct maker *k, const struct qs_value *in, const char *isa, int64_t *count)
{
    struct qs_engine *e;
    const struct qs_engine_options opt = {.notes = &k->notes};
    assert_true(qk_cpu_cap(isa));
    if (qs_engine_new(&k->cx, k->m, &opt, &e) != QS_OK ||
        qs_engine_run(&k->cx, e, in, 1, NULL) != QS_OK)
        fail_msg("%s", qs_message(&k->cx));
    const struct qs_value *out = qs_engine_out(e, 0);
    float *copy = qs_xcalloc((size_t)out->count, sizeof(*copy));
    memcpy(copy, out->f32, (size_t)out->count * sizeof(*copy));
    *count = out->count;
    if (k->g->steps && strcmp(isa, "avx512") == 0)
        check_steps(k->g, qs_engine_fast(e));
    qs_engine_free(e);
    return copy;
}

static double
distance(const float *x, const float *y, int64_t n)
{
    double error = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        error += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        size += (double)y[i] * (double)y[i];
    }
    return sqrt(error / size);
}

/* The second of two samples alone gives what it gives beside the first, ten times as large. */
static void
check_alone(struct maker *k, const struct qs_value *in, const float *both, int64_t count)
{
    struct qs_value one = *in;
    int64_t n;
    one.d[0] = 1;
    one.count /= 2;
    one.f32 += one.count;
    float *alone = run_notes(k, &one, "scalar", &n);
    assert_int_equal(2 * n, count);
    assert_memory_equal(alone, both + n, (size_t)n * sizeof(*alone));
    free(alone);
}

static void
scales_of_inputs_are_found_for_each_sample(void **arg)
{
    static const struct graph g = {
        "dynamic",
        "2,3,20,18",
        {CONV1, "relu X:c > Out:r",
         "depthwise_conv2d Input:r Filter:d(20,1,3,3) > Output:e groups=20 paddings=[1,1]",
         "conv2d Input:e Filter:w2(40,20,3,3) > Output:f paddings=[1,1]", "hard_swish X:f > Out:h",
         "conv2d_transpose Input:h Filter:w3(40,24,2,2) > Output:i strides=[2,2]",
         "conv2d_transpose Input:i Filter:w4(24,2,2,2) > Output:j strides=[2,2]",
         "pool2d X:j > Out:p ksize=[4,4] adaptive=true pooling_type=avg",
         "flatten_contiguous_range X:p > Out:l start_axis=1 stop_axis=3",
         "matmul_v2 X:l Y:w5(32,10) > Out:y"},
        .steps = "ROUND ICONV DEPTHWISE ROUND ICONV ROUND ITRANSPOSED ROUND ITRANSPOSED CONVERT "
                 "POOL CONVERT ALIAS ROUND IDENSE"};
    static const char *const isas[] = {"scalar", "avx2", "avx512", "avx512vnni"};
    struct maker k = {.g = &g};
    struct qs_value in;
    struct test_random r = {5};
    int64_t n, n_float;
    (void)arg;
    qs_ctx_init(&k.cx);
    k.m = test_graph(g.input, g.line, LINES_MOST, &r);
    test_graph_input(g.input, &r, &in);
    for (int64_t i = 0; i < in.count / 2; i++)
        in.f32[i] *= 10;
    k.most = qs_xcalloc((size_t)k.m->n_var, sizeof(*k.most));
    struct graph plain = g;
    plain.steps = NULL;
    k.g = &plain;
    float *want = run_notes(&k, &in, "scalar", &n_float);
    k.g = &g;
    for (int32_t i = 0; i < k.m->block[0].n_node; i++)
        note_node(&k, i);
    for (int i = 0; i < k.notes.n_node; i++)
        k.notes.node[i].n_all = (k.notes.node[i].act = k.notes.node[i].act2 = -1) + 1;
    k.cx.threads = 3;
    float *first = run_notes(&k, &in, "scalar", &n);
    assert_int_equal(n, n_float);
    assert_true(distance(first, want, n) < 0.02);
    for (size_t i = 0; i < QS_LEN(isas); i++) {
        float *out = run_notes(&k, &in, isas[i], &n);
        assert_true(distance(out, first, n) < 1e-6); /* one layer is in floats */
        free(out);
    }
    check_alone(&k, &in, first, n);
    free(first);
    free(want);
    free(in.data);
    free(k.most);
    qs_static_notes_release(&k.notes);
    qs_model_unref(k.m);
}

static void
notes_need_the_fast_engine(void **arg)
{
    static const char *const line[] = {CONV1, "relu X:c > Out:y"};
    const struct qs_static_notes none = {.n_act = 0};
    const struct qs_engine_options opt = {.exact = true, .notes = &none};
    struct qs_ctx cx;
    struct qs_engine *e;
    struct qs_value in;
    struct test_random r = {5};
    (void)arg;
    qs_ctx_init(&cx);
    struct qs_model *m = test_graph("1,3,8,8", line, 2, &r);
    test_graph_input("1,3,8,8", &r, &in);
    assert_int_equal(qs_engine_new(&cx, m, &opt, &e), QS_OK);
    assert_int_equal(qs_engine_run(&cx, e, &in, 1, NULL), QS_ERR_UNSUPPORTED);
    qs_engine_free(e);
    free(in.data);
    qs_model_unref(m);
}

int
main(void)
{
    enum { N = QS_LEN(graphs) };
    struct CMUnitTest tests[N + 2];
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){
            .name = graphs[i].fact, .test_func = check_graph, .initial_state = &graphs[i]};
    tests[N] = (struct CMUnitTest)cmocka_unit_test(notes_need_the_fast_engine);
    tests[N + 1] = (struct CMUnitTest)cmocka_unit_test(scales_of_inputs_are_found_for_each_sample);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("integer", tests, NULL, NULL);
}
