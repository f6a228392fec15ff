/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes against plain runs of the engine, layer by layer, on every instruction set: the
 * untouched layer is the plain run bit for bit, a variant is the model with that weight and with
 * quantize_linear and dequantize_linear before the layer, in floats and in integers, and what ran
 * before does not matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../graphs.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/probe.h"
#include "kernels/cpu.h"

enum { LINES_MOST = 16, LAYERS_MOST = 8, VARIANTS = 4, BITS = 4 };

static double one_threshold = 7 / 4.0; /* weights are quarters */

struct graph {
    const char *fact;
    const char *input;
    const char *line[LINES_MOST];
    int n_layer;
};

/* ---- a graph and what is tried with it ---- */

struct trial {
    struct qs_model *m;
    struct qs_value in;
    struct qs_probe_layer layer[LAYERS_MOST];
    struct qs_probe_variant variant[LAYERS_MOST][VARIANTS];
    float *weight[LAYERS_MOST];
    struct qs_quant_weight integers[LAYERS_MOST];
    int n_layer;
};

/* The same weight in steps of a quarter. */
static void
make_integers(struct trial *t, int i, int32_t var, int64_t n)
{
    struct qs_ctx cx;
    struct qs_quant_weight *q = &t->integers[i];
    qs_ctx_init(&cx);
    *q = (struct qs_quant_weight){
        .var = var, .bits = BITS, .axis = -1, .n_scales = 1, .threshold = &one_threshold};
    assert_int_equal(qs_buf_new(&cx, (size_t)n, &q->q), QS_OK);
    for (int64_t k = 0; k < n; k++)
        ((int8_t *)q->q->data)[k] = (int8_t)lrintf(t->weight[i][k] * 4);
}

/* Other weights; the input rounded; both, with the same weights, in floats and in integers. */
static void
add_layer(struct trial *t, int32_t node, int32_t weight, int32_t input)
{
    const struct qs_tensor *w = t->m->var[weight].data;
    const int i = t->n_layer++;
    assert_true(i < LAYERS_MOST);
    t->weight[i] = qs_xmalloc(w->bytes);
    memcpy(t->weight[i], w->buf->data + w->offset, w->bytes);
    for (size_t k = 0; k < w->bytes / sizeof(float); k++)
        t->weight[i][k] = roundf(t->weight[i][k] * 4) / 4;
    struct qs_probe_variant *v = t->variant[i];
    v[0] = (struct qs_probe_variant){.weight = t->weight[i]};
    v[1] = (struct qs_probe_variant){.threshold = 0.9f, .bits = BITS};
    v[2] = (struct qs_probe_variant){t->weight[i], 1.1f, BITS, NULL};
    make_integers(t, i, weight, (int64_t)(w->bytes / sizeof(float)));
    v[3] = (struct qs_probe_variant){t->weight[i], 1.1f, BITS, &t->integers[i]};
    t->layer[i] = (struct qs_probe_layer){node, weight, input, VARIANTS, v};
}

static void
start(const struct graph *g, struct trial *t)
{
    struct test_random r = {5};
    *t = (struct trial){.m = test_graph(g->input, g->line, LINES_MOST, &r)};
    test_graph_input(g->input, &r, &t->in);
    for (int32_t i = 0; i < t->m->block[0].n_node; i++) {
        const struct qs_node *node = &t->m->block[0].node[i];
        const char *slot = node->op ? node->op->weight_slot : NULL;
        const struct qs_slot *list = qs_node_in(node, "WeightList");
        for (int k = 0; list && k < list->n / 2; k++) /* biases follow */
            add_layer(t, i, list->var[k], qs_node_input(node, "Input", 0));
        if (list)
            continue;
        const int32_t w = slot ? qs_node_input(node, slot, 0) : -1;
        if (w >= 0 && t->m->var[w].data)
            add_layer(t, i, w, qs_node_input(node, *slot == 'F' ? "Input" : "X", 0));
    }
    assert_int_equal(t->n_layer, g->n_layer);
}

static void
stop(struct trial *t)
{
    for (int i = 0; i < t->n_layer; i++)
        qs_buf_unref(t->integers[i].q);
    for (int i = 0; i < t->n_layer; i++)
        free(t->weight[i]);
    free(t->in.data);
    qs_model_unref(t->m);
}

static struct qs_probe *
make_probe(struct qs_ctx *cx, const struct trial *t)
{
    struct qs_probe *p;
    if (qs_probe_new(cx, t->m, &t->in, 1, t->layer, t->n_layer, &p) != QS_OK)
        fail_msg("%s", qs_message(cx));
    return p;
}

/* ---- the same without a probe ---- */

static int32_t
add_floats(struct qs_model *m, const char *name, int n, const int64_t *d, const float *v,
           size_t count)
{
    struct qs_ctx cx;
    struct qs_buf *buf;
    qs_ctx_init(&cx);
    int32_t var = qs_model_find_var(m, 0, name);
    if (var < 0)
        var = qs_model_add_var(m, 0, name);
    assert_int_equal(qs_buf_new(&cx, count * sizeof(float), &buf), QS_OK);
    memcpy(buf->data, v, count * sizeof(float));
    m->var[var].persistable = 1;
    qs_model_set_data(m, var, QS_DTYPE_float32, n, d, buf, 0);
    return var;
}

/* Puts quantize_linear and dequantize_linear before the layer. */
static void
insert_rounding(struct qs_model *m, const struct qs_probe_layer *l,
                const struct qs_probe_variant *v)
{
    static const char *const types[] = {"quantize_linear", "dequantize_linear"};
    const int64_t one = 1;
    const int32_t scale = add_floats(m, "scale", 1, &one, &v->threshold, 1);
    const int32_t y[] = {qs_model_add_var(m, 0, "q"), qs_model_add_var(m, 0, "dq")};
    struct qs_node *node = qs_block_insert(m, 0, l->node, 2);
    for (int i = 0; i < 2; i++) {
        qs_node_set_type(m, &node[i], types[i]);
        qs_node_set_in(m, &node[i], "X", i ? &y[0] : &l->input, 1);
        qs_node_set_in(m, &node[i], "Scale", &scale, 1);
        qs_node_set_out(m, &node[i], "Y", &y[i], 1);
        qs_node_set_int(m, &node[i], "bit_length", v->bits);
        qs_node_set_int(m, &node[i], "quant_axis", -1);
        m->var[y[i]].dtype = QS_DTYPE_float32;
    }
    qs_node_set_in(m, &node[2], qs_node_in(&node[2], "Input") ? "Input" : "X", &y[1], 1);
}

/* The model with layer i in that variant (0: untouched), run by the engine. */
static void
run_changed(const struct trial *t, int i, int variant, struct qs_value *out)
{
    const struct qs_probe_layer *l = &t->layer[i];
    struct qs_model *m = qs_model_clone(t->m);
    struct qs_ctx cx;
    const struct qs_engine_options opt = {0};
    struct qs_engine *e;
    qs_ctx_init(&cx);
    cx.threads = 1;
    if (variant > 0 && l->variant[variant - 1].weight) {
        const struct qs_tensor *w = m->var[l->var].data;
        add_floats(m, m->var[l->var].name, w->n_dims, w->dims, t->weight[i],
                   w->bytes / sizeof(float));
    }
    if (variant > 0 && l->variant[variant - 1].threshold > 0)
        insert_rounding(m, l, &l->variant[variant - 1]);
    qs_model_index(m);
    if (qs_engine_new(&cx, m, &opt, &e) != QS_OK || qs_engine_run(&cx, e, &t->in, 1, NULL) != QS_OK)
        fail_msg("%s", qs_message(&cx));
    assert_non_null(qs_engine_fast(e));
    *out = *qs_engine_out(e, 0);
    out->data = qs_xmalloc((size_t)out->count * sizeof(float));
    memcpy(out->data, qs_engine_out(e, 0)->data, (size_t)out->count * sizeof(float));
    qs_engine_free(e);
    qs_model_unref(m);
}

static double
distance(const struct qs_value *a, const struct qs_value *b)
{
    double error = 0, size = 0;
    assert_int_equal(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++) {
        const double d = (double)a->f32[i] - (double)b->f32[i];
        error += d * d;
        size += (double)b->f32[i] * (double)b->f32[i];
    }
    return sqrt(error / (size > 0 ? size : 1));
}

static void
assert_same(const struct qs_value *a, const struct qs_value *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->data, b->data, (size_t)a->count * sizeof(float));
}

/* ---- checks ---- */

static void
check_variants(const struct graph *g, const struct trial *t, struct qs_probe *p, const char *isa)
{
    struct qs_ctx cx;
    struct qs_value plain, want;
    qs_ctx_init(&cx);
    run_changed(t, 0, 0, &plain);
    for (int i = 0; i < t->n_layer; i++)
        for (int v = 0; v <= VARIANTS; v++) {
            qs_probe_set(p, i, v);
            assert_int_equal(qs_probe_begin(&cx, p, &t->in, 1), QS_OK);
            assert_int_equal(qs_probe_finish(&cx, p), QS_OK);
            qs_probe_set(p, i, 0);
            assert_int_equal(qs_probe_n_out(p), 1);
            if (v == 0) {
                assert_same(qs_probe_out(p, 0), &plain);
                continue;
            }
            run_changed(t, i, v, &want);
            const double d = distance(qs_probe_out(p, 0), &want);
            if (!(d <= 1e-5))
                fail_msg("%s, %s: layer %d in variant %d: relative L2 error %g", g->fact, isa, i, v,
                         d);
            free(want.data);
        }
    free(plain.data);
}

/* For every layer and variant: outputs of a run that goes on from a saved state, with a variant of
 * another layer run in between; one after the other in out[]. */
static void
scan(const struct trial *t, struct qs_probe *p, float *out, bool continued)
{
    struct qs_ctx cx;
    qs_ctx_init(&cx);
    cx.threads = 1;
    for (int i = 0; i < t->n_layer; i++) {
        assert_int_equal(qs_probe_begin(&cx, p, &t->in, 1), QS_OK);
        assert_int_equal(qs_probe_step(&cx, p, i), QS_OK);
        void *state = qs_xmalloc((size_t)qs_probe_state_bytes(p, i));
        qs_probe_save(p, state);
        for (int v = 0; v <= VARIANTS; v++) {
            qs_probe_set(p, i, (v + 1) % VARIANTS);
            assert_int_equal(qs_probe_finish(&cx, p), QS_OK);
            if (continued)
                qs_probe_load(p, i, state);
            else
                assert_int_equal(qs_probe_begin(&cx, p, &t->in, 1), QS_OK);
            qs_probe_set(p, i, v);
            assert_int_equal(qs_probe_finish(&cx, p), QS_OK);
            const struct qs_value *y = qs_probe_out(p, 0);
            memcpy(out, y->data, (size_t)y->count * sizeof(float));
            out += y->count;
            qs_probe_load(p, i, state);
        }
        qs_probe_set(p, i, 0);
        free(state);
    }
}

struct scanner {
    const struct trial *t;
    struct qs_probe *p;
    float *out;
};

static void *
scan_in_thread(void *arg)
{
    const struct scanner *s = arg;
    scan(s->t, s->p, s->out, true);
    return NULL;
}

static void
check_states(const struct trial *t, struct qs_probe **p)
{
    struct qs_ctx cx;
    qs_ctx_init(&cx);
    assert_int_equal(qs_probe_begin(&cx, *p, &t->in, 1), QS_OK);
    assert_int_equal(qs_probe_finish(&cx, *p), QS_OK);
    const int64_t n = qs_probe_out(*p, 0)->count * t->n_layer * (VARIANTS + 1);
    float *want = qs_xcalloc((size_t)n, sizeof(*want));
    scan(t, *p, want, false);
    struct scanner s[2];
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) {
        s[i] = (struct scanner){.t = t, .out = qs_xcalloc((size_t)n, sizeof(float))};
        assert_int_equal(qs_probe_share(&cx, *p, &s[i].p), QS_OK);
    }
    qs_probe_free(*p); /* shares outlive it */
    *p = NULL;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, scan_in_thread, &s[i]), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_memory_equal(s[i].out, want, (size_t)n * sizeof(float));
        qs_probe_free(s[i].p);
        free(s[i].out);
    }
    free(want);
}

static void
check_graph(void **arg)
{
    static const char *const isas[] = {"scalar", "avx2", "avx512"};
    const struct graph *g = *arg;
    struct trial t;
    start(g, &t);
    for (size_t i = 0; i < QS_LEN(isas); i++) {
        struct qs_ctx cx;
        qs_ctx_init(&cx);
        assert_true(qk_cpu_cap(isas[i]));
        struct qs_probe *p = make_probe(&cx, &t);
        check_variants(g, &t, p, isas[i]);
        check_states(&t, &p);
    }
    stop(&t);
}

static struct graph graphs[] = {
    {"convolutions with what is folded into them",
     "2,3,18,17",
     {CONV1, BN("c", "n", "20"), "hard_swish X:n > Out:h offset=3.0 scale=6.0 threshold=6.0",
      "depthwise_conv2d Input:h Filter:d1(20,1,3,3) > Output:e groups=20 paddings=[1,1]",
      BN("e", "f", "20"), "relu X:f > Out:r",
      "pool2d X:r > Out:p ksize=[1,1] adaptive=true pooling_type=avg",
      "conv2d Input:p Filter:w2(20,20,1,1) > Output:s",
      "hard_sigmoid X:s > Out:t slope=0.2 offset=0.5", "elementwise_mul X:r Y:t > Out:u",
      "conv2d Input:u Filter:w3(20,20,1,1) > Output:k", "elementwise_add X:k Y:h > Out:y"},
     4},
    {"squares, and an input that is added to the output",
     "2,3,24,32",
     {"conv2d Input:x Filter:w(40,3,3,3) > Output:c paddings=[1,1]",
      "conv2d Input:c Filter:w2(40,40,3,3) > Output:d paddings=[1,1]", BN("d", "n", "40"),
      "elementwise_add X:c Y:n > Out:a", "relu X:a > Out:b",
      "conv2d Input:b Filter:w3(40,40,3,3) > Output:e paddings=[1,1]",
      "elementwise_add X:b Y:e > Out:y"},
     3},
    {"parts of a concatenation",
     "2,3,16,16",
     {"conv2d Input:x Filter:w(16,3,3,3) > Output:c paddings=[1,1]",
      "conv2d Input:c Filter:w2(16,16,3,3) > Output:d paddings=[1,1]",
      "conv2d Input:x Filter:w3(7,3,1,1) > Output:e", "concat X:c X:d X:e > Out:f axis=1",
      "conv2d Input:f Filter:w4(16,39,3,3) > Output:g paddings=[1,1]",
      "elementwise_add X:g Y:d > Out:y"},
     4},
    {"transposed convolutions and convolutions in groups",
     "2,20,5,7",
     {"conv2d_transpose Input:x Filter:w(20,24,2,2) > Output:a strides=[2,2]",
      "elementwise_add X:a Y:b(24) > Out:c axis=1", "relu X:c > Out:d",
      "conv2d Input:d Filter:w2(24,8,3,3) > Output:e groups=3 paddings=[1,1]",
      "elementwise_add X:d Y:e > Out:f",
      "conv2d_transpose Input:f Filter:w3(24,1,2,2) > Output:g strides=[2,2]",
      "sigmoid X:g > Out:y"},
     3},
    {"products in rows",
     "3,40",
     {"mul X:x Y:w(40,24) > Out:a", "elementwise_add X:a Y:b(24) > Out:c axis=1",
      "relu X:c > Out:d", "matmul_v2 X:d Y:w2(10,24) > Out:e trans_y=true",
      "elementwise_add X:e Y:b2(10) > Out:f axis=-1", "softmax X:f > Out:y axis=-1"},
     2},
    {"a classifier's head, and a product that runs as it is",
     "2,3,9,9",
     {CONV1, "pool2d X:c > Out:p ksize=[1,1] global_pooling=true pooling_type=avg",
      "flatten_contiguous_range X:p > Out:f start_axis=1 stop_axis=3",
      "matmul_v2 X:f Y:w2(20,7) > Out:g", "elementwise_add X:g Y:b(7) > Out:h",
      "matmul X:h Y:w4(7,5) > Out:i alpha=0.5", "softmax X:i > Out:y"},
     3},
    {"a model that ends in the exact engine",
     "2,3,12,12",
     {"conv2d Input:x Filter:w(20,3,3,3) > Output:c paddings=[1,1]", "relu X:c > Out:r",
      "where_index Condition:x > Out:i", "conv2d Input:r Filter:w2(3,20,1,1) > Output:d",
      "gather_nd X:d Index:i > Out:g", "scale X:g > Out:y scale=0.5"},
     2},
    {"weights of a recurrence, and of one that runs as it is",
     "5,3,20",
     {"fill_constant > Out:h shape=[2,3,32] value=0.25 dtype=5",
      "fill_constant > Out:c shape=[2,3,32] value=-0.5 dtype=5",
      "rnn Input:x PreState:h PreState:c WeightList:a(128,20) WeightList:b(128,32) "
      "WeightList:d(128,20) WeightList:e(128,32) WeightList:f(128) WeightList:g(128) "
      "WeightList:i(128) WeightList:j(128) > Out:o State:p State:q mode=LSTM hidden_size=32 "
      "num_layers=1 is_bidirec=true is_test=true",
      "fill_constant > Out:k shape=[1,3,8] value=0.5 dtype=5",
      "rnn Input:o PreState:k WeightList:l(24,64) WeightList:m(24,8) WeightList:n(24) "
      "WeightList:r(24) > Out:s State:t mode=GRU hidden_size=8 num_layers=1 is_test=true",
      "matmul_v2 X:s Y:w(8,5) > Out:y"},
     7},
    {"a layer that nothing reads",
     "1,3,8,8",
     {CONV1, "conv2d Input:c Filter:w2(20,20,1,1) > Output:d", "relu X:c > Out:y"},
     2},
};

/* ---- what a layer gives, and refusals ---- */

static const struct graph pair = {"pair",
                                  "1,3,16,16",
                                  {"conv2d Input:x Filter:w(20,3,3,3) > Output:c",
                                   "relu X:c > Out:r",
                                   "conv2d Input:r Filter:w2(24,20,1,1) > Output:y"},
                                  2};

static void
a_layer_gives_its_output_dense(void **arg)
{
    struct trial t, cut;
    struct graph half = pair;
    struct qs_ctx cx;
    struct qs_value want;
    const struct qs_value *got;
    (void)arg;
    qs_ctx_init(&cx);
    half.line[1] = "relu X:c > Out:y"; /* the first half's output is the first layer's */
    half.line[2] = NULL;
    half.n_layer = 1;
    start(&pair, &t);
    start(&half, &cut);
    struct qs_probe *p = make_probe(&cx, &t);
    memcpy(cut.in.data, t.in.data, (size_t)t.in.count * sizeof(float));
    run_changed(&cut, 0, 1, &want);
    qs_probe_set(p, 0, 1);
    assert_int_equal(qs_probe_begin(&cx, p, &t.in, 1), QS_OK);
    assert_int_equal(qs_probe_layer_out(&cx, p, 0, &got), QS_OK);
    assert_int_equal(got->n, 4);
    assert_same(got, &want);
    assert_int_equal(qs_probe_step(&cx, p, 1), QS_OK); /* and on from there */
    assert_int_equal(qs_probe_finish(&cx, p), QS_OK);
    free(want.data);
    run_changed(&t, 0, 1, &want);
    assert_same(qs_probe_out(p, 0), &want);
    free(want.data);
    qs_probe_free(p);
    stop(&t);
    stop(&cut);
}

static void
a_weight_given_twice_is_packed_once(void **arg)
{
    struct trial t;
    struct qs_ctx cx;
    struct qs_fast *f;
    (void)arg;
    qs_ctx_init(&cx);
    start(&pair, &t);
    struct qs_probe *p = make_probe(&cx, &t);
    assert_int_equal(qs_fast_new(&cx, t.m, &t.in, 1, NULL, &f), QS_OK);
    assert_true(qs_probe_param_bytes(p) < 3 * qs_fast_param_bytes(f));
    assert_true(qs_probe_tensor_bytes(p) > qs_fast_tensor_bytes(f));
    qs_fast_free(f);
    qs_probe_free(p);
    stop(&t);
}

static void
what_cannot_be_switched_is_named(void **arg)
{
    struct trial t;
    struct qs_ctx cx;
    struct qs_probe *p;
    (void)arg;
    qs_ctx_init(&cx);
    start(&pair, &t);
    t.layer[1].node = 2; /* the relu */
    assert_int_equal(qs_probe_new(&cx, t.m, &t.in, 1, t.layer, 2, &p), QS_ERR_UNSUPPORTED);
    assert_non_null(strstr(qs_message(&cx), "'w2'"));
    stop(&t);
}

/* The second layer reads what the exact engine makes. */
static void
a_layer_behind_the_fast_engine_is_named(void **arg)
{
    static const struct graph behind = {
        "behind",
        "1,3,8,8",
        {"conv2d Input:x Filter:w(3,3,1,1) > Output:c", "where_index Condition:x > Out:i",
         "gather_nd X:c Index:i > Out:g", "reshape2 X:g > Out:h shape=[192,1]",
         "matmul_v2 X:h Y:w2(1,4) > Out:y"},
        2};
    struct trial t;
    struct qs_ctx cx;
    struct qs_probe *p;
    (void)arg;
    qs_ctx_init(&cx);
    start(&behind, &t);
    assert_int_equal(qs_probe_new(&cx, t.m, &t.in, 1, t.layer, 2, &p), QS_ERR_UNSUPPORTED);
    assert_non_null(strstr(qs_message(&cx), "'w2'"));
    qs_clear(&cx);
    assert_int_equal(qs_probe_new(&cx, t.m, &t.in, 1, t.layer, 1, &p), QS_OK);
    qs_probe_free(p);
    stop(&t);
}

int
main(void)
{
    enum { N = QS_LEN(graphs) };
    struct CMUnitTest tests[N + 4];
    cmocka_set_message_output(CM_OUTPUT_TAP);
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){
            .name = graphs[i].fact, .test_func = check_graph, .initial_state = &graphs[i]};
    tests[N] = (struct CMUnitTest)cmocka_unit_test(a_layer_gives_its_output_dense);
    tests[N + 1] = (struct CMUnitTest)cmocka_unit_test(a_weight_given_twice_is_packed_once);
    tests[N + 2] = (struct CMUnitTest)cmocka_unit_test(what_cannot_be_switched_is_named);
    tests[N + 3] = (struct CMUnitTest)cmocka_unit_test(a_layer_behind_the_fast_engine_is_named);
    return _cmocka_run_group_tests("probe", tests, QS_LEN(tests), NULL, NULL);
}
