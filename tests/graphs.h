/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs as text, for unit tests: a line per operator,
 *     TYPE SLOT:VAR ... > SLOT:VAR ... attribute=value ...
 * A parameter is written with its dims at its first use: w(16,3,3,3); parameters that a batch norm
 * takes for variances, and scales of quantization, are positive. The input is x, the output y.
 * Variables of one slot come one after the other: X:a X:b. Lines that begin with "| " are block 1,
 * which an operator with sub_block=BLOCK1 runs; a line "fetch X:z col=1" makes one more output.
 */
#ifndef QS_TESTS_GRAPHS_H
#define QS_TESTS_GRAPHS_H

#include "engine/engine.h"
#include "model/graph.h"
#include "model/step.h"

struct test_random {
    uint64_t state;
};
/* From -1 to 1. */
float test_graph_next(struct test_random *r);

/* The model of line[0 .. n-1] (or up to a NULL) with input x of dims "1,3,8,8"; parameters are
 * random. */
struct qs_model *test_graph(const char *input, const char *const *line, int n,
                            struct test_random *r);
/* Lines that many graphs begin with: a first convolution from x to c, a batch norm from x to y. */
#define CONV1 "conv2d Input:x Filter:w(20,3,3,3) > Output:c strides=[2,2] paddings=[1,1]"
#define BN(x, y, c)                                                                             \
    "batch_norm X:" x " Scale:s" y "(" c ") Bias:b" y "(" c ") Mean:m" y "(" c ") Variance:v" y \
    "(" c ") > Y:" y " is_test=true"

/* A random input of those dims; the caller frees v->data. */
void test_graph_input(const char *input, struct test_random *r, struct qs_value *v);
/* Fails when an output has other dims, or a relative error beyond 1e-5; `what` was run, for the
 * message. */
void test_graph_near(const struct qs_value *got, const struct qs_value *want, const char *what);
/* An engine for the model; fails when there is none. */
struct qs_engine *test_graph_engine(struct qs_ctx *cx, const struct qs_model *m, bool exact,
                                    const bool *keep);

#endif
