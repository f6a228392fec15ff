/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of the inputs of a model: given by the user, declared by the program, or guessed. */
#ifndef QS_MODEL_SHAPE_INPUT_H
#define QS_MODEL_SHAPE_INPUT_H

#include "base/str.h"
#include "model/shape.h"

enum { QS_GUESS_ATTEMPTS = 5 }; /* image sizes tried, see shape_input.c */

struct qs_guess {
    int n;
    int32_t *var;           /* [n] input variables */
    struct qs_shape *input; /* [n] */
    struct qs_str text;     /* what was guessed: "x 1x3x224x224; y 1x2" */
    bool image_guessed;     /* a height or width was: another attempt may fit */
};

/* `out` is to be released in any case. */
enum qs_err qs_guess_inputs(struct qs_ctx *cx, const struct qs_model *m,
                            const struct qs_input_shape *given, int n_given, int attempt,
                            struct qs_guess *out) QS_MUST_CHECK;
void qs_guess_release(struct qs_guess *g);

#endif
