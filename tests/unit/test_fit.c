/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moments and rounding: the error that the moments tell is the one that running the layer shows;
 * adaptive rounding is never worse than the nearest and finds the best of all where all can be
 * tried.
 */
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
#include "fit/rounding.h"

struct layer {
    const char *fact, *input, *line;
};

/* All have at most 256 positions a sample. */
static const struct layer layers[] = {
    {"convolution", "3,4,9,8",
     "conv2d Input:x Filter:w(6,4,3,3) > Output:y paddings=[1,1] strides=[2,1]"},
    {"one by one", "2,5,7,7", "conv2d Input:x Filter:w(9,5,1,1) > Output:y"},
    {"two groups", "2,6,7,7",
     "conv2d Input:x Filter:w(4,3,3,3) > Output:y groups=2 dilations=[2,2] paddings=[0,2,1,0]"},
    {"depthwise", "2,6,7,7",
     "depthwise_conv2d Input:x Filter:w(6,1,3,3) > Output:y groups=6 padding_algorithm=SAME"},
    {"product", "7,12", "mul X:x Y:w(12,5) > Out:y"},
    {"product of a transposed constant", "7,12", "matmul_v2 X:x Y:w(5,12) > Out:y trans_y=true"},
};

struct bench {
    struct qs_ctx cx;
    struct qs_model *m;
    struct qs_value in;
    struct qs_moments *moments;
    const struct qs_tensor *t;
    float *w;
    double *step;
    int32_t *q;
    struct qs_rounding r;
};

static void
start(struct bench *b, const struct layer *l, double step)
{
    struct test_random r = {5};
    memset(b, 0, sizeof(*b));
    qs_ctx_init(&b->cx);
    b->m = test_graph(l->input, &l->line, 1, &r);
    test_graph_input(l->input, &r, &b->in);
    const struct qs_node *node = &b->m->block[0].node[1];
    assert_int_equal(qs_moments_new(&b->cx, b->m, node, true, &b->moments), QS_OK);
    assert_int_equal(qs_moments_add(&b->cx, b->moments, &b->in), QS_OK);
    b->t = b->m->var[qs_moments_weight_var(node)].data;
    assert_int_equal(qs_moments_weight(&b->cx, b->moments, b->t, &b->w), QS_OK);
    b->step = qs_xcalloc((size_t)b->moments->rows, sizeof(*b->step));
    for (int64_t i = 0; i < b->moments->rows; i++)
        b->step[i] = step * (1 + 0.1 * (double)i);
    b->q = qs_xcalloc((size_t)b->t->n, sizeof(*b->q));
    b->r = (struct qs_rounding){.moments = b->moments,
                                .w = b->w,
                                .step = b->step,
                                .lo = -7,
                                .hi = 7,
                                .iterations = 60,
                                .q = b->q};
    qs_round_nearest(&b->r);
}

static void
end(struct bench *b)
{
    qs_moments_free(b->moments);
    qs_model_unref(b->m);
    free(b->in.data);
    free(b->w);
    free(b->step);
    free(b->q);
}

static void
run(struct bench *b, const struct qs_model *m, float **y, int64_t *n)
{
    struct qs_exec *e;
    if (qs_exec_new(&b->cx, m, &e) != QS_OK || qs_exec_run(&b->cx, e, &b->in, 1, NULL) != QS_OK)
        fail_msg("%s", qs_message(&b->cx));
    *n = qs_exec_out(e, 0)->count;
    *y = qs_xcalloc((size_t)*n, sizeof(**y));
    memcpy(*y, qs_exec_out(e, 0)->f32, (size_t)*n * sizeof(**y));
    qs_exec_free(e);
}

/* Squared error of the layer's output with the integers, per position. */
static double
measured_error(struct bench *b)
{
    const int32_t var = qs_moments_weight_var(b->moments->node);
    struct qs_model *c = qs_model_clone(b->m);
    struct qs_buf *buf;
    float *y, *z;
    int64_t n;
    double error = 0;
    assert_int_equal(qs_buf_new(&b->cx, b->t->bytes, &buf), QS_OK);
    for (int64_t i = 0; i < b->t->n; i++) {
        const int64_t row = i / b->moments->k;
        const int64_t at = qs_moments_at(b->moments, b->t, row, i % b->moments->k);
        ((float *)(void *)buf->data)[at] = (float)(b->step[row] * b->q[i]);
    }
    qs_model_set_data(c, var, QS_DTYPE_float32, b->t->n_dims, b->t->dims, buf, 0);
    run(b, b->m, &y, &n);
    run(b, c, &z, &n);
    for (int64_t i = 0; i < n; i++)
        error += pow((double)y[i] - (double)z[i], 2);
    free(y);
    free(z);
    qs_model_unref(c);
    return error / (double)b->moments->n;
}

static void
test_layer(void **arg)
{
    struct bench b;
    start(&b, *arg, 0.13);
    const double nearest = measured_error(&b);
    assert_int_equal(qs_round_adaptive(&b.cx, &b.r), QS_OK);
    const double adapted = measured_error(&b);
    assert_true(fabs(b.r.error_before / nearest - 1) < 1e-4);
    assert_true(fabs(b.r.error / adapted - 1) < 1e-3);
    if (!(adapted <= nearest * (b.moments->k > 5 ? 0.9 : 1)))
        fail_msg("%s: error %g, nearest %g", ((struct layer *)*arg)->fact, adapted, nearest);
    end(&b);
}

/* Thread counts and repetition change nothing. */
static void
test_same(void **arg)
{
    struct bench b, c;
    (void)arg;
    start(&b, &layers[0], 0.13);
    start(&c, &layers[0], 0.13);
    b.cx.threads = 1;
    c.cx.threads = 3;
    assert_int_equal(qs_round_adaptive(&b.cx, &b.r), QS_OK);
    assert_int_equal(qs_round_adaptive(&c.cx, &c.r), QS_OK);
    assert_memory_equal(b.q, c.q, (size_t)b.t->n * sizeof(*b.q));
    end(&b);
    end(&c);
}

static double
error_of_row(const struct bench *b, const int32_t *q)
{
    const int64_t k = b->moments->k;
    double e = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++)
            e += (b->step[0] * q[i] - (double)b->w[i]) * (double)b->moments->h[i * k + j] *
                 (b->step[0] * q[j] - (double)b->w[j]);
    return e;
}

/* Of one row of nine weights all 512 ways. */
static void
test_best(void **arg)
{
    const struct layer l = {"", "2,1,9,9", "conv2d Input:x Filter:w(1,1,3,3) > Output:y"};
    struct bench b;
    int32_t q[9];
    double best = INFINITY;
    (void)arg;
    start(&b, &l, 0.3);
    for (int set = 0; set < 512; set++) {
        for (int i = 0; i < 9; i++)
            q[i] = (int32_t)floor((double)b.w[i] / b.step[0]) + (set >> i & 1);
        best = fmin(best, error_of_row(&b, q));
    }
    assert_int_equal(qs_round_adaptive(&b.cx, &b.r), QS_OK);
    assert_true(error_of_row(&b, b.q) <= best * 1.05);
    end(&b);
}

static void
test_threshold(void **arg)
{
    float w[1000];
    struct test_random r = {1};
    (void)arg;
    for (int i = 0; i < 1000; i++)
        w[i] = 0.1f * test_graph_next(&r);
    w[17] = 1; /* alone far out: worth clipping at few bits only */
    assert_true(qs_least_error_threshold(w, 1000, 3) < 0.5);
    assert_true(qs_least_error_threshold(w, 1000, 12) > 0.99);
    memset(w, 0, sizeof(w));
    assert_true(qs_least_error_threshold(w, 1000, 8) == 0);
}

int
main(void)
{
    struct CMUnitTest tests[QS_LEN(layers) + 4] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_best),
        cmocka_unit_test(test_threshold),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    for (size_t i = 0; i < QS_LEN(layers); i++)
        tests[4 + i] = (struct CMUnitTest){
            .name = layers[i].fact, .test_func = test_layer, .initial_state = (void *)&layers[i]};
    return _cmocka_run_group_tests("fit", tests, QS_LEN(tests), NULL, NULL);
}
