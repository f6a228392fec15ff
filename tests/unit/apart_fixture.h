/* SPDX-License-Identifier: Apache-2.0 */
/* Quantized programs as text, and what they are taken apart into. */
#ifndef QS_TESTS_APART_FIXTURE_H
#define QS_TESTS_APART_FIXTURE_H

#include "model/graph.h"
#include "model/static_notes.h"

/* Programs as lines of text:
 *     var NAME d,d            a tensor
 *     float NAME d,d v v ...  a parameter; one value fills it
 *     int8 NAME d,d v v ...
 *     op TYPE Slot=a,b Slot=c > Slot=d @name=1 @name=0.5 @name=text
 * Dims "0" stand for a scalar. */
struct qs_model *build(const char *text);
/* A convolution quantized by PaddleSlim in each format. */
extern const char qdq_program[], fake_program[];

/* Operators alone, one a line, without the variables; malloc. */
char *program(const struct qs_model *m);

struct apart {
    struct qs_ctx cx;
    struct qs_model *from, *m; /* as built; taken apart */
    struct qs_static_notes notes;
    enum qs_err err;
};
/* Builds `from`, which may be changed; takes it apart; both at once. */
void start(struct apart *a, const char *text);
void go(struct apart *a);
void take_apart(struct apart *a, const char *text);
void end(struct apart *a);

/* Fails with the message when it could not be taken apart. */
void must(const struct apart *a);
void check_program(const struct apart *a, const char *want);

#endif
